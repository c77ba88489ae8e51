package org.tornadoattention.kernel;

/**
 * Which pairs of a query and a key dropout leaves: a function of the seed and the pair's place alone, so that forward and
 * backward agree and no mask is stored.
 *
 * <p>Source: Salmon et al., <i>Parallel random numbers: as easy as 1, 2, 3</i> (2011): Philox4x32-10 with the seed as its
 * key and {@code (key / 4, query, batch * heads + head, offset)} as its counter; word {@code key % 4} of the result
 * decides by its upper 24 bits.
 *
 * <p>Seed, offset and threshold change between launches of one plan, so they travel in an array: the last
 * {@link #WORDS} elements of {@code keyLengths}.
 */
final class DropoutMask {

    /** In {@code features}: dropout is used. */
    static final int DROPOUT = 16;

    /** What follows the key lengths: the seed's lower and upper half, the offset, and the threshold. */
    static final int WORDS = 4;

    private static final float RANDOM_VALUES = 0x1p24f;

    private DropoutMask() {}

    /** What a pair's probability is multiplied by: 0 where it is dropped, 1 / (1 - p) elsewhere, with p = threshold / 2^24. */
    static float factor(int seedLow, int seedHigh, int offset, int threshold, int batchHead, int query, int key) {
        int random = word(seedLow, seedHigh, key >> 2, query, batchHead, offset, key & 3);
        return factor(random, threshold);
    }

    /** Likewise, of the pair that a random word decides on. */
    static float factor(int random, int threshold) {
        return (random >> 8 & 0xffffff) < threshold ? 0f : keptFactor(threshold);
    }

    /** 1 / (1 - p). */
    static float keptFactor(int threshold) {
        return RANDOM_VALUES / (RANDOM_VALUES - threshold);
    }

    /** One of the four words of Philox4x32-10. */
    static int word(int key0, int key1, int counter0, int counter1, int counter2, int counter3, int which) {
        long words = words(key0, key1, counter0, counter1, counter2, counter3, which >> 1);
        return (which & 1) == 0 ? (int) words : (int) (words >> 32);
    }

    /** Words 0 and 1 of Philox4x32-10, or 2 and 3 if {@code upper} is 1, the first in the low half. */
    static long words(int key0, int key1, int counter0, int counter1, int counter2, int counter3, int upper) {
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
