package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * A number that is added to the score of each pair, {@code [1 or batch, 1 or heads, seqQ, seqK]}: F32, or 16-bit floats
 * as raw bits. Where its elements lie stands in an array of three steps: from one batch entry to the next, from one
 * head to the next, and from one query to the next; 0 where all share one.
 */
public final class DenseBias {

    private DenseBias() {}

    /** A score with its bias. */
    public static float add(
            float score, int batch, int head, int query, int key, FloatArray bias, IntArray steps, int features) {
        return score + bias.get(element(batch, head, query, key, steps));
    }

    /** The same for raw bits. */
    public static float add(
            float score, int batch, int head, int query, int key, ShortArray bias, IntArray steps, int features) {
        int element = element(batch, head, query, key, steps);
        float added = 0f;
        if ((features & Features.INTRINSICS) != 0) {
            added = Warp.load((features & Features.F16_BITS) != 0 ? Warp.F16 : Warp.BF16, bias, element);
        } else {
            added = Storage.load(bias, element, features);
        }
        return score + added;
    }

    /** 1 where eight keys from a multiple of 8 on lie so that a warp can read them at once. */
    public static int areEights(IntArray steps) {
        return ((steps.get(0) | steps.get(1) | steps.get(2)) & 7) == 0 ? 1 : 0;
    }

    /** A score with one of a pair of biases, 0 or 1. */
    public static float addOfPair(float score, int pair, int which, int features) {
        return score + Warp.unpack((features & Features.F16_BITS) != 0 ? Warp.F16 : Warp.BF16, pair, which);
    }

    /** The element of a pair. */
    public static int element(int batch, int head, int query, int key, IntArray steps) {
        return batch * steps.get(0) + head * steps.get(1) + query * steps.get(2) + key;
    }
}
