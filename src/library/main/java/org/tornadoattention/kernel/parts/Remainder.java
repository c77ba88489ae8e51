package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * Java's {@code x % y} of numbers that are not whole, of the sign of x: TornadoVM writes {@code %} for it, which OpenCL
 * C and CUDA have for whole numbers alone, and takes SPIR-V's instruction of those.
 */
public final class Remainder {

    private Remainder() {}

    /** {@code x % y}, off by the last bit of x at most. */
    public static float of(float x, float y) {
        float size = TornadoMath.abs(y);
        float whole = TornadoMath.floor(TornadoMath.abs(x / y));
        float rest = TornadoMath.abs(x) - (whole == 0f ? 0f : whole * size);
        // The quotient may have been rounded to the next whole number.
        float above = rest < 0f ? rest + size : rest;
        float inside = above >= size ? above - size : above;
        return x < 0f ? -inside : inside;
    }

    /** The same in float64. */
    public static double of(double x, double y) {
        double size = TornadoMath.abs(y);
        double whole = TornadoMath.floor(TornadoMath.abs(x / y));
        double rest = TornadoMath.abs(x) - (whole == 0 ? 0 : whole * size);
        double above = rest < 0 ? rest + size : rest;
        double inside = above >= size ? above - size : above;
        return x < 0 ? -inside : inside;
    }
}
