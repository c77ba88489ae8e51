package org.tornadoattention.bench;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

/**
 * One decode step to measure: a query of each sequence over all of its keys.
 *
 * @param batch sequences
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param keys keys of each sequence
 * @param headDim elements per head
 * @param dtype of tokens, and of the cache unless that is FP8
 * @param fp8 whether the cache is FP8
 * @param pageSize tokens of a page, or 0 for a contiguous cache
 */
public record DecodeCase(
        int batch, int heads, int kvHeads, int keys, int headDim, DType dtype, boolean fp8, int pageSize) {

    /** Checks the ranges: a step needs a sequence and a key. */
    public DecodeCase {
        require(batch >= 1, "The batch is %d: it must be 1 or more.", batch);
        require(keys >= 1, "There are %d keys: a step appends a token, so there must be 1 or more.", keys);
        require(pageSize >= 0, "The page size is %d: it must be 1 or more, or 0 for a cache without pages.", pageSize);
        new AttentionShape(batch, heads, kvHeads, 1, keys, headDim); // checks the rest
    }

    private static void require(boolean condition, String message, int given) {
        if (!condition) {
            throw new IllegalArgumentException(message.formatted(given));
        }
    }

    /** Bytes of keys and values that a step has to read. */
    public double bytes() {
        return 2.0 * batch * kvHeads * keys * headDim * (fp8 ? 1 : dtype.byteSize());
    }

    /** Such as {@code F16 batch 8, 32/8 heads x 128, 4096 keys}. */
    @Override
    public String toString() {
        return "%s batch %d, %d/%d heads x %d, %d keys%s"
                .formatted(
                        fp8 ? "FP8" : dtype,
                        batch,
                        heads,
                        kvHeads,
                        headDim,
                        keys,
                        pageSize > 0 ? ", pages of " + pageSize : "");
    }
}
