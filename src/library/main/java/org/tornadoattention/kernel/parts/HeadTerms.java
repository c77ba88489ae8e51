package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Numbers of each query head, in one array {@code [terms, heads]} that every kernel takes: the slopes of ALiBi and the
 * sinks, as far as there are any. Only this class knows where they lie; over the caches of this library it is
 * {@link StepLayout}, whose array has them among others.
 */
public final class HeadTerms {

    private HeadTerms() {}

    /** Elements of the array: at least one, since there are no empty arrays on a device. */
    public static int size(int heads, int features) {
        int terms = ((features & Features.ALIBI) != 0 ? 1 : 0) + ((features & Features.SINKS) != 0 ? 1 : 0);
        return terms == 0 ? 1 : terms * heads;
    }

    /** The slope of a head, 0 without ALiBi. */
    public static float slope(FloatArray headTerms, int head, int features) {
        float slope = 0f;
        if ((features & Features.ALIBI) != 0) {
            slope = CachedKeys.areStepsRead() ? StepLayout.slope(headTerms, head) : headTerms.get(head);
        }
        return slope;
    }

    /** The sink of a head; only where there are sinks. */
    public static float sink(FloatArray headTerms, int head, int features) {
        return CachedKeys.areStepsRead()
                ? StepLayout.sink(headTerms, head)
                : headTerms.get(firstSink(headTerms, features) + head);
    }

    private static int firstSink(FloatArray headTerms, int features) {
        int first = 0;
        if ((features & Features.ALIBI) != 0) {
            first = headTerms.getSize() / 2;
        }
        return first;
    }

    /** Sets the sink of a head. */
    public static void setSink(FloatArray headTerms, int head, float sink, int features) {
        headTerms.set(firstSink(headTerms, features) + head, sink);
    }

    /** Sets the slope of a head. */
    public static void setSlope(FloatArray headTerms, int head, float slope) {
        headTerms.set(head, slope);
    }
}
