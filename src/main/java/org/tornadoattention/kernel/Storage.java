package org.tornadoattention.kernel;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Elements of a tensor as F32, whatever the array stores: F32 in a {@link FloatArray}, F16 in a {@link HalfFloatArray},
 * raw 16-bit floats in a {@link ShortArray}. Overloads that TornadoVM inlines, so that one kernel text serves all.
 *
 * <p>Raw bits are decoded and encoded by arithmetic. TornadoVM 5.2 has no bfloat16 type outside its CUDA compiler, no
 * 16-bit floats on OpenCL devices without {@code cl_khr_fp16}, and no reinterpretation of int bits as float anywhere.
 */
final class Storage {

    /** In {@code features}: a {@link ShortArray} holds F16; otherwise it holds BF16. Other arrays ignore it. */
    static final int F16_BITS = 4;

    private Storage() {}

    static float load(FloatArray array, int index, int features) {
        return array.get(index);
    }

    static void store(FloatArray array, int index, float value, int features) {
        array.set(index, value);
    }

    static float load(HalfFloatArray array, int index, int features) {
        return array.get(index).getFloat32();
    }

    static void store(HalfFloatArray array, int index, float value, int features) {
        array.set(index, new HalfFloat(value));
    }

    static float load(ShortArray array, int index, int features) {
        int bits = array.get(index);
        float magnitude = 0f;
        if ((features & F16_BITS) != 0) {
            int exponent = bits >> 10 & 0x1f;
            float mantissa = (bits & 0x3ff) * 0x1p-10f;
            if (exponent == 0) {
                magnitude = mantissa * 0x1p-14f;
            } else if (exponent < 0x1f) {
                magnitude = timesTwoTo(exponent - 15, 1f + mantissa);
            } else {
                magnitude = infinityOrNaN(mantissa);
            }
        } else {
            int exponent = bits >> 7 & 0xff;
            float mantissa = (bits & 0x7f) * 0x1p-7f;
            if (exponent == 0) {
                magnitude = mantissa * 0x1p-126f;
            } else if (exponent < 0xff) {
                magnitude = timesTwoTo(exponent - 127, 1f + mantissa);
            } else {
                magnitude = infinityOrNaN(mantissa);
            }
        }
        return bits < 0 ? -magnitude : magnitude;
    }

    /** Rounds to nearest even. BF16 flushes magnitudes below 2^-100 to 0: comparisons near the smallest normal number
     * are miscompiled where a device flushes subnormals (seen on PoCL). */
    static void store(ShortArray array, int index, float value, int features) {
        float magnitude = value < 0f ? -value : value;
        int bits = 0;
        if ((features & F16_BITS) != 0) {
            if (magnitude >= 65520f) {
                bits = 0x7c00;
            } else if (magnitude >= 0x1p-14f) {
                bits = encodeNormal(magnitude, 10, 15);
            } else {
                bits = roundToEven(magnitude * 0x1p24f);
            }
        } else {
            if (magnitude >= 0x1.ffp127f) {
                bits = 0x7f80;
            } else if (magnitude >= 0x1p-100f) {
                bits = encodeNormal(magnitude, 7, 127);
            }
        }
        if (value < 0f) {
            bits = bits | 0x8000;
        }
        if (value != value) {
            bits = 0x7fc0;
        }
        array.set(index, (short) bits);
    }

    /**
     * {@code value * 2^exponent} for an exponent from −126 to 127: a factor for each of its bits. The factors depend on
     * the exponent, so that no compiler multiplies two of them into a subnormal constant.
     */
    private static float timesTwoTo(int exponent, float value) {
        int bits = exponent < 0 ? -exponent : exponent;
        float result = value;
        result *= (bits & 1) == 0 ? 1f : exponent < 0 ? 0x1p-1f : 0x1p1f;
        result *= (bits & 2) == 0 ? 1f : exponent < 0 ? 0x1p-2f : 0x1p2f;
        result *= (bits & 4) == 0 ? 1f : exponent < 0 ? 0x1p-4f : 0x1p4f;
        result *= (bits & 8) == 0 ? 1f : exponent < 0 ? 0x1p-8f : 0x1p8f;
        result *= (bits & 16) == 0 ? 1f : exponent < 0 ? 0x1p-16f : 0x1p16f;
        result *= (bits & 32) == 0 ? 1f : exponent < 0 ? 0x1p-32f : 0x1p32f;
        result *= (bits & 64) == 0 ? 1f : exponent < 0 ? 0x1p-64f : 0x1p64f;
        return result;
    }

    /** What an exponent of all ones means. NaN is computed, since TornadoVM cannot print that constant as OpenCL C. */
    private static float infinityOrNaN(float mantissa) {
        return mantissa == 0f ? Float.POSITIVE_INFINITY : TornadoMath.sqrt(-mantissa);
    }

    /** The bits of a normal number: the significand rounded to nearest even carries into the exponent by itself. */
    private static int encodeNormal(float magnitude, int mantissaBits, int bias) {
        int exponent = bias;
        float significand = magnitude;
        while (significand >= 2f) {
            significand *= 0.5f;
            exponent++;
        }
        while (significand < 1f) {
            significand *= 2f;
            exponent--;
        }
        int one = 1 << mantissaBits;
        return exponent * one + roundToEven(significand * one) - one;
    }

    private static int roundToEven(float value) {
        int whole = (int) value;
        float rest = value - whole;
        if (rest > 0.5f || (rest == 0.5f && (whole & 1) == 1)) {
            whole++;
        }
        return whole;
    }
}
