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
 * @param cached whether functions, a bias and block masks count queries among the keys, and not from the first query
 */
record Sequences(int heads, int kvHeads, int headDim, int valueDim, int[] queries, int[] keys, boolean cached) {

    /** Whose queries are all that there are. */
    Sequences(int heads, int kvHeads, int headDim, int valueDim, int[] queries, int[] keys) {
        this(heads, kvHeads, headDim, valueDim, queries, keys, false);
    }

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

    /** Multiply-adds of both products, if all pairs are seen. */
    double multiplyAdds() {
        double pairs = 0;
        for (int sequence = 0; sequence < count(); sequence++) {
            pairs += (double) queries[sequence] * keys[sequence];
        }
        return pairs * heads * (headDim + valueDim);
    }

    /** The key that a query stands on, which is negative where there are fewer keys than queries. */
    int standing(int sequence, int query) {
        return query + keys[sequence] - queries[sequence];
    }

    /** The number by which functions, a bias and block masks know a query. */
    int number(int sequence, int query) {
        return cached ? Math.max(0, standing(sequence, query)) : query;
    }

    /** Keys of a sequence at most. */
    int mostKeys() {
        return Arrays.stream(keys).max().orElse(0);
    }

    /** Queries of a sequence at most. */
    int mostQueries() {
        return Arrays.stream(queries).max().orElse(0);
    }

    int count() {
        return queries.length;
    }

    /** Query heads that share a head of keys and values. */
    int group() {
        return heads / kvHeads;
    }
}
