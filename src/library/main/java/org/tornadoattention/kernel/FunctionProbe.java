package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.Functions;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What a device makes of the functions of a user's, and of the derivative of the score function, at single pairs of a
 * query and a key.
 *
 * <p><b>Arrays.</b> scores {@code [pairs]}, what the functions are given; pairs {@code [pairs, 5]}: batch entry, head,
 * query, key and the query's position among the keys; results {@code [pairs]}.
 *
 * <p><b>Grid.</b> One dimension, a pair a work-item; groups of any size. No local memory. <b>Device.</b> Any.
 */
public final class FunctionProbe {

    /** Numbers of a pair. */
    public static final int FIELDS = 5;

    private FunctionProbe() {}

    /** What the scores become, {@link org.tornadoattention.kernel.parts.Score#NO_SCORE} where the key is hidden. */
    public static void scores(FloatArray scores, IntArray pairs, FloatArray results) {
        for (@Parallel int n = 0; n < results.getSize(); n++) {
            int at = n * FIELDS;
            results.set(
                    n,
                    Functions.score(
                            scores.get(n),
                            pairs.get(at),
                            pairs.get(at + 1),
                            pairs.get(at + 2),
                            pairs.get(at + 3),
                            pairs.get(at + 4)));
        }
    }

    /** The derivatives. */
    public static void slopes(FloatArray scores, IntArray pairs, FloatArray results) {
        for (@Parallel int n = 0; n < results.getSize(); n++) {
            int at = n * FIELDS;
            results.set(
                    n,
                    Functions.slope(
                            scores.get(n),
                            pairs.get(at),
                            pairs.get(at + 1),
                            pairs.get(at + 2),
                            pairs.get(at + 3),
                            pairs.get(at + 4)));
        }
    }
}
