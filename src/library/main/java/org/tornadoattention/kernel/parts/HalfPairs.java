package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/**
 * Pairs of 16-bit floats read as one word each, which of TornadoVM's compilers the one for CUDA translates: there these
 * methods stand in for those of {@link Storage}.
 */
public final class HalfPairs {

    private HalfPairs() {}

    public static float first(HalfFloatArray array, int index, int features) {
        return Half2.lowFloat(array.getHalf2(index));
    }

    public static float second(HalfFloatArray array, int index, int features) {
        return Half2.highFloat(array.getHalf2(index));
    }
}
