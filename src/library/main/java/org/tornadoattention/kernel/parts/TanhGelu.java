package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * GELU in its tanh form, {@code x/2 (1 + tanh u)} with {@code u = sqrt(2/pi) (x + 0.044715 x^3)}, written with the
 * logistic function s: {@code gelu(x) = x s(2u)}.
 */
public final class TanhGelu {

    private static final float TWICE_ROOT = 1.59576912f;
    private static final float CUBIC = 0.044715f;
    private static final float LOG2_E = 1.44269504f;
    /** Beyond it s is 0, and its exponential would be infinite. */
    private static final float LARGEST = 80f;

    private TanhGelu() {}

    /** {@return gelu(x)} */
    public static float of(float x) {
        return x * logistic(argument(x));
    }

    /** {@return the slope of gelu at x} */
    public static float slope(float x) {
        return slope(x, logistic(argument(x)));
    }

    /** {@return gelu(x), to some units in the last place, where {@link Warp} has the exponential of a GPU} */
    public static float fast(float x) {
        return x * fastLogistic(argument(x));
    }

    /** {@return the slope, likewise} */
    public static float fastSlope(float x) {
        return slope(x, fastLogistic(argument(x)));
    }

    private static float slope(float x, float s) {
        return s + x * s * (1f - s) * TWICE_ROOT * (1f + 3f * CUBIC * x * x);
    }

    private static float argument(float x) {
        return TWICE_ROOT * (x + CUBIC * x * x * x);
    }

    private static float logistic(float x) {
        return 1f / (1f + TornadoMath.exp(TornadoMath.min(-x, LARGEST)));
    }

    private static float fastLogistic(float x) {
        return Warp.divide(1f, 1f + Warp.exp2(TornadoMath.min(-x, LARGEST) * LOG2_E));
    }
}
