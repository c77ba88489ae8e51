package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/** Scores bounded by {@code c · tanh(s / c)}. */
public final class Softcap {

    /** Up to here the series is exact to F32's last bit; beyond, {@code 1 - e^(-2x)} does not cancel. */
    private static final float SERIES_UP_TO = 0.25f;

    private Softcap() {}

    /**
     * {@code softcap · tanh(score / softcap)}. TornadoVM's PTX backend takes the hardware's tanh, which has 11 bits, so
     * it is computed here: by its Taylor series near 0, where a large softcap puts every score, and as {@code (1 - t) /
     * (1 + t)} with {@code t = e^(-2|x|)} elsewhere. Never overflows, and keeps NaN.
     */
    public static float apply(float score, float softcap) {
        float x = score / softcap;
        float square = x * x;
        float series = 1f + square * (-1f / 3f + square * (2f / 15f + square * (-17f / 315f + square * (62f / 2835f))));
        float magnitude = TornadoMath.abs(x);
        float t = TornadoMath.exp(-2f * magnitude);
        float far = (1f - t) / (1f + t);
        float near = magnitude * series;
        float bounded = softcap * (magnitude < SERIES_UP_TO ? near : far);
        return x < 0f ? -bounded : bounded;
    }

    /** The hyperbolic tangent, as exact everywhere as {@link #apply}. */
    public static float tanh(float x) {
        return apply(x, 1f);
    }

    /** The derivative of {@link #apply} where it gave {@code capped}. */
    public static float slope(float capped, float softcap) {
        float ratio = capped / softcap;
        return 1f - ratio * ratio;
    }
}
