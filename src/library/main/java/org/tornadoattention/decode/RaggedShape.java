package org.tornadoattention.decode;

import org.tornadoattention.choice.SplitProblem;
import org.tornadoattention.tensor.DType;

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
 */
record RaggedShape(int sequences, int queries, int keys, int heads, int kvHeads, int headDim, DType dtype) {

    private static final int LEAST = 16;

    /** With room for at least so many. */
    static RaggedShape roomFor(int sequences, int queries, int keys, int heads, int kvHeads, int headDim, DType dtype) {
        return new RaggedShape(roundUp(sequences), roundUp(queries), roundUp(keys), heads, kvHeads, headDim, dtype);
    }

    /** To an eighth of the power of two below, or to 16. */
    private static int roundUp(int count) {
        int unit = Math.max(LEAST, Integer.highestOneBit(Math.max(1, count)) / 8);
        return Math.ceilDiv(Math.max(1, count), unit) * unit;
    }

    /** Sequences of the mean number of queries. */
    SplitProblem problem() {
        return new SplitProblem(
                heads / kvHeads, kvHeads, headDim, Math.ceilDiv(queries, sequences), sequences, keys, dtype, false);
    }

    StepShape step() {
        return new StepShape(sequences, queries, 0, heads, kvHeads, headDim, 1, 0, 0, false, dtype, false);
    }
}
