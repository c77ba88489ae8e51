package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
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
            ReferenceAttention.Backward reference, ReferenceAttention.Backward oracle, NaiveAttention.Backward naive) {}

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
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static AccuracyCheck of(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        ReferenceAttention.Forward oracle = ReferenceAttention.forward(q, k, v, options);
        return of(q, k, v, options, oracle, oracle, Optional.empty());
    }

    /**
     * Computes the oracle and the naive result of a forward and a backward pass.
     *
     * @param dO the gradient with respect to the output, of the shape and type of {@code q}
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
     * @param dO the gradient with respect to the output, of the shape and type of {@code q}
     * @param dLse the gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}
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
     * Takes a golden case's arrays as the reference. How far the naive results are off is taken from the oracle, so that a
     * wrong file does not raise its own limits.
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
     * This check for a kernel whose products are of 8-bit numbers, if {@code fp8}, and else itself: its yardstick is {@link
     * NaiveAttention#forwardFp8} and its rule {@link Tolerance#forwardFp8}.
     */
    public AccuracyCheck ofProducts(boolean fp8) {
        return fp8
                ? new AccuracyCheck(
                        shape, dtype, reference, oracle, naiveFp8.get(), Tolerance.forwardFp8(), naiveFp8, gradients)
                : this;
    }

    /** What the output and the log-sum-exp must be. */
    public ReferenceAttention.Forward reference() {
        return reference;
    }

    /** What standard attention in the storage precision, or with products of 8-bit numbers, makes of it. */
    public NaiveAttention.Forward naive() {
        return naive;
    }

    /**
     * Compares an output and a log-sum-exp by {@link Tolerance#forward}, or {@link Tolerance#forwardFp8}: {@code o} and
     * {@code lse}.
     *
     * @throws IllegalArgumentException if a shape is not that of the problem
     */
    public List<Comparison> forward(Tensor output, Tensor logSumExp) {
        return forward(output, logSumExp, tolerance);
    }

    /**
     * Compares an output and a log-sum-exp by a rule of the caller's: {@code o} and {@code lse}.
     *
     * @throws IllegalArgumentException if a shape is not that of the problem
     */
    public List<Comparison> forward(Tensor output, Tensor logSumExp, Tolerance rule) {
        required(output, "output");
        required(logSumExp, "logSumExp");
        required(rule, "rule");
        requireShape("o", output, shape.queryShape());
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
     * Compares gradients by {@link Tolerance#gradients}: {@code dq}, {@code dk} and {@code dv}.
     *
     * @throws IllegalArgumentException if a shape is not that of the problem
     * @throws IllegalStateException    if this check was made without a gradient of the output
     */
    public List<Comparison> gradients(Gradients computed) {
        required(computed, "computed");
        GradientTargets targets = gradients.orElseThrow(() -> new IllegalStateException(
                "This check has no gradients to compare with: make it with AccuracyCheck.of(q, k, v, dO, options)."));
        requireShape("dq", computed.dQ(), shape.queryShape());
        requireShape("dk", computed.dK(), shape.keyShape());
        requireShape("dv", computed.dV(), shape.keyShape());
        Tolerance tolerance = Tolerance.gradients(dtype);
        return List.of(
                tolerance.compare(
                        "dq",
                        computed.dQ().toFloatArray(),
                        targets.reference.dQ(),
                        Tolerance.naiveError(targets.oracle.dQ(), targets.naive.dQ())),
                tolerance.compare(
                        "dk",
                        computed.dK().toFloatArray(),
                        targets.reference.dK(),
                        Tolerance.naiveError(targets.oracle.dK(), targets.naive.dK())),
                tolerance.compare(
                        "dv",
                        computed.dV().toFloatArray(),
                        targets.reference.dV(),
                        Tolerance.naiveError(targets.oracle.dV(), targets.naive.dV())));
    }

    private static void requireShape(String name, Tensor tensor, int[] shape) {
        if (!Arrays.equals(tensor.shape(), shape)) {
            throw new IllegalArgumentException(
                    "%s is %s: its shape must be %s.".formatted(name, tensor, Arrays.toString(shape)));
        }
    }
}
