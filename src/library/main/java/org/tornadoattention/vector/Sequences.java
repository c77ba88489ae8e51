package org.tornadoattention.vector;

import java.util.Arrays;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;

/**
 * The sizes of a problem: sequences with as many queries and keys as each has.
 *
 * @param heads query heads
 * @param kvHeads key and value heads, a divisor of heads
 * @param headDim elements of a query and a key
 * @param valueDim elements of a value and of the output
 * @param queries of each sequence
 * @param keys of each sequence
 */
record Sequences(int heads, int kvHeads, int headDim, int valueDim, int[] queries, int[] keys) {

    /** Those of a dense problem, whose key lengths count. */
    static Sequences of(AttentionShape shape, AttentionOptions options) {
        int[] queries = new int[shape.batch()];
        Arrays.fill(queries, shape.seqQ());
        int[] keys = new int[shape.batch()];
        Arrays.setAll(keys, entry -> options.keyLength(entry, shape.seqK()));
        return new Sequences(shape.heads(), shape.kvHeads(), shape.headDim(), shape.valueDim(), queries, keys);
    }

    /** The larger of the head dimensions: rows of both are padded to it where they are used together. */
    int widestDim() {
        return Math.max(headDim, valueDim);
    }

    int count() {
        return queries.length;
    }

    /** Query heads that share a head of keys and values. */
    int group() {
        return heads / kvHeads;
    }
}
