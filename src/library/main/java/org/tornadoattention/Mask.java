package org.tornadoattention;

/**
 * Which keys a query sees: a window of keys around the query's own position.
 *
 * <p>Positions are aligned bottom-right, as in FlashAttention from version 2.1 on: the last query stands on the last
 * key, so query {@code i} stands on key {@code i + seqK - seqQ} and sees the keys from {@code left} before that to
 * {@code right} after it, both ends included. A causal mask is the window without a left edge and with
 * {@code right = 0}. A query may stand before the first key and see none at all.
 *
 * <p>Where a batch entry has a key length of its own, that length takes the place of {@code seqK} in all methods.
 *
 * @param left  how many keys before the query's position are seen, or {@link #UNBOUNDED}
 * @param right how many keys after the query's position are seen, or {@link #UNBOUNDED}
 */
public record Mask(int left, int right) {
    /** The edge of a window that reaches to the end of the sequence. */
    public static final int UNBOUNDED = -1;

    private static final Mask NONE = new Mask(UNBOUNDED, UNBOUNDED);
    private static final Mask CAUSAL = new Mask(UNBOUNDED, 0);

    /** Checks that each edge is 0 or more, or {@link #UNBOUNDED}. */
    public Mask {
        requireEdge("left", left);
        requireEdge("right", right);
    }

    private static void requireEdge(String name, int edge) {
        if (edge < UNBOUNDED) {
            throw new IllegalArgumentException(
                    "The window's %s edge is %d: it must be a number of keys, 0 or more, or -1 for unbounded."
                            .formatted(name, edge));
        }
    }

    /**
     * Every query sees every key.
     *
     * @return a window without edges
     */
    public static Mask none() {
        return NONE;
    }

    /**
     * Query {@code i} sees the keys {@code j <= i + seqK - seqQ}.
     *
     * @return a window without a left edge, with {@code right = 0}
     */
    public static Mask causal() {
        return CAUSAL;
    }

    /**
     * Query {@code i} sees the keys from {@code i + seqK - seqQ - left} to {@code i + seqK - seqQ + right}.
     *
     * @param left  keys seen before the query's position, or -1 for all
     * @param right keys seen after the query's position, or -1 for all
     * @return the window
     * @throws IllegalArgumentException if either is below -1
     */
    public static Mask window(int left, int right) {
        return new Mask(left, right);
    }

    /**
     * This window without the keys after the query's position.
     *
     * @return a window with {@code right = 0}
     */
    public Mask andCausal() {
        return new Mask(left, 0);
    }

    /**
     * Whether no key lies after the position of the query that sees it.
     *
     * @return whether {@code right} is 0
     */
    public boolean isCausal() {
        return right == 0;
    }

    /**
     * Whether every query sees every key, whatever the lengths.
     *
     * @return whether neither edge is bounded
     */
    public boolean isNone() {
        return left == UNBOUNDED && right == UNBOUNDED;
    }

    /**
     * Whether query {@code query} of {@code seqQ} sees key {@code key} of {@code seqK}.
     *
     * @param query a query, from 0
     * @param key a key, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return whether the key is inside the window
     */
    public boolean allows(int query, int key, int seqQ, int seqK) {
        return firstKey(query, seqQ, seqK) <= key && key < endKey(query, seqQ, seqK);
    }

    /**
     * The first key that a query sees, from 0 to {@code seqK}; not below {@link #endKey} where it sees none.
     *
     * @param query a query, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return the first key
     */
    public int firstKey(int query, int seqQ, int seqK) {
        long position = (long) query + seqK - seqQ;
        return left == UNBOUNDED ? 0 : Math.clamp(position - left, 0, seqK);
    }

    /**
     * One past the last key that a query sees, from 0 to {@code seqK}.
     *
     * @param query a query, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return one past the last key
     */
    public int endKey(int query, int seqQ, int seqK) {
        long position = (long) query + seqK - seqQ;
        return right == UNBOUNDED ? seqK : Math.clamp(position + right + 1, 0, seqK);
    }

    /**
     * The number of query-key pairs that one head computes.
     *
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return the pairs, of all queries together
     */
    public long visiblePairs(int seqQ, int seqK) {
        long pairs = 0;
        for (int query = 0; query < seqQ; query++) {
            pairs += Math.max(0, endKey(query, seqQ, seqK) - firstKey(query, seqQ, seqK));
        }
        return pairs;
    }

    /** {@code none}, {@code causal} or {@code window(left, right)}. */
    @Override
    public String toString() {
        if (isNone()) {
            return "none";
        }
        return equals(CAUSAL) ? "causal" : "window(%d, %d)".formatted(left, right);
    }
}
