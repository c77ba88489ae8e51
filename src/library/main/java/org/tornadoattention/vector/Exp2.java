package org.tornadoattention.vector;

/** {@code 2^x} in F32: its polynomial, and the scalar form of what {@link VectorLanes} computes, to the last bit. */
final class Exp2 {

    /** Coefficients of {@code 2^f} for f from −1/2 to 1/2, from {@code f} to {@code f^6}; the constant is 1. */
    static final float C1 = 0x1.62e430p-1f;

    static final float C2 = 0x1.ebfbdcp-3f;
    static final float C3 = 0x1.c6aee8p-5f;
    static final float C4 = 0x1.3b2d4cp-7f;
    static final float C5 = 0x1.5f3e3ap-10f;
    static final float C6 = 0x1.41fb88p-13f;

    /** {@code log₂ e}: natural scores times this are powers of two. */
    static final double LOG2_E = 1.4426950408889634;

    /** {@code e^(-2x) = 2^(TWICE_DOWN · x)}. */
    static final float TWICE_DOWN = (float) (-2 * LOG2_E);

    /** Up to here {@code tanh x = x + x³ · p(x²)}, since {@code 1 - e^(-2x)} loses digits; p's coefficients follow. */
    static final float TANH_SMALL = 0.625f;

    static final float T0 = -0x1.55551cp-2f;
    static final float T1 = 0x1.110272p-3f;
    static final float T2 = -0x1.b79fdcp-5f;
    static final float T3 = 0x1.4e33d2p-6f;
    static final float T4 = -0x1.647cf0p-8f;

    private static final float LEAST_EXPONENT = -127;
    private static final float ROUNDER = 0x1.8p23f + 127;

    private Exp2() {}

    /** {@code tanh x}. */
    static float tanh(float x) {
        float size = Math.abs(x);
        if (size < TANH_SMALL) {
            float z = x * x;
            float p = Fused.fma(z, T4, T3);
            p = Fused.fma(p, z, T2);
            p = Fused.fma(p, z, T1);
            p = Fused.fma(p, z, T0);
            return Fused.fma(p * z, x, x);
        }
        float u = of(size * TWICE_DOWN);
        return Math.copySign((1 - u) / (1 + u), x);
    }

    /** {@code 2^x} for x up to 127, and 0 from −127 down; at most 2 units in the last place off. */
    static float of(float x) {
        float t = x < LEAST_EXPONENT ? LEAST_EXPONENT : x;
        float rounded = t + ROUNDER;
        float f = t - (rounded - ROUNDER);
        float p = Fused.fma(f, C6, C5);
        p = Fused.fma(p, f, C4);
        p = Fused.fma(p, f, C3);
        p = Fused.fma(p, f, C2);
        p = Fused.fma(p, f, C1);
        p = Fused.fma(p, f, 1);
        return p * Float.intBitsToFloat(Float.floatToRawIntBits(rounded) << 23);
    }
}
