package uk.ac.manchester.tornado.api.types;

/** Conversions between floats and bfloat16 bit patterns (1 sign, 8 exponent and 7 mantissa bits). */
public final class BFloat16 {

    /** The largest finite bfloat16. */
    public static final float BF16_MAX = 0x1.FEp127f;

    private static final short NAN = 0x7FC0;

    private BFloat16() {}

    /** Returns the value of a bit pattern, exactly. */
    public static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** Rounds to the nearest bfloat16; ties go away from zero, overflow goes to infinity, and -0 becomes +0. */
    public static short bf16FromFloat(float value) {
        if (Float.isNaN(value)) {
            return NAN;
        }
        if (value == 0.0f) {
            return 0;
        }
        return (short) ((Float.floatToRawIntBits(value) + 0x8000) >>> 16);
    }
}
