package org.tornadoattention.decode;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.choice.SplitProblem;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * What attention over packed sequences is compiled for. Tokens and sequences are what there is room for, rounded up, so
 * that batches of nearly the same size share a plan.
 *
 * @param sequences sequences at most
 * @param queries query tokens at most
 * @param keys key tokens at most
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements per head
 * @param dtype of all tensors
 * @param functions of scores and mask, and the bias
 * @param sinks whether heads have sinks
 */
record RaggedShape(
        int sequences,
        int queries,
        int keys,
        int heads,
        int kvHeads,
        int headDim,
        DType dtype,
        UserFunctions functions,
        boolean sinks) {

    private static final int LEAST = 16;

    /** With room for at least so many. */
    static RaggedShape roomFor(int sequences, Tensor q, Tensor k, AttentionOptions options) {
        return of(roundUp(sequences), roundUp(q.dimension(0)), roundUp(k.dimension(0)), q, k, options);
    }

    /** With room for just so many. */
    static RaggedShape exactly(int sequences, Tensor q, Tensor k, AttentionOptions options) {
        return of(sequences, q.dimension(0), k.dimension(0), q, k, options);
    }

    private static RaggedShape of(int sequences, int queries, int keys, Tensor q, Tensor k, AttentionOptions options) {
        return new RaggedShape(
                sequences,
                queries,
                keys,
                q.dimension(1),
                k.dimension(1),
                q.dimension(2),
                q.dtype(),
                UserFunctions.of(options),
                options.sinks().isPresent());
    }

    /** To an eighth of the power of two below, or to 16. */
    private static int roundUp(int count) {
        int unit = Math.max(LEAST, Integer.highestOneBit(Math.max(1, count)) / 8);
        return Math.ceilDiv(Math.max(1, count), unit) * unit;
    }

    /** Sequences of the mean number of queries. */
    SplitProblem problem() {
        return new SplitProblem(
                        heads / kvHeads,
                        kvHeads,
                        headDim,
                        Math.ceilDiv(queries, sequences),
                        sequences,
                        keys,
                        dtype,
                        false)
                .withFunctions(!functions.isEmpty());
    }

    StepShape step() {
        return new StepShape(
                        sequences, queries, 0, heads, kvHeads, headDim, 1, 0, 0, false, dtype, CacheType.UNQUANTIZED)
                .with(functions, sinks);
    }
}
