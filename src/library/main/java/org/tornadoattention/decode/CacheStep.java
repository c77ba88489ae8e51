package org.tornadoattention.decode;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * What each sequence does in one execution of a cache's graph: which of the call's tokens are appended and which
 * attend.
 *
 * @param firstNew for each sequence, the first token that is appended, counted in the call's tensors
 * @param newTokens tokens that are appended
 * @param firstQuery the first token that attends
 * @param queries tokens that attend
 * @param following tokens of the sequence after those that attend
 */
record CacheStep(int[] firstNew, int[] newTokens, int[] firstQuery, int[] queries, int[] following) {

    /** The most queries that a sequence has in it and after it. */
    int queriesFromHere() {
        return IntStream.range(0, queries.length)
                .map(sequence -> queries[sequence] + following[sequence])
                .max()
                .orElse(0);
    }

    /** The most tokens that a sequence has in it. */
    int tokens() {
        return Math.max(
                Arrays.stream(newTokens).max().orElse(0),
                Arrays.stream(queries).max().orElse(0));
    }
}
