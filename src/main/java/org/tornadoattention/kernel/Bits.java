package org.tornadoattention.kernel;

import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * 16-bit floats as the operands of tensor cores hold them: F16 from a {@link HalfFloatArray}, BF16 from a {@link
 * ShortArray}, in the low half of an int. Overloads that TornadoVM inlines, so that one kernel text serves both.
 */
final class Bits {

    private Bits() {}

    static int load(HalfFloatArray array, int index) {
        return array.get(index).getHalfFloatValue() & 0xffff;
    }

    static int load(ShortArray array, int index) {
        return array.get(index) & 0xffff;
    }

    /** The value rounded to what the array stores. */
    static int round(HalfFloatArray array, float value) {
        return new HalfFloat(value).getHalfFloatValue() & 0xffff;
    }

    static int round(ShortArray array, float value) {
        return BFloat16.bf16FromFloat(value) & 0xffff;
    }

    static void store(HalfFloatArray array, int index, float value) {
        array.set(index, new HalfFloat(value));
    }

    static void store(ShortArray array, int index, float value) {
        array.set(index, BFloat16.bf16FromFloat(value));
    }
}
