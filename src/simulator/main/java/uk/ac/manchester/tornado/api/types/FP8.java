package uk.ac.manchester.tornado.api.types;

/**
 * Conversions between floats and the two 8-bit floats: E4M3 (4 exponent bits, no infinity) and E5M2 (5 exponent bits).
 *
 * <p>Rounding is to nearest with ties away from zero; the sign of zero is not kept.
 */
public final class FP8 {

    /** The largest finite E4M3 value. */
    public static final float E4M3_MAX = 448.0f;

    /** The largest finite E5M2 value. */
    public static final float E5M2_MAX = 57344.0f;

    private static final byte NAN = 0x7F;
    private static final Format E4M3 = new Format(3, 7);
    private static final Format E5M2 = new Format(2, 15);

    private FP8() {}

    /** Returns the value of an E4M3 bit pattern. */
    public static float e4m3ToFloat(byte bits) {
        return (bits & 0x7F) == 0x7F ? Float.NaN : E4M3.decode(bits);
    }

    /** Rounds to E4M3; magnitudes above {@link #E4M3_MAX} saturate. */
    public static byte e4m3FromFloat(float value) {
        if (Float.isNaN(value)) {
            return NAN;
        }
        int field = Math.abs(value) >= E4M3_MAX ? 0x7E : Math.min(E4M3.encode(Math.abs(value)), 0x7E);
        return (byte) (sign(value) | field);
    }

    /** Returns the value of an E5M2 bit pattern. */
    public static float e5m2ToFloat(byte bits) {
        int magnitude = bits & 0x7F;
        if (magnitude > 0x7C) {
            return Float.NaN;
        }
        if (magnitude == 0x7C) {
            return bits < 0 ? Float.NEGATIVE_INFINITY : Float.POSITIVE_INFINITY;
        }
        return E5M2.decode(bits);
    }

    /** Rounds to E5M2; what lies beyond the largest finite value by half a step or more becomes infinite. */
    public static byte e5m2FromFloat(float value) {
        if (Float.isNaN(value)) {
            return NAN;
        }
        int field = Math.abs(value) >= 61440.0f ? 0x7C : Math.min(E5M2.encode(Math.abs(value)), 0x7B);
        return (byte) (sign(value) | field);
    }

    private static int sign(float value) {
        return value < 0.0f ? 0x80 : 0;
    }

    private record Format(int mantissaBits, int bias) {

        float decode(byte bits) {
            int exponent = (bits & 0x7F) >>> mantissaBits;
            int mantissa = bits & (1 << mantissaBits) - 1;
            float significand = exponent == 0 ? mantissa : mantissa + (1 << mantissaBits);
            float magnitude = Math.scalb(significand, Math.max(exponent, 1) - bias - mantissaBits);
            return bits < 0 ? -magnitude : magnitude;
        }

        /** Returns exponent and mantissa bits; a mantissa that rounds up carries into the exponent by itself. */
        int encode(float magnitude) {
            int exponent = Math.max(Math.getExponent(magnitude), 1 - bias);
            float steps = Math.scalb(magnitude, mantissaBits - exponent);
            int rounded = (int) (steps + 0.5f);
            return rounded + (exponent + bias - 1 << mantissaBits);
        }
    }
}
