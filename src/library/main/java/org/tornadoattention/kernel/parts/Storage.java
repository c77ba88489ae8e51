package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Reinterpret;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Elements of a tensor as F32, whatever the array stores: F32 in a {@link FloatArray}, F16 in a {@link HalfFloatArray},
 * raw 16-bit floats in a {@link ShortArray}. Overloads that TornadoVM inlines, so that one kernel text serves all.
 *
 * <p>TornadoVM 5.2 has no bfloat16 type outside its CUDA compiler, no 16-bit floats on OpenCL devices without
 * {@code cl_khr_fp16}, and no reinterpretation of int bits as float anywhere. A BF16's bits are reinterpreted where
 * {@link Features#REINTERPRET} says that the compiler was taught to; else raw bits are decoded and encoded by
 * arithmetic.
 */
public final class Storage {

    private static final int INFINITY_BITS = 0x7f800000;

    private static final int E4M3_NAN = 0x7f;
    private static final float LARGEST_E4M3 = 448f;
    static final float LARGEST_FLOAT = 0x1.fffffep127f;

    /**
     * Low enough for the smallest numbers that a cache of BF16 holds, high enough for all arithmetic with it to be
     * normal.
     */
    public static final float SMALLEST_SCALE = 0x1p-100f;

    private Storage() {}

    public static float load(FloatArray array, int index, int features) {
        return array.get(index);
    }

    public static void store(FloatArray array, int index, float value, int features) {
        array.set(index, value);
    }

    /** Copies an element as it is stored. */
    public static void move(FloatArray array, int from, int to) {
        array.set(to, array.get(from));
    }

    public static void move(HalfFloatArray array, int from, int to) {
        array.set(to, array.get(from));
    }

    public static void move(ShortArray array, int from, int to) {
        array.set(to, array.get(from));
    }

    public static void move(IntArray array, int from, int to) {
        array.set(to, array.get(from));
    }

    public static float load(HalfFloatArray array, int index, int features) {
        return array.get(index).getFloat32();
    }

    public static void store(HalfFloatArray array, int index, float value, int features) {
        array.set(index, new HalfFloat(value));
    }

    public static float load(ShortArray array, int index, int features) {
        if ((features & Features.NATIVE_BF16) != 0) {
            return BFloat16.bf16ToFloat(array.get(index));
        }
        return decode(array.get(index), features);
    }

    /**
     * A raw 16-bit float, {@code 1.mantissa · 2^(exponent - bias)}: the low bits of the exponent shift an int, the
     * others pick factors, such that no compiler multiplies two to a subnormal. Higher bits may be anything, since PTX
     * has no arithmetic shift for {@code >>}. What both types need stands once: TornadoVM inlines no further than some
     * size of a kernel.
     */
    private static float decode(int bits, int features) {
        if ((features & Features.REINTERPRET) != 0) {
            return Reinterpret.asFloat(bits << 16);
        }
        int width = (features & Features.F16_BITS) != 0 ? 10 : 7; // of the mantissa
        int ones = 0x7fff >> width; // an exponent of NaN and ∞
        int exponent = bits >> width & ones;
        int mantissa = bits & (1 << width) - 1;
        int significand = exponent == 0 ? mantissa : (1 << width) + mantissa;
        float magnitude = significand << (TornadoMath.max(exponent, 1) & 15);
        magnitude *= (exponent & 16) != 0 ? 0x1p16f : 1f;
        if ((features & Features.F16_BITS) != 0) {
            magnitude *= 0x1p-25f;
        } else {
            magnitude *= (exponent & 32) != 0 ? 0x1p32f : 1f;
            magnitude *= exponent < 128 ? 0x1p-70f : exponent < 192 ? 0x1p-6f : 0x1p58f;
            magnitude *= exponent < 64 ? 0x1p-64f : 1f;
        }
        magnitude = exponent == ones ? infinityOrNaN(mantissa) : magnitude;
        return (bits & 0x8000) != 0 ? -magnitude : magnitude;
    }

    /**
     * Rounds to nearest even. By arithmetic BF16 flushes magnitudes below 2^-100 to 0: comparisons near the smallest
     * normal number are miscompiled where a device flushes subnormals (seen on PoCL).
     */
    public static void store(ShortArray array, int index, float value, int features) {
        array.set(index, (short) encode(value, features));
    }

    private static int encode(float value, int features) {
        if ((features & Features.REINTERPRET) != 0) {
            return roundToUpperHalf(value);
        }
        float magnitude = value < 0f ? -value : value;
        int bits = 0;
        if ((features & Features.F16_BITS) != 0) {
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
        return bits;
    }

    /** A BF16 is the upper half of an F32; a NaN's lower half may be all that tells it from ∞. */
    private static int roundToUpperHalf(float value) {
        int word = Reinterpret.asInt(value);
        int rounded = word + 0x7fff + (word >> 16 & 1);
        return ((word & 0x7fffffff) > INFINITY_BITS ? 0x7fc00000 : rounded) >> 16;
    }

    /**
     * The first of the two elements at an even index. A cache is read in pairs, a word each where the array allows,
     * since half as many loads reach twice the bandwidth: compilers join the load of this one with that of
     * {@link #second}.
     */
    public static float first(FloatArray array, int index, int features) {
        return array.get(index);
    }

    /** The element after {@link #first}. */
    public static float second(FloatArray array, int index, int features) {
        return array.get(index + 1);
    }

    public static void storePair(FloatArray array, int index, float first, float second, int features) {
        array.set(index, first);
        array.set(index + 1, second);
    }

    public static float first(HalfFloatArray array, int index, int features) {
        return array.get(index).getFloat32();
    }

    public static float second(HalfFloatArray array, int index, int features) {
        return array.get(index + 1).getFloat32();
    }

    public static void storePair(HalfFloatArray array, int index, float first, float second, int features) {
        array.set(index, new HalfFloat(first));
        array.set(index + 1, new HalfFloat(second));
    }

    /** Of two raw 16-bit floats in an int, the first in its low half. */
    public static float first(IntArray array, int index, int features) {
        return widen((short) array.get(index / 2), features);
    }

    public static float second(IntArray array, int index, int features) {
        return widen((short) (array.get(index / 2) >> 16), features);
    }

    public static void storePair(IntArray array, int index, float first, float second, int features) {
        array.set(index / 2, (encode(first, features) & 0xffff) | (encode(second, features) << 16));
    }

    /** Of two FP8 numbers (E4M3) in a short, the first in its low byte. */
    public static float first(ShortArray array, int index, int features) {
        return decodeE4M3(array.get(index / 2));
    }

    public static float second(ShortArray array, int index, int features) {
        return decodeE4M3(array.get(index / 2) >> 8);
    }

    public static void storePair(ShortArray array, int index, float first, float second, int features) {
        array.set(index / 2, (short) (encodeE4M3(first) | (encodeE4M3(second) << 8)));
    }

    /** FP8 numbers (E4M3) in bytes of a caller's. */
    public static float first(ByteArray array, int index, int features) {
        return decodeE4M3(array.get(index));
    }

    public static float second(ByteArray array, int index, int features) {
        return decodeE4M3(array.get(index + 1));
    }

    /**
     * The scale of a page's head of FP8 numbers when such up to {@code max} come, 0 for none before: the smallest power
     * of two that brings them within E4M3.
     */
    public static float scaleOfBytes(float old, float max) {
        float scale = TornadoMath.max(old, SMALLEST_SCALE);
        scale = raised(scale, 0x1p32f, max);
        scale = raised(scale, 0x1p8f, max);
        return raised(scale, 2f, max);
    }

    /** A scale as often times {@code factor} as it takes to bring {@code max} within E4M3, or to fall short by less. */
    private static float raised(float scale, float factor, float max) {
        float result = scale;
        while (result * (factor * 0.5f) * LARGEST_E4M3 < max) {
            result = result * factor;
        }
        return result;
    }

    /** {@code 1.mantissa · 2^(exponent - 7)}, and NaN where all their bits are ones; the low byte counts. */
    public static float decodeE4M3(int bits) {
        int exponent = bits >> 3 & 15;
        int significand = exponent == 0 ? bits & 7 : 8 + (bits & 7);
        float magnitude = (significand << TornadoMath.max(exponent, 1)) * 0x1p-10f;
        if ((bits & E4M3_NAN) == E4M3_NAN) {
            magnitude = infinityOrNaN(bits & 7);
        }
        return (bits & 0x80) != 0 ? -magnitude : magnitude;
    }

    /** Rounds to nearest even, and what is past 448 to that; E4M3 has no ∞, of which NaN is made. */
    public static int encodeE4M3(float value) {
        float magnitude = value < 0f ? -value : value;
        float limited = finiteMagnitude(value);
        limited = TornadoMath.min(limited, LARGEST_E4M3);
        int bits = 0;
        if (limited >= 0x1p-6f) {
            bits = encodeNormal(limited, 3, 7);
        } else {
            bits = roundToEven(limited * 0x1p9f);
        }
        if (magnitude > LARGEST_FLOAT) {
            bits = E4M3_NAN;
        }
        if (value != value) {
            bits = E4M3_NAN;
        }
        return value < 0f ? bits | 0x80 : bits;
    }

    /** The magnitude of a number, 0 of NaN and ∞: neither has a part in the largest of some numbers. */
    public static float finiteMagnitude(float value) {
        float magnitude = value < 0f ? -value : value;
        float finite = 0f;
        if (magnitude <= LARGEST_FLOAT) {
            finite = magnitude;
        }
        return finite;
    }

    private static float widen(short bits, int features) {
        return (features & Features.NATIVE_BF16) != 0 ? BFloat16.bf16ToFloat(bits) : decode(bits, features);
    }

    /** What an exponent of all ones means. NaN is computed, since TornadoVM cannot print that constant as OpenCL C. */
    private static float infinityOrNaN(int mantissa) {
        return mantissa == 0 ? Float.POSITIVE_INFINITY : TornadoMath.sqrt((float) -mantissa);
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

    /** The nearest whole number to one of 0 or more. */
    static int roundToEven(float value) {
        int whole = (int) value;
        float rest = value - whole;
        // Above a half; a conditional on floats compares their bits as integers on SPIR-V.
        int up = (int) (rest * 2f);
        if (rest == 0.5f) {
            up = whole & 1;
        }
        return whole + up;
    }
}
