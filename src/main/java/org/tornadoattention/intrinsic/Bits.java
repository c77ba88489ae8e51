package org.tornadoattention.intrinsic;

/** 16-bit floats and TF32 as the hardware rounds them. */
public final class Bits {

    private static final int TF32_DROPPED = 13;

    private Bits() {}

    /** The bits of a float rounded to nearest even, for {@link Warp#F16} or {@link Warp#BF16}. */
    public static int encode(int type, float value) {
        return type == Warp.F16 ? Short.toUnsignedInt(Float.floatToFloat16(value)) : brainFloat(value);
    }

    private static int brainFloat(float value) {
        int bits = Float.floatToIntBits(value);
        int even = bits >>> Short.SIZE & 1;
        return (Float.isNaN(value) ? bits : bits + 0x7fff + even) >>> Short.SIZE;
    }

    /** The float of 16 bits, for {@link Warp#F16} or {@link Warp#BF16}. */
    public static float decode(int type, int bits) {
        return type == Warp.F16 ? Float.float16ToFloat((short) bits) : Float.intBitsToFloat(bits << Short.SIZE);
    }

    /** Rounds to 10 bits of mantissa, ties away from zero. */
    public static float roundToTF32(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (!Float.isFinite(value)) {
            return value;
        }
        return Float.intBitsToFloat(bits + (1 << TF32_DROPPED - 1) & -(1 << TF32_DROPPED));
    }
}
