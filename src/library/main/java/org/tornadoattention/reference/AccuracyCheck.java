package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * What the results of one attention problem must be and how far they may be off: made once, good for any number of
 * kernels.
 *
 * <pre>{@code
 * AccuracyCheck check = AccuracyCheck.of(q, k, v, options);
 * check.forward(result.output(), result.logSumExp()).forEach(System.out::println);
 * }</pre>
 *
 * <p>The comparison takes {@code 4 · batch · heads · seqQ · seqK · headDim} float64 operations on the JVM, and as many
 * in F32.
 */
public final class AccuracyCheck {
    private final AttentionShape shape;
    private final DType dtype;
    private final ReferenceAttention.Forward reference;
    private final ReferenceAttention.Forward oracle;
    private final NaiveAttention.Forward naive;
    private final Tolerance tolerance;
    private final Supplier<NaiveAttention.Forward> naiveFp8;
    private final Optional<GradientTargets> gradients;

    /** What gradients are compared with, and what the naive ones are off from. */
    private record GradientTargets(
            ReferenceAttention.Backward reference, ReferenceAttention.Backward oracle, NaiveAttention.Backward naive) {

        /** Of one gradient. */
        private record Of(double[] reference, double[] oracle, float[] naive) {}

        Of dQ() {
            return new Of(reference.dQ(), oracle.dQ(), naive.dQ());
        }

        Of dK() {
            return new Of(reference.dK(), oracle.dK(), naive.dK());
        }

        Of dV() {
            return new Of(reference.dV(), oracle.dV(), naive.dV());
        }

        Of dBias() {
            return new Of(reference.dBias(), oracle.dBias(), naive.dBias());
        }

        Of dSinks() {
            return new Of(reference.dSinks(), oracle.dSinks(), naive.dSinks());
        }
    }

    private AccuracyCheck(
            AttentionShape shape,
            DType dtype,
            ReferenceAttention.Forward reference,
            ReferenceAttention.Forward oracle,
            NaiveAttention.Forward naive,
            Tolerance tolerance,
            Supplier<NaiveAttention.Forward> naiveFp8,
            Optional<GradientTargets> gradients) {
        this.shape = shape;
        this.dtype = dtype;
        this.reference = reference;
        this.oracle = oracle;
        this.naive = naive;
        this.tolerance = tolerance;
        this.naiveFp8 = naiveFp8;
        this.gradients = gradients;
    }

    /**
     * Computes the oracle and the naive result of a forward pass.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values, shaped like the keys
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return a check that knows what is right
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static AccuracyCheck of(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        ReferenceAttention.Forward oracle = ReferenceAttention.forward(q, k, v, options);
        return of(q, k, v, options, oracle, oracle, Optional.empty());
    }

    /**
     * Computes the oracle and the naive result of a forward and a backward pass.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values, shaped like the keys
     * @param dO the gradient with respect to the output, of the shape and type of {@code q}
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return a check that knows what is right
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static AccuracyCheck of(Tensor q, Tensor k, Tensor v, Tensor dO, AttentionOptions options) {
        required(dO, "dO");
        Tensor none =
                Tensor.allocate(DType.F32, AttentionShape.of(q, k, v, options).logSumExpShape());
        return of(q, k, v, dO, none, options);
    }

    /**
     * Computes the oracle and the naive result of a forward and a backward pass with a gradient on the log-sum-exp.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values, shaped like the keys
     * @param dO the gradient with respect to the output, of the shape and type of {@code q}
     * @param dLse the gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return a check that knows what is right
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static AccuracyCheck of(Tensor q, Tensor k, Tensor v, Tensor dO, Tensor dLse, AttentionOptions options) {
        required(dO, "dO");
        required(dLse, "dLse");
        ReferenceAttention.Forward oracle = ReferenceAttention.forward(q, k, v, options);
        ReferenceAttention.Backward gradients = ReferenceAttention.backward(q, k, v, dO, dLse, options);
        NaiveAttention.Backward naive = NaiveAttention.backward(q, k, v, dO, dLse.toFloatArray(), options);
        return of(q, k, v, options, oracle, oracle, Optional.of(new GradientTargets(gradients, gradients, naive)));
    }

    /**
     * Takes a golden case's arrays as the reference. How far the naive results are off is taken from the oracle, so
     * that a wrong file does not raise its own limits.
     */
    static AccuracyCheck of(GoldenCase golden) {
        Tensor q = golden.q();
        Tensor k = golden.k();
        Tensor v = golden.v();
        AttentionOptions options = golden.options();
        return of(
                q,
                k,
                v,
                options,
                golden.expected(),
                ReferenceAttention.forward(q, k, v, options),
                golden.gradients()
                        .map(gradients -> new GradientTargets(
                                gradients.expected(),
                                ReferenceAttention.backward(q, k, v, gradients.dO(), options),
                                NaiveAttention.backward(q, k, v, gradients.dO(), options))));
    }

    private static AccuracyCheck of(
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            ReferenceAttention.Forward reference,
            ReferenceAttention.Forward oracle,
            Optional<GradientTargets> gradients) {
        return new AccuracyCheck(
                AttentionShape.of(q, k, v, options),
                q.dtype(),
                reference,
                oracle,
                NaiveAttention.forward(q, k, v, options),
                Tolerance.forward(q.dtype()),
                () -> NaiveAttention.forwardFp8(q, k, v, options),
                gradients);
    }

    /**
     * This check for a kernel whose products are of 8-bit numbers, if {@code fp8}, and else itself: its yardstick is
     * {@link NaiveAttention#forwardFp8} and its rule {@link Tolerance#forwardFp8}.
     *
     * @param fp8 whether products are of 8-bit numbers
     * @return a check with that tolerance
     */
    public AccuracyCheck ofProducts(boolean fp8) {
        return fp8
                ? new AccuracyCheck(
                        shape, dtype, reference, oracle, naiveFp8.get(), Tolerance.forwardFp8(), naiveFp8, gradients)
                : this;
    }

    /** {@return what the output and the log-sum-exp must be} */
    public ReferenceAttention.Forward reference() {
        return reference;
    }

    /** {@return what standard attention in the storage precision, or with products of 8-bit numbers, makes of it} */
    public NaiveAttention.Forward naive() {
        return naive;
    }

    /**
     * Compares an output and a log-sum-exp by {@link Tolerance#forward}, or {@link Tolerance#forwardFp8}: {@code o} and
     * {@code lse}.
     *
     * @param output computed, {@code [batch, heads, seqQ, headDim]}
     * @param logSumExp computed, F32 {@code [batch, heads, seqQ]}
     * @return a comparison of the output and one of the log-sum-exp
     * @throws IllegalArgumentException if a shape is not that of the problem
     */
    public List<Comparison> forward(Tensor output, Tensor logSumExp) {
        return forward(output, logSumExp, tolerance);
    }

    /**
     * Compares an output and a log-sum-exp by a rule of the caller's: {@code o} and {@code lse}.
     *
     * @param output computed, {@code [batch, heads, seqQ, headDim]}
     * @param logSumExp computed, F32 {@code [batch, heads, seqQ]}
     * @param rule how far they may be from the reference
     * @return a comparison of the output and one of the log-sum-exp
     * @throws IllegalArgumentException if a shape is not that of the problem
     */
    public List<Comparison> forward(Tensor output, Tensor logSumExp, Tolerance rule) {
        required(output, "output");
        required(logSumExp, "logSumExp");
        required(rule, "rule");
        requireShape("o", output, shape.outputShape());
        requireShape("lse", logSumExp, shape.logSumExpShape());
        return List.of(
                rule.compare(
                        "o",
                        output.toFloatArray(),
                        reference.output(),
                        Tolerance.naiveError(oracle.output(), naive.output())),
                rule.compare(
                        "lse",
                        logSumExp.toFloatArray(),
                        reference.logSumExp(),
                        Tolerance.naiveError(oracle.logSumExp(), naive.logSumExp())));
    }

    /**
     * Compares gradients by {@link Tolerance#gradients}: {@code dq}, {@code dk}, {@code dv} and, where the problem has
     * such, {@code dbias} and {@code dsinks}.
     *
     * @param computed the three gradients
     * @return a comparison of each gradient
     * @throws IllegalArgumentException if a shape is not that of the problem
     * @throws IllegalStateException if this check was made without a gradient of the output
     */
    public List<Comparison> gradients(Gradients computed) {
        return gradients(computed, Tolerance.gradients(dtype));
    }

    /**
     * Compares gradients by a rule of the caller's: {@code dq}, {@code dk}, {@code dv} and, where the problem has such,
     * {@code dbias} and {@code dsinks}.
     *
     * @param computed the three gradients
     * @param rule how far they may be from the reference
     * @return a comparison of each gradient
     * @throws IllegalArgumentException if a shape is not that of the problem
     * @throws IllegalStateException if this check was made without a gradient of the output
     */
    public List<Comparison> gradients(Gradients computed, Tolerance rule) {
        required(computed, "computed");
        required(rule, "rule");
        GradientTargets targets = gradients.orElseThrow(() -> new IllegalStateException(
                "This check has no gradients to compare with: make it with AccuracyCheck.of(q, k, v, dO, options)."));
        requireShape("dq", computed.dQ(), shape.queryShape());
        requireShape("dk", computed.dK(), shape.keyShape());
        requireShape("dv", computed.dV(), shape.valueShape());
        List<Comparison> comparisons = new ArrayList<>(List.of(
                compare("dq", computed.dQ(), GradientTargets::dQ, targets, rule),
                compare("dk", computed.dK(), GradientTargets::dK, targets, rule),
                compare("dv", computed.dV(), GradientTargets::dV, targets, rule)));
        computed.dBias()
                .filter(_ -> targets.reference.dBias().length > 0)
                .ifPresent(tensor -> comparisons.add(compare("dbias", tensor, GradientTargets::dBias, targets, rule)));
        // A few sums over all queries are no yardstick of themselves: each has the errors of D, as dQ has.
        double ofQueries = Tolerance.naiveError(targets.oracle.dQ(), targets.naive.dQ());
        computed.dSinks()
                .filter(_ -> targets.reference.dSinks().length > 0)
                .ifPresent(tensor ->
                        comparisons.add(compare("dsinks", tensor, GradientTargets::dSinks, targets, rule, ofQueries)));
        return comparisons;
    }

    private Comparison compare(
            String name,
            Tensor computed,
            Function<GradientTargets, GradientTargets.Of> which,
            GradientTargets targets,
            Tolerance rule) {
        return compare(name, computed, which, targets, rule, 0);
    }

    /** @param least that the naive gradient is taken to be off by */
    private Comparison compare(
            String name,
            Tensor computed,
            Function<GradientTargets, GradientTargets.Of> which,
            GradientTargets targets,
            Tolerance rule,
            double least) {
        GradientTargets.Of of = which.apply(targets);
        return rule.compare(
                name,
                computed.toFloatArray(),
                of.reference(),
                Math.max(Tolerance.naiveError(of.oracle(), of.naive()), least));
    }

    private static void requireShape(String name, Tensor tensor, int[] shape) {
        if (!Arrays.equals(tensor.shape(), shape)) {
            throw new IllegalArgumentException(
                    "%s is %s: its shape must be %s.".formatted(name, tensor, Arrays.toString(shape)));
        }
    }
}
