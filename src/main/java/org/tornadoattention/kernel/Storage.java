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
                magnitude = scale(1f + mantissa, exponent) * 0x1p-15f;
            } else {
                magnitude = infinityOrNaN(mantissa);
            }
        } else {
            int exponent = bits >> 7 & 0xff;
            float mantissa = (bits & 0x7f) * 0x1p-7f;
            if (exponent == 0) {
                magnitude = mantissa * 0x1p-126f;
            } else if (exponent < 0x80) {
                magnitude = scale(1f + mantissa, exponent) * 0x1p-63f * 0x1p-64f;
            } else if (exponent < 0xff) {
                magnitude = scale(1f + mantissa, exponent - 128) * 2f;
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

    /** {@code value * 2^exponent} for an exponent from 0 to 127: a factor for each of its bits. */
    private static float scale(float value, int exponent) {
        float result = value;
        result = (exponent & 1) != 0 ? result * 0x1p1f : result;
        result = (exponent & 2) != 0 ? result * 0x1p2f : result;
        result = (exponent & 4) != 0 ? result * 0x1p4f : result;
        result = (exponent & 8) != 0 ? result * 0x1p8f : result;
        result = (exponent & 16) != 0 ? result * 0x1p16f : result;
        result = (exponent & 32) != 0 ? result * 0x1p32f : result;
        result = (exponent & 64) != 0 ? result * 0x1p64f : result;
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
