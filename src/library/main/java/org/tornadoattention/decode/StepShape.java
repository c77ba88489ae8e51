package org.tornadoattention.decode;

import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.parts.KeySplit;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;

/**
 * What one step of inference is compiled for; everything that changes between steps travels in arrays.
 *
 * @param sequences sequences side by side
 * @param tokens query tokens of all sequences
 * @param seqQ tokens of each sequence, 0 for packed tokens
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements per head
 * @param pageSize tokens of a page
 * @param pagesPerSequence pages of a sequence, 0 for packed keys
 * @param rotaryDim dimensions of a head that the rotary embedding turns, 0 for none
 * @param interleaved whether neighbouring dimensions turn together
 * @param dtype of tokens and output
 * @param type what the cache holds
 * @param functions of scores and mask, and the bias
 * @param sinks whether heads have sinks
 * @param softcap that chunks by warp groups are compiled for; elsewhere it travels too
 * @param alibi whether such chunks have slopes
 */
record StepShape(
        int sequences,
        int tokens,
        int seqQ,
        int heads,
        int kvHeads,
        int headDim,
        int pageSize,
        int pagesPerSequence,
        int rotaryDim,
        boolean interleaved,
        DType dtype,
        CacheType type,
        UserFunctions functions,
        boolean sinks,
        float softcap,
        boolean alibi) {

    /** Without functions and sinks. */
    StepShape(
            int sequences,
            int tokens,
            int seqQ,
            int heads,
            int kvHeads,
            int headDim,
            int pageSize,
            int pagesPerSequence,
            int rotaryDim,
            boolean interleaved,
            DType dtype,
            CacheType type) {
        this(
                sequences,
                tokens,
                seqQ,
                heads,
                kvHeads,
                headDim,
                pageSize,
                pagesPerSequence,
                rotaryDim,
                interleaved,
                dtype,
                type,
                UserFunctions.NONE,
                false,
                0f,
                false);
    }

    /** The same with functions, and with sinks or without. */
    StepShape with(UserFunctions added, boolean withSinks) {
        return with(added, withSinks, softcap, alibi);
    }

    /** The same with functions and terms, as chunks by warp groups are compiled for them. */
    StepShape with(UserFunctions added, boolean withSinks, float softcapOfChunks, boolean slopesOfChunks) {
        return new StepShape(
                sequences,
                tokens,
                seqQ,
                heads,
                kvHeads,
                headDim,
                pageSize,
                pagesPerSequence,
                rotaryDim,
                interleaved,
                dtype,
                type,
                added,
                withSinks,
                softcapOfChunks,
                slopesOfChunks);
    }

    /** A step of a cache, of up to {@code seqQ} tokens a sequence. */
    static StepShape of(CacheShape cache, int seqQ, int rotaryDim, boolean interleaved) {
        return new StepShape(
                cache.sequences(),
                cache.sequences() * seqQ,
                seqQ,
                cache.heads(),
                cache.kvHeads(),
                cache.headDim(),
                cache.pageSize(),
                cache.pagesPerSequence(),
                rotaryDim,
                interleaved,
                cache.dtype(),
                cache.type());
    }

    int group() {
        return heads / kvHeads;
    }

    /** Query heads of all tokens. */
    int queryRows() {
        return Math.toIntExact((long) tokens * heads);
    }

    /** Tiles of all sequences for one KV head; packed sequences may each have one that is not full. */
    int tiles(int rows) {
        return seqQ > 0
                ? sequences * KeySplit.tiles(seqQ, group(), rows)
                : Math.toIntExact((long) tokens * group() / rows + sequences);
    }
}
