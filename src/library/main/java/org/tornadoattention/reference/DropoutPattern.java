package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import org.tornadoattention.Dropout;

/**
 * Philox4x32-10 once more, written from its paper (Salmon et al. 2011) and apart from the kernels, in 64-bit
 * arithmetic: what {@link Dropout} says is dropped.
 */
public final class DropoutPattern {

    private static final long MASK = 0xffffffffL;
    private static final long[] MULTIPLIERS = {0xD2511F53L, 0xCD9E8D57L};
    private static final long[] WEYL = {0x9E3779B9L, 0xBB67AE85L};
    private static final int ROUNDS = 10;

    private DropoutPattern() {}

    /**
     * {@return whether dropout leaves the pair of a query and a key}
     *
     * @param dropout rate, seed and offset
     * @param batchHead {@code batch * heads + head}
     * @param query from 0
     * @param key from 0
     */
    public static boolean keeps(Dropout dropout, int batchHead, int query, int key) {
        required(dropout, "dropout");
        int[] random = philox(
                new int[] {key / 4, query, batchHead, dropout.offset()},
                new int[] {(int) dropout.seed(), (int) (dropout.seed() >>> 32)});
        return random[key % 4] >>> 8 >= dropout.threshold();
    }

    /** What the pair's probability is multiplied by: 0, or {@link Dropout#keptFactor}. */
    static double factor(Dropout dropout, int batchHead, int query, int key) {
        if (dropout.isNone()) {
            return 1;
        }
        return keeps(dropout, batchHead, query, key) ? dropout.keptFactor() : 0;
    }

    /** Four random words for a counter of four words and a key of two. */
    static int[] philox(int[] counter, int[] key) {
        long[] c = {counter[0] & MASK, counter[1] & MASK, counter[2] & MASK, counter[3] & MASK};
        for (int round = 0; round < ROUNDS; round++) {
            long k0 = key[0] + round * WEYL[0] & MASK;
            long k1 = key[1] + round * WEYL[1] & MASK;
            long product0 = MULTIPLIERS[0] * c[0];
            long product1 = MULTIPLIERS[1] * c[2];
            c = new long[] {product1 >>> 32 ^ c[1] ^ k0, product1 & MASK, product0 >>> 32 ^ c[3] ^ k1, product0 & MASK};
        }
        return new int[] {(int) c[0], (int) c[1], (int) c[2], (int) c[3]};
    }
}
