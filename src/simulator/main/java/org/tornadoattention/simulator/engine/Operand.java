package org.tornadoattention.simulator.engine;

import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.FP8;

/** Operands of the tensor cores as numbers, by the types of {@link WarpIntrinsics}. */
final class Operand {

    private static final int TF32_DROPPED = 13;
    private static final float[] E4M3 = new float[1 << Byte.SIZE];

    static {
        for (int bits = 0; bits < E4M3.length; bits++) {
            E4M3[bits] = FP8.e4m3ToFloat((byte) bits);
        }
    }

    private Operand() {}

    /** Returns the number that the lowest bits stand for; of TF32 what the hardware makes of a float. */
    static float decode(int type, int bits) {
        return switch (type) {
            case WarpIntrinsics.F16 -> Float.float16ToFloat((short) bits);
            case WarpIntrinsics.BF16 -> BFloat16.bf16ToFloat((short) bits);
            case WarpIntrinsics.TF32 -> roundToTF32(bits);
            case WarpIntrinsics.E4M3 -> E4M3[bits & 0xff];
            default -> throw new IllegalArgumentException("There is no operand type " + type);
        };
    }

    /**
     * Puts the numbers that a word of 32 bits holds, lowest bits first, into an array, the first at {@code at} and each
     * other {@code step} further.
     */
    static void decode(int type, int word, double[] into, int at, int step) {
        switch (type) {
            case WarpIntrinsics.F16 -> {
                into[at] = Float.float16ToFloat((short) word);
                into[at + step] = Float.float16ToFloat((short) (word >>> Short.SIZE));
            }
            case WarpIntrinsics.E4M3 -> {
                for (int e = 0; e < Integer.BYTES; e++) {
                    into[at + e * step] = E4M3[word >>> Byte.SIZE * e & 0xff];
                }
            }
            case WarpIntrinsics.TF32 -> into[at] = decode(type, word);
            default -> {
                into[at] = decode(type, word);
                into[at + step] = decode(type, word >>> Short.SIZE);
            }
        }
    }

    /** Keeps 10 bits of mantissa, ties away from zero. */
    private static float roundToTF32(int bits) {
        float value = Float.intBitsToFloat(bits);
        return Float.isFinite(value)
                ? Float.intBitsToFloat(bits + (1 << TF32_DROPPED - 1) & -(1 << TF32_DROPPED))
                : value;
    }

    /** Returns the bits of an element. */
    static int bits(int type) {
        return switch (type) {
            case WarpIntrinsics.TF32 -> Integer.SIZE;
            case WarpIntrinsics.E4M3 -> Byte.SIZE;
            default -> Short.SIZE;
        };
    }
}
