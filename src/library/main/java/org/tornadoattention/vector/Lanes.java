package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.tornadoattention.tensor.DType;

/**
 * What a tile computes with. Arrays hold rows of lanes side by side; a width is a multiple of {@link #length()}.
 *
 * <p>Scores are in powers of two: {@code 2^s} is what the softmax adds.
 */
interface Lanes {

    /** Rows that {@link #product} takes at a time: a count of rows is a multiple of it. */
    int ROWS = 4;

    /** Elements from one row to the next that {@link #product} is fastest with, in a and b. */
    int PANEL = 64;

    /** The same for another thread: each has its own. */
    Lanes another();

    /** Floats of a vector, a multiple of {@link #ROWS}. */
    int length();

    /** Vectors side by side that {@link #product} is fastest on. */
    int widest();

    /** What computes, such as {@code 512-bit vectors}. */
    String description();

    /**
     * {@code c[i][·] = factors[i] · c[i][·] + Σ_k a(i, k) · b[k][·]}: the sum is made in registers by fused
     * multiply-adds, and added once to the product, which is rounded before. {@link Products#add} gives the same bits
     * where it leaves out terms.
     *
     * @param aRow elements from one i to the next, or 1
     * @param aStep elements from one k to the next, which must be 1 unless aRow is
     * @param bRow elements from one k to the next
     * @param cRow elements from one i to the next
     * @param rows of c, a multiple of {@link #ROWS}
     * @param columns of b and c, a multiple of {@link #length()}
     * @param depth of the sum
     * @param factors one for each row from {@code factorsAt} on, or null where c is overwritten
     */
    void product(
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int rows,
            int columns,
            int depth,
            float[] factors,
            int factorsAt);

    /**
     * {@code s[key][row] = Σ_d k[key][d] · q[row][d]} where rows are few: the sum runs along the lanes. Keys and rows
     * past the ends, up to the next multiple of 2 and of {@link #ROWS}, are computed too.
     *
     * @param stride elements from one row of k or q to the next, a multiple of {@link #length()}, 0 behind what counts
     * @param width elements from one key to the next in s, whose first element is at {@code at}
     */
    void dots(float[] k, float[] q, int stride, float[] s, int at, int width, int keys, int rows);

    /** Products of few rows with what lies in memory, if there are any here. */
    default Optional<Streams> streams() {
        return Optional.empty();
    }

    /**
     * {@code target[dim][row] = rows[row][dim] · factor}.
     *
     * @param stride elements from one of the {@code count} rows to the next
     * @param width elements from one dimension to the next in {@code target}, whose first element is at {@code at}
     */
    void turn(float[] rows, int stride, int count, float[] target, int at, int width, int dims, float factor);

    /** {@code s = bound · tanh(s)} on the first {@code count} elements. */
    void softcap(float[] s, int count, float bound);

    /** {@code s[key][lane] -= slope[lane] · |position[lane] - key|}. */
    void alibi(float[] s, int keys, int width, float[] slopes, float[] positions, int at);

    /** {@code s[key][lane] = -∞} where not {@code from[lane] <= key < to[lane]}. */
    void mask(float[] s, int keys, int width, float[] from, float[] to, int at);

    /**
     * One step of the online softmax: {@code p = 2^(s - max)} in the place of s, with the new maximum.
     *
     * @param max of each lane so far, from {@code at} on; −∞ at first
     * @param sum of each lane so far
     * @param factors gets {@code 2^(old maximum - new maximum)}: what was summed under the old maximum is multiplied by
     *     it
     */
    void softmax(float[] s, int keys, int width, float[] max, float[] sum, float[] factors, int at);

    /** {@code p = 2^(s - logSumExp)} in the place of s; 0 in lanes that see no key. */
    void probabilities(float[] s, int keys, int width, float[] logSumExp, int at);

    /** {@code dP = p · (dP - terms)}. */
    void scoreGradients(float[] p, float[] dP, int keys, int width, float[] terms, int at);

    /**
     * Multiplies gradients by the softcap's slope, {@code 1 - (s / bound)²}, s being what {@link #softcap} made. A
     * gradient of 0 stays so, whatever s is: that of a hidden pair may be NaN.
     */
    void softcapGradients(float[] dS, float[] s, int count, float bound);

    /** Whether none of {@code count} numbers is infinite or NaN. */
    boolean areFinite(float[] values, int from, int count);

    /**
     * Copies rows of F32 that are apart, whose elements are a multiple of {@link #length()}.
     *
     * @param from the byte that the first begins with
     * @param stride bytes from one row of memory to the next
     * @param width elements of each
     * @param targetStride elements from one row of {@code target} to the next
     */
    void copyRows(
            MemorySegment memory,
            long from,
            long stride,
            int count,
            int width,
            float[] target,
            int at,
            int targetStride);

    /** The values of F16 or BF16 bits. */
    void widen(DType dtype, short[] bits, int from, int count, float[] values, int at);

    /** The bits of BF16 values, rounded to nearest even. */
    void narrowToBf16(float[] values, int at, int count, short[] bits);

    /** Multiplies elements; {@code count} is a multiple of {@link #length()}. */
    void scale(float[] values, int at, int count, float factor);

    /** The values of E4M3 bytes of memory, times a power of two. */
    void widenE4M3(MemorySegment memory, long from, int count, float factor, float[] values, int at);

    /** The values of whole numbers of 8 bits of memory, NaN for −128, times a factor. */
    void widenInt8(MemorySegment memory, long from, int count, float factor, float[] values, int at);
}
