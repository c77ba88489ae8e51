package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * How a row of the output ends: {@code O = o / l} and {@code L = m + ln l}, with m the maximum that l and o are
 * relative to. A query that saw no key gets 0 and −∞, or with a sink that. What enters the sum of a row without being a
 * key enters here: kernels give the terms of the row's head.
 */
public final class RowEnd {

    public static final float LN_2 = 0.6931471805599453f;
    private static final int NEGATIVE_INFINITY_BITS = 0xff800000;

    private RowEnd() {}

    /** What o is multiplied by. */
    public static float inverse(float max, float sum, FloatArray headTerms, int head, int features) {
        float inverse = 0f;
        if (sum != 0f) {
            inverse = 1f / sum;
        }
        if ((features & Features.SINKS) != 0) {
            float sink = HeadTerms.sink(headTerms, head, features);
            float top = TornadoMath.max(max, sink);
            float scaled = TornadoMath.exp(max - top);
            inverse = scaled / (scaled * sum + TornadoMath.exp(sink - top));
        }
        return inverse;
    }

    /** An element of an unnormalised row over its sum. */
    public static float normalized(float element, float max, float sum, FloatArray headTerms, int head, int features) {
        float normalized = element / sum;
        if ((features & Features.SINKS) != 0) {
            normalized = element * inverse(max, sum, headTerms, head, features);
        }
        return normalized;
    }

    /** The row's log-sum-exp. */
    public static float logSumExp(float max, float sum, FloatArray headTerms, int head, int features) {
        float logSumExp = Float.NEGATIVE_INFINITY;
        if (sum != 0f) {
            logSumExp = max + TornadoMath.log(sum);
        }
        if ((features & Features.SINKS) != 0) {
            float sink = HeadTerms.sink(headTerms, head, features);
            float top = TornadoMath.max(max, sink);
            logSumExp = top + TornadoMath.log(TornadoMath.exp(max - top) * sum + TornadoMath.exp(sink - top));
        }
        return logSumExp;
    }

    /** A row's sum, of which four neighbouring lanes of a warp have a part each. */
    public static float sumOfLanes(float part) {
        float sum = part;
        sum += Warp.shuffleXor(sum, 1);
        sum += Warp.shuffleXor(sum, 2);
        return sum;
    }

    /** As {@link #inverse}, where exponents are of 2 and what a masked row holds means nothing. */
    public static float inverseOfWarp(
            boolean masked, float max, float sum, FloatArray headTerms, int head, int features) {
        float inverse = 1f / sum;
        if (Functions.arePresent()) {
            inverse = sum == 0f ? 0f : inverse;
        }
        if ((features & Features.SINKS) != 0) {
            float sink = HeadTerms.sink(headTerms, head, features) * WarpScores.LOG2_E;
            float top = TornadoMath.max(max, sink);
            float scaled = Warp.exp2(max - top);
            inverse = scaled / (scaled * sum + Warp.exp2(sink - top));
        }
        return masked ? 0f : inverse;
    }

    /** As {@link #logSumExp}, where exponents are of 2 and what a masked row holds means nothing. */
    public static float logSumExpOfWarp(
            boolean masked, float max, float sum, FloatArray headTerms, int head, int features) {
        float logSumExp = LN_2 * max + TornadoMath.log(sum);
        float ofNone = negativeInfinity();
        if (Functions.arePresent()) {
            logSumExp = sum == 0f ? ofNone : logSumExp;
        }
        if ((features & Features.SINKS) != 0) {
            ofNone = HeadTerms.sink(headTerms, head, features);
            float sink = ofNone * WarpScores.LOG2_E;
            float top = TornadoMath.max(max, sink);
            logSumExp = LN_2 * top + TornadoMath.log(Warp.exp2(max - top) * sum + Warp.exp2(sink - top));
        }
        return masked ? ofNone : logSumExp;
    }

    /** As {@link #inverseOfWarp}, of one of several parts of the keys: the first has the sink. */
    public static float inverseOfPart(int part, float max, float sum, FloatArray headTerms, int head, int features) {
        float inverse = sum == 0f ? 0f : 1f / sum;
        if ((features & Features.SINKS) != 0) {
            if (part == 0) {
                float sink = HeadTerms.sink(headTerms, head, features) * WarpScores.LOG2_E;
                float top = TornadoMath.max(max, sink);
                float scaled = Warp.exp2(max - top);
                inverse = scaled / (scaled * sum + Warp.exp2(sink - top));
            }
        }
        return inverse;
    }

    /** As {@link #logSumExpOfWarp}, of one of several parts: {@link Score#NO_SCORE} where it has nothing. */
    public static float logSumExpOfPart(int part, float max, float sum, FloatArray headTerms, int head, int features) {
        float logSumExp = sum == 0f ? Score.NO_SCORE : LN_2 * max + TornadoMath.log(sum);
        if ((features & Features.SINKS) != 0) {
            if (part == 0) {
                float sink = HeadTerms.sink(headTerms, head, features) * WarpScores.LOG2_E;
                float top = TornadoMath.max(max, sink);
                logSumExp = LN_2 * top + TornadoMath.log(Warp.exp2(max - top) * sum + Warp.exp2(sink - top));
            }
        }
        return logSumExp;
    }

    /** −∞. Of {@link Float#NEGATIVE_INFINITY} TornadoVM makes {@code -1.0F / 0.0F}, which CUDA carries out, slowly. */
    public static float negativeInfinity() {
        return Reinterpret.asFloat(NEGATIVE_INFINITY_BITS);
    }
}
