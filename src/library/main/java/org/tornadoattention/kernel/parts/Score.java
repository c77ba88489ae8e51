package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * What softmax is taken of: {@code softcap(scale · q·k) - slope · |distance|}, where distance is that of the positions
 * of query and key. The scale is applied by the kernel, before or after the product.
 */
public final class Score {

    /**
     * Below every score that F32 inputs can give, yet finite: OpenCL's fast mode leaves infinities undefined, and
     * differences of it are never NaN.
     */
    public static final float NO_SCORE = -3.0e38f;

    /**
     * The number after {@link #NO_SCORE}: what is below it is hidden. Of {@code <=} TornadoVM makes one that NaN
     * fulfils.
     */
    public static final float LEAST_SEEN = -2.9999998e38f;

    private Score() {}

    /** The score of a scaled product. */
    public static float of(float scaled, float softcap, float slope, int distance, int features) {
        return biased(capped(scaled, softcap), slope, distance, features);
    }

    /** A scaled product within the softcap, if there is one. */
    public static float capped(float scaled, float softcap) {
        float score = scaled;
        if (softcap > 0f) {
            score = Softcap.apply(score, softcap);
        }
        return score;
    }

    /** A capped score with ALiBi's bias, if there is one. */
    public static float biased(float capped, float slope, int distance, int features) {
        float score = capped;
        if ((features & Features.ALIBI) != 0) {
            score = score - slope * TornadoMath.abs(distance);
        }
        return score;
    }

    /** As {@link #biased(float, float, int, int)}, for tensor cores' kernels, which have no int to spare. */
    public static float biased(float capped, float slope, float distance, int features) {
        float score = capped;
        if ((features & Features.ALIBI) != 0) {
            score = score - slope * TornadoMath.abs(distance);
        }
        return score;
    }

    /** The derivative of the score with respect to the scaled product where {@link #capped} gave {@code capped}. */
    public static float derivative(float capped, float softcap) {
        float derivative = 1f;
        if (softcap > 0f) {
            derivative = Softcap.slope(capped, softcap);
        }
        return derivative;
    }
}
