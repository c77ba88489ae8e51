package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * 16-bit floats as the operands of tensor cores hold them: F16 from a {@link HalfFloatArray}, BF16 from a
 * {@link ShortArray}, in the low half of an int. Overloads that TornadoVM inlines, so that one kernel text serves both.
 */
public final class Bits {

    private Bits() {}

    /** Whether {@link KernelContext#asyncCopyToLocal} takes such an array. */
    public static boolean areCopiedAsync(HalfFloatArray array) {
        return true;
    }

    public static boolean areCopiedAsync(ShortArray array) {
        return false;
    }

    /** C + A B, with operands of the array's type. */
    public static float[] multiply(
            KernelContext context, HalfFloatArray array, HalfFloat[] a, HalfFloat[] b, float[] c) {
        return context.mma(a, b, c, MMAShape.M16N8K16);
    }

    public static float[] multiply(KernelContext context, ShortArray array, HalfFloat[] a, HalfFloat[] b, float[] c) {
        return context.mmaBF16(a, b, c, MMAShape.M16N8K16);
    }

    public static int load(HalfFloatArray array, int index) {
        return array.get(index).getHalfFloatValue() & 0xffff;
    }

    public static int load(ShortArray array, int index) {
        return array.get(index) & 0xffff;
    }

    public static float value(HalfFloatArray array, int index) {
        return array.get(index).getFloat32();
    }

    public static float value(ShortArray array, int index) {
        return BFloat16.bf16ToFloat(array.get(index));
    }

    /** Two values rounded to what the array stores, the first in the low half. */
    public static int pair(HalfFloatArray array, float low, float high) {
        return new HalfFloat(low).getHalfFloatValue() & 0xffff | new HalfFloat(high).getHalfFloatValue() << 16;
    }

    /** In 64 bits, since TornadoVM computes with a BF16's bits in 16, where a shift by 16 leaves nothing. */
    public static int pair(ShortArray array, float low, float high) {
        return (int) (BFloat16.bf16FromFloat(low) & 0xffffL | (long) BFloat16.bf16FromFloat(high) << 16);
    }

    public static void store(HalfFloatArray array, int index, float value) {
        array.set(index, new HalfFloat(value));
    }

    public static void store(ShortArray array, int index, float value) {
        array.set(index, BFloat16.bf16FromFloat(value));
    }
}
