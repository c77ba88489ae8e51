package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * A problem with seeded normal inputs, and the rule that a kernel's answer is judged by.
 *
 * @param queryFactor what the queries are multiplied by
 * @param keyValueFactor what the keys and values are multiplied by
 * @param naiveErrors how many times the error of standard attention is allowed, half as many more with 8-bit products
 * @param seed of the inputs
 */
public record AttentionCase(
        AttentionShape shape,
        DType dtype,
        AttentionOptions options,
        float queryFactor,
        float keyValueFactor,
        double naiveErrors,
        long seed) {

    /**
     * What kernels one after the other are held against, by thread, for classes run side by side: the oracle takes
     * longer than they do.
     */
    private static final ThreadLocal<Checked> LAST = new ThreadLocal<>();

    private record Checked(AttentionCase problem, boolean gradients, AccuracyCheck check) {}

    static AttentionCase of(AttentionShape shape, DType dtype, AttentionOptions options) {
        return new AttentionCase(shape, dtype, options, 1, 1, 2, 1);
    }

    AttentionCase withType(DType newType) {
        return new AttentionCase(shape, newType, options, queryFactor, keyValueFactor, naiveErrors, seed);
    }

    AttentionCase withFactors(float newQueryFactor, float newKeyValueFactor) {
        return new AttentionCase(shape, dtype, options, newQueryFactor, newKeyValueFactor, naiveErrors, seed);
    }

    AttentionCase withNaiveErrors(double newNaiveErrors) {
        return new AttentionCase(shape, dtype, options, queryFactor, keyValueFactor, newNaiveErrors, seed);
    }

    AttentionCase withSeed(long newSeed) {
        return new AttentionCase(shape, dtype, options, queryFactor, keyValueFactor, naiveErrors, newSeed);
    }

    /** The same with another number of batch entries; the options must not depend on it. */
    AttentionCase withBatch(int batch) {
        AttentionShape other =
                new AttentionShape(batch, shape.heads(), shape.kvHeads(), shape.seqQ(), shape.seqK(), shape.headDim());
        return new AttentionCase(other, dtype, options, queryFactor, keyValueFactor, naiveErrors, seed);
    }

    Tensor q() {
        return normal(3 * seed, queryFactor, shape.queryShape());
    }

    Tensor k() {
        return normal(3 * seed + 1, keyValueFactor, shape.keyShape());
    }

    Tensor v() {
        return normal(3 * seed + 2, keyValueFactor, shape.keyShape());
    }

    /** A gradient with respect to the output. */
    Tensor dO() {
        return normal(~seed, 1, shape.queryShape());
    }

    private Tensor normal(long tensorSeed, float factor, int... dimensions) {
        float[] values = Tensor.random(DType.F32, tensorSeed, dimensions).toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] *= factor;
        }
        return Tensor.of(dtype, values, dimensions);
    }

    /** Multiply-adds of QKᵀ without a mask: what a kernel costs. */
    long work() {
        return shape.scoreElements() * shape.headDim();
    }

    /** The kernels that claim to compute it, or of those the ones that {@code -Dattention.kernels=a,b} names. */
    List<AttentionKernel> kernels() {
        String wanted = System.getProperty("attention.kernels", "");
        return Arrays.stream(AttentionKernel.values())
                .filter(kernel -> wanted.isEmpty() || List.of(wanted.split(",")).contains(kernel.id()))
                .filter(kernel -> kernel.supports(dtype) && kernel.supports(TestDevice.of(kernel)))
                .filter(kernel -> kernel.supports(shape.widestDim()))
                .filter(kernel -> kernel.supportsDropout() || !options.hasDropout())
                .toList();
    }

    /** Those of them that run in task graphs. */
    List<AttentionKernel> kernelsOfTaskGraphs() {
        return kernels().stream()
                .filter(kernel -> kernel.supports(TestDevice.get()))
                .toList();
    }

    AttentionResult run(FlashAttention attention) {
        return attention.forward(q(), k(), v(), options);
    }

    AttentionResult run(AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            return run(attention);
        }
    }

    /** Holds output and log-sum-exp against the oracle. */
    void assertAccurate(AttentionResult result) {
        boolean fp8 = result.execution()
                .map(Execution::kernel)
                .map(AttentionKernel::parse)
                .filter(AttentionKernel::isFp8)
                .isPresent();
        Tolerance tolerance = fp8 ? Tolerance.forwardFp8() : Tolerance.forward(dtype);
        assertThat(check(false)
                        .ofProducts(fp8)
                        .forward(
                                result.output(),
                                result.logSumExp(),
                                tolerance.withFactor(tolerance.factor() / 2 * naiveErrors)))
                .as("%s", this)
                .allMatch(Comparison::passed);
    }

    /** Holds the gradients of a result, from {@link #dO}, against the oracle. */
    void assertGradientsAccurate(FlashAttention attention, AttentionResult result) {
        assertThat(check(true).gradients(attention.backward(result, dO())))
                .as("%s", this)
                .allMatch(Comparison::passed);
    }

    /** Holds a result and its gradients against the oracle, which computes once for both. */
    void assertAllAccurate(FlashAttention attention, AttentionResult result) {
        check(true);
        assertAccurate(result);
        assertGradientsAccurate(attention, result);
    }

    private AccuracyCheck check(boolean gradients) {
        Checked last = LAST.get();
        if (last == null || !last.problem.equals(this) || gradients && !last.gradients) {
            AccuracyCheck check = gradients
                    ? AccuracyCheck.of(q(), k(), v(), dO(), options)
                    : AccuracyCheck.of(q(), k(), v(), options);
            LAST.set(new Checked(this, gradients, check));
            return check;
        }
        return last.check;
    }

    @Override
    public String toString() {
        return "%s, batch %d, heads %d/%d, %d x %d, d %d, %s%s"
                .formatted(
                        dtype,
                        shape.batch(),
                        shape.heads(),
                        shape.kvHeads(),
                        shape.seqQ(),
                        shape.seqK(),
                        shape.headDim(),
                        options,
                        queryFactor == 1 && keyValueFactor == 1
                                ? ""
                                : ", q x %s, k and v x %s".formatted(queryFactor, keyValueFactor));
    }
}
