package org.tornadoattention.vector;

import org.tornadoattention.tensor.DType;

/**
 * Products of a few rows with keys and values where they lie in memory, which are to take no longer than memory needs,
 * and the softmax between them. Queries, and the scores of a tile of keys, are kept here in an order of their own.
 *
 * <p>Values of 16 bits are taken in pairs, so outputs have them {@link #apart} meanwhile: of each two vectors' elements
 * the even ones first, then the odd ones. A count of rows is a multiple of {@link Lanes#ROWS} always.
 */
interface Streams {

    /** Of its memory, but for the queries, which take as much as they do elsewhere. */
    long bytes();

    /** Whether there are products with such rows. */
    boolean takes(StoredRows rows);

    /** Whether {@link #dots} and {@link #add} may refuse rows of this type. */
    boolean mayRefuse(DType dtype);

    /** Brings outputs into the order that products with this type need. */
    void apart(DType dtype, float[] rows, int count);

    /** Undoes {@link #apart}. */
    void together(DType dtype, float[] rows, int count);

    /**
     * Takes queries for products with keys of this type.
     *
     * @param width elements of each
     */
    void load(DType dtype, float[] q, int width, int rows);

    /** Says which values are read behind the keys of the next {@link #dots}: memory brings them meanwhile. */
    void expect(TilePlaces values, int tile);

    /**
     * Makes scores, {@code Σ_d k[key][d] · q[row][d]}.
     *
     * <p>Tiles may be taken together, so that memory is read in long stretches: each tile has then a quarter of its
     * keys from each quarter of the keys of all.
     *
     * @param tile which of those that are taken together
     * @return false if a key has an element that is not finite and was not computed rightly
     */
    boolean dots(TilePlaces keys, int tile, int rows);

    /**
     * Copies the scores to {@code s[key][row]}.
     *
     * @param width elements from one key to the next
     */
    void spread(int count, float[] s, int width, int rows);

    /** Takes probabilities, likewise, in the place of the scores. */
    void gather(int count, float[] s, int width, int rows);

    /**
     * One step of the online softmax, in the place of the scores.
     *
     * @param max of each row so far, and {@code sum} and {@code factors} likewise, as {@link Lanes#softmax} has them;
     *     room for a vector of rows at least
     */
    void softmax(int count, float[] max, float[] sum, float[] factors, int rows);

    /**
     * {@code o[row][·] = factors[row] · o[row][·] + Σ_key p[key][row] · v[key][·]}.
     *
     * @param tile as {@link #dots} has it
     * @param o rows of as many elements as a value has, {@link #apart}
     * @return false as {@link #dots}
     */
    boolean add(TilePlaces values, int tile, float[] o, float[] factors, int rows);
}
