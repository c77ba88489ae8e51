package org.tornadoattention.intrinsic;

/** 16-bit floats, E4M3 and TF32 as the hardware rounds them. */
public final class Bits {

    private static final int TF32_DROPPED = 13;

    private static final int E4M3_DROPPED = 20;
    private static final int E4M3_NAN = 0x7f;
    private static final int E4M3_REBIASED = 127 - 7 << 3;
    private static final float E4M3_LARGEST = 448f;
    private static final float E4M3_SMALLEST_NORMAL = 0x1p-6f;
    private static final float E4M3_STEP_BELOW = 0x1p-9f;

    private Bits() {}

    /**
     * The bits of a float rounded to nearest even, for {@link Warp#F16}, {@link Warp#BF16} or {@link Warp#E4M3}; the
     * last has no infinities, its largest number takes their place and that of all larger ones.
     *
     * @param type {@link Warp#F16}, {@link Warp#BF16} or {@link Warp#E4M3}
     * @param value any number, infinity or NaN
     * @return the bits of the element, in the lowest of the int
     */
    public static int encode(int type, float value) {
        return switch (type) {
            case Warp.F16 -> Short.toUnsignedInt(Float.floatToFloat16(value));
            case Warp.E4M3 -> Float.floatToRawIntBits(value) >>> 24 & 0x80 | magnitudeE4M3(Math.abs(value));
            default -> brainFloat(value);
        };
    }

    private static int magnitudeE4M3(float magnitude) {
        if (Float.isNaN(magnitude)) {
            return E4M3_NAN;
        }
        if (magnitude < E4M3_SMALLEST_NORMAL) {
            return (int) Math.rint(magnitude / E4M3_STEP_BELOW);
        }
        int bits = Float.floatToRawIntBits(Math.min(magnitude, E4M3_LARGEST));
        int even = bits >>> E4M3_DROPPED & 1;
        return (bits + (1 << E4M3_DROPPED - 1) - 1 + even >>> E4M3_DROPPED) - E4M3_REBIASED;
    }

    private static int brainFloat(float value) {
        int bits = Float.floatToIntBits(value);
        int even = bits >>> Short.SIZE & 1;
        return (Float.isNaN(value) ? bits : bits + 0x7fff + even) >>> Short.SIZE;
    }

    /**
     * {@return the float of the lowest bits, for {@link Warp#F16}, {@link Warp#BF16} or {@link Warp#E4M3}}
     *
     * @param type {@link Warp#F16}, {@link Warp#BF16} or {@link Warp#E4M3}
     * @param bits the element, in the lowest bits
     */
    public static float decode(int type, int bits) {
        return switch (type) {
            case Warp.F16 -> Float.float16ToFloat((short) bits);
            case Warp.E4M3 -> (bits & 0x80) == 0 ? decodeE4M3(bits & 0x7f) : -decodeE4M3(bits & 0x7f);
            default -> Float.intBitsToFloat(bits << Short.SIZE);
        };
    }

    private static float decodeE4M3(int bits) {
        if (bits == E4M3_NAN) {
            return Float.NaN;
        }
        return bits < 8 ? bits * E4M3_STEP_BELOW : Float.intBitsToFloat(bits + E4M3_REBIASED << E4M3_DROPPED);
    }

    /**
     * Rounds to 10 bits of mantissa, ties away from zero.
     *
     * @param value any number, infinity or NaN
     * @return the rounded number; infinities and NaN stay as they are
     */
    public static float roundToTF32(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (!Float.isFinite(value)) {
            return value;
        }
        return Float.intBitsToFloat(bits + (1 << TF32_DROPPED - 1) & -(1 << TF32_DROPPED));
    }
}
