package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * The heads of batch entries that share an element of a bias {@code [1 or batch, 1 or heads, seqQ, seqK]}, in the order
 * in which its gradient is summed: entry after entry, and head after head in each.
 */
public final class SharedBias {

    private SharedBias() {}

    /**
     * The batch entry of the n-th of them.
     *
     * @param ofBias {@code entry * biasHeads + head} of the bias
     */
    public static int batch(int ofBias, int n, int biasBatch, int biasHeads, int heads) {
        return ofBias / biasHeads + n / (heads / biasHeads) * biasBatch;
    }

    /** Its head. */
    public static int head(int ofBias, int n, int biasHeads, int heads) {
        return ofBias % biasHeads + n % (heads / biasHeads) * biasHeads;
    }

    /** Above 0 where no query of a tile sees any of its keys: a window, or the number of keys, hides them. */
    public static int tileIsHidden(
            int i0, int queries, int j0, int keys, int offset, int length, int windowLeft, int windowRight) {
        int first = Window.firstKey(i0 + offset, windowLeft);
        int last = Window.lastKey(i0 + queries - 1 + offset, length, windowRight);
        return TornadoMath.max(first - (j0 + keys - 1), j0 - last);
    }
}
