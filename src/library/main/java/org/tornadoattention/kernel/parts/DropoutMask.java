package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Which pairs of a query and a key dropout leaves: a function of the seed and the pair's place alone, so that forward
 * and backward agree and no mask is stored.
 *
 * <p>Source: Salmon et al., <i>Parallel random numbers: as easy as 1, 2, 3</i> (2011): Philox4x32-10 with the seed as
 * its key and {@code (key / 4, query, batch * heads + head, offset)} as its counter; word {@code key % 4} of the result
 * decides by its upper 24 bits.
 *
 * <p>Seed, offset and threshold change between launches of one plan, so they travel in an array: the last elements of
 * {@code keyLengths}, which only this class reads: the seed's lower and upper half, the offset, and the threshold.
 */
public final class DropoutMask {

    private static final int SEED_LOW = 0;
    private static final int SEED_HIGH = 1;
    private static final int OFFSET = 2;
    private static final int THRESHOLD = 3;
    private static final int WORDS = 4;

    private static final float RANDOM_VALUES = 0x1p24f;

    private DropoutMask() {}

    /** Elements that follow the key lengths. */
    public static int words(int features) {
        return (features & Features.DROPOUT) != 0 ? WORDS : 0;
    }

    /** Sets what follows the key lengths. */
    public static void set(IntArray keyLengths, long seed, int offset, int threshold) {
        setSeed(keyLengths, seed);
        keyLengths.set(keyLengths.getSize() - WORDS + OFFSET, offset);
        keyLengths.set(keyLengths.getSize() - WORDS + THRESHOLD, threshold);
    }

    /** Sets the seed alone. */
    public static void setSeed(IntArray keyLengths, long seed) {
        keyLengths.set(keyLengths.getSize() - WORDS + SEED_LOW, (int) seed);
        keyLengths.set(keyLengths.getSize() - WORDS + SEED_HIGH, (int) (seed >>> 32));
    }

    /** The lower half of the seed, 0 without dropout. */
    public static int seedLow(IntArray keyLengths, int features) {
        return word(keyLengths, SEED_LOW, features);
    }

    /** The upper half of the seed, 0 without dropout. */
    public static int seedHigh(IntArray keyLengths, int features) {
        return word(keyLengths, SEED_HIGH, features);
    }

    /** The counter's offset, 0 without dropout. */
    public static int offset(IntArray keyLengths, int features) {
        return word(keyLengths, OFFSET, features);
    }

    /** What a random number of 24 bits must reach for its pair to be kept, 0 without dropout. */
    public static int threshold(IntArray keyLengths, int features) {
        return word(keyLengths, THRESHOLD, features);
    }

    private static int word(IntArray keyLengths, int which, int features) {
        int word = 0;
        if ((features & Features.DROPOUT) != 0) {
            word = keyLengths.get(keyLengths.getSize() - WORDS + which);
        }
        return word;
    }

    /**
     * What a pair's probability is multiplied by: 0 where it is dropped, 1 / (1 - p) elsewhere, with p = threshold /
     * 2^24; 1 without dropout.
     */
    public static float factor(
            int seedLow, int seedHigh, int offset, int threshold, int batchHead, int query, int key, int features) {
        float factor = 1f;
        if ((features & Features.DROPOUT) != 0) {
            int random = 0;
            if ((features & Features.INT_PRODUCTS) != 0) {
                random = wordOfInts(seedLow, seedHigh, key >> 2, query, batchHead, offset, key & 3);
            } else {
                random = word(seedLow, seedHigh, key >> 2, query, batchHead, offset, key & 3);
            }
            factor = factor(random, threshold);
        }
        return factor;
    }

    /** Likewise, of the pair that a random word decides on. */
    public static float factor(int random, int threshold) {
        return isDropped(random, threshold) ? 0f : keptFactor(threshold);
    }

    /** Whether the pair that a random word decides on is dropped. */
    public static boolean isDropped(int random, int threshold) {
        return (random >> 8 & 0xffffff) < threshold;
    }

    /** 1 / (1 - p), 1 without dropout. */
    public static float keptFactor(IntArray keyLengths, int features) {
        float factor = 1f;
        if ((features & Features.DROPOUT) != 0) {
            factor = keptFactor(keyLengths.get(keyLengths.getSize() - WORDS + THRESHOLD));
        }
        return factor;
    }

    /** 1 / (1 - p). */
    public static float keptFactor(int threshold) {
        return RANDOM_VALUES / (RANDOM_VALUES - threshold);
    }

    /** One of the four words of Philox4x32-10. */
    public static int word(int key0, int key1, int counter0, int counter1, int counter2, int counter3, int which) {
        long words = words(key0, key1, counter0, counter1, counter2, counter3, which >> 1);
        return (which & 1) == 0 ? (int) words : (int) (words >> 32);
    }

    /** The same without a shift of 64 bits, which translators of SPIR-V get wrong. */
    public static int wordOfInts(
            int key0, int key1, int counter0, int counter1, int counter2, int counter3, int which) {
        int c0 = counter0;
        int c1 = counter1;
        int c2 = counter2;
        int c3 = counter3;
        int k0 = key0;
        int k1 = key1;
        for (int round = 0; round < 10; round++) {
            int high0 = highProduct(0xD2511F53, c0);
            int low0 = 0xD2511F53 * c0;
            int high1 = highProduct(0xCD9E8D57, c2);
            int low1 = 0xCD9E8D57 * c2;
            c0 = high1 ^ c1 ^ k0;
            c1 = low1;
            c2 = high0 ^ c3 ^ k1;
            c3 = low0;
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        int first = (which & 2) == 0 ? c0 : c2;
        int second = (which & 2) == 0 ? c1 : c3;
        return (which & 1) == 0 ? first : second;
    }

    /** The upper word of an unsigned product, from those of its factors' halves. */
    private static int highProduct(int a, int b) {
        int lowA = a & 0xffff;
        int highA = a >> 16 & 0xffff;
        int lowB = b & 0xffff;
        int highB = b >> 16 & 0xffff;
        int cross = highA * lowB;
        int otherCross = lowA * highB;
        int carry = (lowA * lowB >> 16 & 0xffff) + (cross & 0xffff) + (otherCross & 0xffff);
        return highA * highB + (cross >> 16 & 0xffff) + (otherCross >> 16 & 0xffff) + (carry >> 16 & 0xffff);
    }

    /** Words 0 and 1 of Philox4x32-10, or 2 and 3 if {@code upper} is 1, the first in the low half. */
    public static long words(int key0, int key1, int counter0, int counter1, int counter2, int counter3, int upper) {
        int c0 = counter0;
        int c1 = counter1;
        int c2 = counter2;
        int c3 = counter3;
        int k0 = key0;
        int k1 = key1;
        for (int round = 0; round < 10; round++) {
            long product0 = 0xD2511F53L * (c0 & 0xffffffffL);
            long product1 = 0xCD9E8D57L * (c2 & 0xffffffffL);
            c0 = (int) (product1 >> 32) ^ c1 ^ k0;
            c1 = (int) product1;
            c2 = (int) (product0 >> 32) ^ c3 ^ k1;
            c3 = (int) product0;
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        int low = upper == 0 ? c0 : c2;
        int high = upper == 0 ? c1 : c3;
        return low & 0xffffffffL | (long) high << 32;
    }
}
