package org.tornadoattention.vector;

import org.tornadoattention.tensor.DType;

/**
 * Products of a few rows with keys and values where they lie in memory, which are to take no longer than memory needs.
 *
 * <p>Elements of 16 bits are taken in pairs, so the other operand has them {@link #apart}: of each two vectors' elements the
 * even ones first, then the odd ones.
 */
interface Streams {

    /** Whether there are products with such rows. */
    boolean takes(StoredRows rows);

    /** Brings elements into the order that products with this type need. */
    void apart(DType dtype, float[] rows, int at, int count);

    /** Undoes {@link #apart}. */
    void together(DType dtype, float[] rows, int at, int count);

    /**
     * {@code s[key][row] = Σ_d k[key][d] · q[row][d]}.
     *
     * @param places the byte that each key begins with
     * @param q rows of as many elements as a key has, {@link #apart}
     * @param width elements from one key to the next in s
     * @param rows of q, a multiple of {@link Lanes#ROWS}
     * @return false if a key has an element that is not finite and was not computed rightly
     */
    boolean dots(StoredRows keys, long[] places, int count, float[] q, float[] s, int width, int rows);

    /**
     * {@code o[row][·] = factors[row] · o[row][·] + Σ_key p[key][row] · v[key][·]}.
     *
     * @param places the byte that each value begins with
     * @param width elements from one key to the next in p
     * @param o rows of as many elements as a value has, {@link #apart}
     * @return false as {@link #dots}
     */
    boolean add(
            StoredRows values, long[] places, int count, float[] p, int width, float[] o, float[] factors, int rows);
}
