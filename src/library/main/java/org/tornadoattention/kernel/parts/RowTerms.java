package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** What the backward kernels know of each query, {@code [batch, heads, seqQ, 2]}: its log-sum-exp L, then D. */
public final class RowTerms {

    /**
     * A log-sum-exp above every score, which makes {@code P = exp(S - L)} exactly 0, yet finite: OpenCL's fast mode
     * leaves infinities undefined.
     */
    public static final float ABOVE_ALL_SCORES = -Score.NO_SCORE;

    private RowTerms() {}

    /** L of a row. */
    public static float logSumExp(FloatArray rowTerms, int row) {
        return rowTerms.get(2 * row);
    }

    /** D of a row. */
    public static float d(FloatArray rowTerms, int row) {
        return rowTerms.get(2 * row + 1);
    }

    /**
     * Loads the terms of {@code rows} rows from {@code first} on; of the others of a tile, terms that make P and dS 0.
     */
    @Phase
    public static void load(
            FloatArray rowTerms,
            int first,
            int rows,
            float[] rowLse,
            float[] rowD,
            int tileRows,
            int item,
            int step,
            int features) {
        for (int row = item; row < tileRows; row += step) {
            float lse = ABOVE_ALL_SCORES;
            float d = 0f;
            if (row < rows) {
                lse = LargeScores.lowered(logSumExp(rowTerms, first + row), features);
                d = d(rowTerms, first + row);
            }
            rowLse[row] = lse;
            rowD[row] = d;
        }
    }

    /**
     * Starts a warp group's copy of the terms of {@code count} of {@code rows} queries to byte {@code at}; the rest is
     * 0.
     */
    public static void startCopy(
            int[] tile, int at, int rows, FloatArray rowTerms, int first, int count, int seqQ, int item) {
        if (item < rows / 2) {
            int elements = TornadoMath.max(0, TornadoMath.min(4, 2 * (count - 2 * item)));
            int from = 2 * (elements == 0 ? first : first + 2 * item);
            if (seqQ % 2 == 0) {
                Warp.copyAsync(tile, at + 16 * item, rowTerms, from, 4 * elements);
            } else {
                Warp.copy(tile, at + 16 * item, rowTerms, from, elements);
            }
        }
    }

    /** Sets the terms of a row; a query that saw no key, whose L is −∞, gets terms that make its P and dS 0. */
    public static void set(FloatArray rowTerms, int row, float logSumExp, float d) {
        float lse = logSumExp;
        float term = d;
        if (lse < -ABOVE_ALL_SCORES) {
            lse = ABOVE_ALL_SCORES;
            term = 0f;
        }
        rowTerms.set(2 * row, lse);
        rowTerms.set(2 * row + 1, term);
    }
}
