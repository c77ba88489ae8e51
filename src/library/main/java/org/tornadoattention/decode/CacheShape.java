package org.tornadoattention.decode;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.SplitProblem;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The sizes of a key-value cache: pages of {@code pageSize} tokens, of which each sequence has {@code pagesPerSequence}
 * at most. A contiguous cache has one page a sequence.
 *
 * @param sequences sequences side by side, 1 or more
 * @param heads query heads, a multiple of {@code kvHeads}
 * @param kvHeads key and value heads
 * @param headDim elements per head
 * @param pageSize tokens of a page, 1 or more
 * @param pagesPerSequence pages of a sequence at most, 1 or more
 * @param pages pages in all, 1 or more
 * @param dtype type of new tokens, queries and output, and of the cache
 * @param type whether the cache holds bytes instead, with a scale for each head of each page
 */
public record CacheShape(
        int sequences,
        int heads,
        int kvHeads,
        int headDim,
        int pageSize,
        int pagesPerSequence,
        int pages,
        DType dtype,
        CacheType type) {

    /** Checks the ranges given above, and that an array holds the cache. */
    public CacheShape {
        new AttentionShape(sequences, heads, kvHeads, 1, 1, headDim); // the ranges that all attention has
        if (sequences < 1 || pageSize < 1 || pagesPerSequence < 1 || pages < 1) {
            throw new IllegalArgumentException(
                    "A cache of %d sequences, %d pages of %d tokens, %d pages a sequence: each must be 1 or more."
                            .formatted(sequences, pages, pageSize, pagesPerSequence));
        }
        if ((long) pageSize * pagesPerSequence > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "A sequence of %,d pages of %d tokens has %,d tokens, and positions are counted to %,d: take a smaller capacity."
                            .formatted(
                                    pagesPerSequence, pageSize, (long) pageSize * pagesPerSequence, Integer.MAX_VALUE));
        }
        long tables = (long) sequences * (StepLayout.SEQUENCE_FIELDS + pagesPerSequence);
        if (tables > Tensor.MAX_ELEMENTS / 2) {
            throw new IllegalArgumentException(
                    "The page tables of %,d sequences of %,d pages have %,d numbers, and half an array holds %,d: take a smaller capacity, larger pages or fewer sequences."
                            .formatted(sequences, pagesPerSequence, tables, Tensor.MAX_ELEMENTS / 2));
        }
        double elements = (double) pages * kvHeads * pageSize * SplitKeyAttention.rowStride(headDim);
        if (elements > Tensor.MAX_ELEMENTS) {
            throw new IllegalArgumentException(
                    "A cache of %d pages x %d heads x %d tokens x %d: that is %,.0f elements, and an array holds %,d; take fewer or several caches."
                            .formatted(pages, kvHeads, pageSize, headDim, elements, Tensor.MAX_ELEMENTS));
        }
    }

    /** A cache with a page of {@code capacity} tokens for each sequence. */
    public static CacheShape contiguous(
            int sequences, int heads, int kvHeads, int headDim, int capacity, DType dtype, CacheType type) {
        return new CacheShape(sequences, heads, kvHeads, headDim, capacity, 1, sequences, dtype, type);
    }

    /** Tokens that a sequence may have. */
    public int capacity() {
        return pageSize * pagesPerSequence;
    }

    /** Query heads of a KV head. */
    public int group() {
        return heads / kvHeads;
    }

    /** Elements of the keys, and of the values. */
    public int cacheElements() {
        return pages * kvHeads * pageSize * SplitKeyAttention.rowStride(headDim);
    }

    /** What a step of {@code seqQ} tokens per sequence divides. */
    SplitProblem problem(int seqQ) {
        return new SplitProblem(group(), kvHeads, headDim, seqQ, sequences, capacity(), dtype, type.isQuantized());
    }
}
