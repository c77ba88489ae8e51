package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Keys and values as whole numbers of 8 bits, from −127 to 127, and NaN as −128: these methods stand in for those of
 * {@link Storage}, to which a byte is an FP8 number.
 */
public final class Int8Pairs {

    private static final int NAN = 0x80;
    private static final float LARGEST = 127f;

    private Int8Pairs() {}

    /** Of two in a short, the first in its low byte. */
    public static float first(ShortArray array, int index, int features) {
        return decode(array.get(index / 2));
    }

    public static float second(ShortArray array, int index, int features) {
        return decode(array.get(index / 2) >> 8);
    }

    public static void storePair(ShortArray array, int index, float first, float second, int features) {
        array.set(index / 2, (short) (encode(first) | (encode(second) << 8)));
    }

    /** Of bytes of a caller's. */
    public static float first(ByteArray array, int index, int features) {
        return decode(array.get(index));
    }

    public static float second(ByteArray array, int index, int features) {
        return decode(array.get(index + 1));
    }

    /**
     * The low byte counts. Without its sign bit and that bit apart: PTX has no arithmetic shift for {@code >>}, and of
     * all eight bits of a byte TornadoVM makes an unsigned number, which no difference is below 0 of.
     */
    public static float decode(int bits) {
        float value = (bits & 0x7f) - (bits & 0x80);
        if ((bits & 0xff) == NAN) {
            // Of what no compiler takes for a constant, as in Storage.
            value = TornadoMath.sqrt((float) -(bits & 0xc0));
        }
        return value;
    }

    /** Rounds to nearest even, and what is past 127 to that; NaN and ∞ become NaN. */
    public static int encode(float value) {
        float magnitude = value < 0f ? -value : value;
        int bits = Storage.roundToEven(TornadoMath.min(Storage.finiteMagnitude(value), LARGEST));
        if (value < 0f) {
            bits = -bits & 0xff;
        }
        if (magnitude > Storage.LARGEST_FLOAT) {
            bits = NAN;
        }
        if (value != value) {
            bits = NAN;
        }
        return bits;
    }

    /**
     * The scale of a page's head when numbers up to {@code max} come, 0 for none before: exact where the page begins,
     * and at least twofold where it grows, so that rounding once more and again adds up to no more than one unit.
     */
    public static float scaleOfBytes(float old, float max) {
        float scale = TornadoMath.max(old, Storage.SMALLEST_SCALE);
        // Half a unit above the largest is rounded down to it.
        if (scale * (LARGEST + 0.5f) < max) {
            scale = TornadoMath.max(max / LARGEST, 2f * scale);
        }
        return scale;
    }
}
