package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Neighbouring elements of a caller's array of BF16 as raw bits: these methods stand in for those of {@link Storage},
 * to which pairs in a {@code ShortArray} are two FP8 numbers.
 */
public final class ShortPairs {

    private ShortPairs() {}

    public static float first(ShortArray array, int index, int features) {
        return Storage.load(array, index, features);
    }

    public static float second(ShortArray array, int index, int features) {
        return Storage.load(array, index + 1, features);
    }
}
