package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Functions of scores that many models have, for {@link AttentionOptions#withScore}. */
public final class Scores {

    private Scores() {}

    /**
     * A bias for each distance, the same beyond the farthest.
     *
     * @param table {@code [heads, 2 · farthest + 1]}: of each head the biases of the distances {@code key - query} from
     *     {@code -farthest} to {@code farthest}
     * @param farthest the distance from which on all have one bias, 0 or more
     * @return the function
     * @throws IllegalArgumentException if the table is null or no multiple of a row
     */
    public static ScoreFunction relative(FloatArray table, int farthest) {
        required(table, "table");
        int row = 2 * farthest + 1;
        requireRows("table", table.getSize(), row);
        return (s, b, h, i, j) -> s + table.get(h * row + Math.max(-farthest, Math.min(farthest, j - i)) + farthest);
    }

    /**
     * T5's bias: distances in buckets, one each for the near ones and wider ones further off.
     *
     * @param table {@code [heads, buckets]}
     * @param buckets how many, 4 or more
     * @param maxDistance from which on all are in the last bucket, more than a quarter of the buckets
     * @param bidirectional whether keys after the query have half of the buckets; otherwise they are in the first
     * @return the function
     * @throws IllegalArgumentException if the table is null or no multiple of a row, or a number is too small
     */
    public static ScoreFunction t5(FloatArray table, int buckets, int maxDistance, boolean bidirectional) {
        required(table, "table");
        if (buckets < 4 || maxDistance <= buckets / 2) {
            throw new IllegalArgumentException(
                    "T5 with %d buckets up to distance %d: there must be 4 or more, and the distance above half of them."
                            .formatted(buckets, maxDistance));
        }
        requireRows("table", table.getSize(), buckets);
        IntArray bucket = new IntArray(2 * maxDistance + 1);
        for (int distance = -maxDistance; distance <= maxDistance; distance++) {
            bucket.set(distance + maxDistance, t5Bucket(distance, buckets, maxDistance, bidirectional));
        }
        return (s, b, h, i, j) -> s
                + table.get(h * buckets
                        + bucket.get(Math.max(-maxDistance, Math.min(maxDistance, j - i)) + maxDistance));
    }

    /** The bucket of {@code key - query}, as in T5's own code. */
    private static int t5Bucket(int distance, int buckets, int maxDistance, boolean bidirectional) {
        int half = bidirectional ? buckets / 2 : buckets;
        int first = bidirectional && distance > 0 ? half : 0;
        int magnitude = bidirectional ? Math.abs(distance) : Math.max(0, -distance);
        int exact = half / 2;
        if (magnitude < exact) {
            return first + magnitude;
        }
        double ratio = Math.log((double) magnitude / exact) / Math.log((double) maxDistance / exact);
        return first + Math.min(half - 1, exact + (int) (ratio * (half - exact)));
    }

    /**
     * Swin's bias: tokens of an image, row by row, with a bias for each distance in both directions.
     *
     * @param table {@code [heads, 2 · height - 1, 2 · width - 1]}, by {@code query - key} down and across, from the
     *     most negative
     * @param height rows of the image, 1 or more
     * @param width tokens of a row, 1 or more
     * @return the function
     * @throws IllegalArgumentException if the table is null or no multiple of a row
     */
    public static ScoreFunction relative2d(FloatArray table, int height, int width) {
        required(table, "table");
        int across = 2 * width - 1;
        int size = (2 * height - 1) * across;
        requireRows("table", table.getSize(), size);
        return (s, b, h, i, j) -> s
                + table.get(
                        h * size + (i / width - j / width + height - 1) * across + i % width - j % width + width - 1);
    }

    /**
     * ALiBi, for queries and keys that are the same tokens.
     *
     * @param slopes {@code [heads]}, such as {@link AttentionOptions#alibiSlopes}
     * @return the function
     * @throws IllegalArgumentException if it is null
     */
    public static ScoreFunction alibi(FloatArray slopes) {
        required(slopes, "slopes");
        return (s, b, h, i, j) -> s - slopes.get(h) * Math.abs(i - j);
    }

    /**
     * Scores within a bound: {@code bound · tanh(s / bound)}.
     *
     * @param bound above 0
     * @return the function
     * @throws IllegalArgumentException if it is not above 0
     */
    public static ScoreFunction softcap(float bound) {
        if (!(bound > 0)) {
            throw new IllegalArgumentException("The bound is %s: it must be above 0.".formatted(bound));
        }
        return (s, b, h, i, j) -> bound * TornadoMath.tanh(s / bound);
    }

    private static void requireRows(String name, int size, int row) {
        if (row < 1 || size % row != 0) {
            throw new IllegalArgumentException(
                    "%s has %d elements: it must have %d for each head.".formatted(name, size, row));
        }
    }
}
