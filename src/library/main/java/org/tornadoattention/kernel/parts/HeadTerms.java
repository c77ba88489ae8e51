package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Numbers of each query head, in one array {@code [terms, heads]} that every kernel takes: the slopes of ALiBi, if there are
 * any. Only this class knows where they lie.
 */
public final class HeadTerms {

    private HeadTerms() {}

    /** Elements of the array: at least one, since there are no empty arrays on a device. */
    public static int size(int heads, int features) {
        return (features & Features.ALIBI) != 0 ? heads : 1;
    }

    /** The slope of a head, 0 without ALiBi. */
    public static float slope(FloatArray headTerms, int head, int features) {
        float slope = 0f;
        if ((features & Features.ALIBI) != 0) {
            slope = headTerms.get(head);
        }
        return slope;
    }

    /** Sets the slope of a head. */
    public static void setSlope(FloatArray headTerms, int head, float slope) {
        headTerms.set(head, slope);
    }
}
