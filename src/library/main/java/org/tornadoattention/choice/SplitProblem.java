package org.tornadoattention.choice;

import org.tornadoattention.kernel.parts.KeySplit;
import org.tornadoattention.tensor.DType;

/**
 * What {@link DecodeChoice} divides.
 *
 * @param group query heads of a KV head
 * @param kvHeads key and value heads
 * @param headDim elements per head
 * @param seqQ queries of a sequence
 * @param sequences sequences side by side
 * @param keys keys of a sequence at most
 * @param dtype of tokens, and of the cache unless that is quantised
 * @param quantized whether the cache holds bytes with scales
 * @param functions whether there are functions of a user's or a bias
 * @param headsTogether whether the KV heads of a cached token lie side by side
 * @param pageSize tokens of a page, or all
 */
public record SplitProblem(
        int group,
        int kvHeads,
        int headDim,
        int seqQ,
        int sequences,
        int keys,
        DType dtype,
        boolean quantized,
        boolean functions,
        boolean headsTogether,
        int pageSize) {

    /**
     * Without functions, of a cache whose heads have their tokens one behind the other.
     *
     * @param group query heads of a KV head
     * @param kvHeads key and value heads
     * @param headDim elements per head
     * @param seqQ queries of a sequence
     * @param sequences sequences side by side
     * @param keys keys of a sequence at most
     * @param dtype of tokens, and of the cache unless that is quantised
     * @param quantized whether the cache holds bytes with scales
     */
    public SplitProblem(
            int group, int kvHeads, int headDim, int seqQ, int sequences, int keys, DType dtype, boolean quantized) {
        this(group, kvHeads, headDim, seqQ, sequences, keys, dtype, quantized, false, false, keys);
    }

    /**
     * {@return the same with functions of a user's or a bias, or without}
     *
     * @param some whether there are some
     */
    public SplitProblem withFunctions(boolean some) {
        return new SplitProblem(
                group, kvHeads, headDim, seqQ, sequences, keys, dtype, quantized, some, headsTogether, pageSize);
    }

    /**
     * {@return the same where the KV heads of a cached token lie side by side}
     *
     * @param tokens of a page
     */
    public SplitProblem withHeadsTogether(int tokens) {
        return new SplitProblem(
                group, kvHeads, headDim, seqQ, sequences, keys, dtype, quantized, functions, true, tokens);
    }

    /** {@return pairs of a token and a query head, for each sequence and KV head} */
    public int rows() {
        return Math.multiplyExact(seqQ, group);
    }

    /**
     * {@return groups that there would be without splits}
     *
     * @param rows pairs of a token and a query head in a tile, 1 or more
     */
    public int groups(int rows) {
        return Math.max(1, sequences * kvHeads * KeySplit.tiles(seqQ, group, rows));
    }
}
