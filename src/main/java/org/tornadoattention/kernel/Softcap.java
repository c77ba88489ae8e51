package org.tornadoattention.kernel;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/** Scores bounded by {@code c · tanh(s / c)}. */
final class Softcap {

    private Softcap() {}

    /**
     * {@code softcap · tanh(score / softcap)}, by way of {@code tanh x = (1 - t) / (1 + t)} with {@code t = e^(-2x)} for
     * {@code x >= 0}: never overflows, keeps NaN, and is exact to F32's last bits where TornadoVM's PTX backend takes the
     * hardware's tanh, which has 11.
     */
    static float apply(float score, float softcap) {
        float x = score / softcap;
        float t = TornadoMath.exp(-2f * TornadoMath.abs(x));
        float bounded = softcap * ((1f - t) / (1f + t));
        return x < 0f ? -bounded : bounded;
    }
}
