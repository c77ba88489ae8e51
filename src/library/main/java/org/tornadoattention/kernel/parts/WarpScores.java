package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The online softmax on score tiles that a warp holds in registers, in the layout of {@link Warp}'s accumulators.
 *
 * <p>A register tile of {@code rowTiles} · 16 rows by {@code columns} is an array in which element
 * {@code ((r / 2) * columns / 8 + n) * 4 + r % 2 * 2 + e} is, in lane 4g + t, row 8r + g and column 8n + 2t + e. TornadoVM
 * inlines these methods and unrolls their loops, so that the arrays stay in registers.
 */
public final class WarpScores {

    public static final float LOG2_E = 1.4426950408889634f;

    private WarpScores() {}

    /** Whether scores need no more than one factor on their way into the exponential. */
    public static boolean isScaleOnly(float scale, float softcap, int features) {
        return scale > 0f && softcap == 0f && (features & Features.ALIBI) == 0 && !Functions.changeScores();
    }

    /** What turns q·k into an exponent of 2, if that is all there is to do; else 1, and {@link #scores} does the rest. */
    public static float factor(float scale, float softcap, int features) {
        return isScaleOnly(scale, softcap, features) ? scale * LOG2_E : 1f;
    }

    /**
     * What softmax is taken of, over S = Q Kᵀ: {@link #score}, and −∞ for what the mask hides, which is asked only where a tile
     * has an edge of it. In a tile whose rows are keys, all that is said of queries holds for keys and the other way round.
     *
     * @param position of the lane's row 0 among the columns
     * @param j the tile's first column
     * @param column the lane's column 0, from {@code j} on
     * @param length columns of the whole matrix
     * @param everyLeft the first column that all rows of the tile see
     * @param everyRight the last such column
     */
    public static void scores(
            float[] s,
            int rowTiles,
            int columns,
            int position,
            int j,
            int column,
            int length,
            int everyLeft,
            int everyRight,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            float slope,
            int features) {
        score(s, rowTiles, columns, position - j - column, scale, softcap, slope, features);
        hide(s, rowTiles, columns, position, j, column, length, everyLeft, everyRight, windowLeft, windowRight);
    }

    /** S = -inf for what the window hides, which is asked only where a tile has an edge of it: the end of {@link #scores}. */
    public static void hide(
            float[] s,
            int rowTiles,
            int columns,
            int position,
            int j,
            int column,
            int length,
            int everyLeft,
            int everyRight,
            int windowLeft,
            int windowRight) {
        if (Window.outside(j, columns, everyLeft, everyRight) > 0) {
            int first = position - windowLeft - j - column;
            int last = position + windowRight - j - column;
            mask(s, rowTiles, columns, first, last, length - j - column, windowLeft, windowRight);
        }
    }

    /** {@link #ask} in a tile of which functions are known to hide nothing. */
    public static void askSeen(
            float[] s,
            int rowTiles,
            int columns,
            int batch,
            int head,
            int query,
            int seqQ,
            int offset,
            int firstKey,
            int length,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            float slope,
            int features) {
        if (Functions.changeScores()) {
            ask(
                    s,
                    rowTiles,
                    columns,
                    batch,
                    head,
                    query,
                    seqQ,
                    offset,
                    firstKey,
                    length,
                    windowLeft,
                    windowRight,
                    scale,
                    softcap,
                    slope,
                    features,
                    false);
        } else {
            score(s, rowTiles, columns, query + offset - firstKey, scale, softcap, slope, features);
        }
    }

    /**
     * The scores that functions give, −∞ for what they hide: the beginning of {@link #scores}. They are asked about pairs that the
     * window leaves; where a lane's row or column is none of the matrix, about its last, and in rows that see no key not at all.
     *
     * @param query the lane's row 0
     * @param offset of a query's position among the keys
     * @param firstKey the lane's column 0
     * @param hides whether functions may hide keys of this tile
     */
    public static void ask(
            float[] s,
            int rowTiles,
            int columns,
            int batch,
            int head,
            int query,
            int seqQ,
            int offset,
            int firstKey,
            int length,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            float slope,
            int features,
            boolean hides) {
        for (int r = 0; r < 2 * rowTiles; r++) {
            int i = TornadoMath.min(query + 8 * r, seqQ - 1);
            int position = i + offset;
            int first = Window.firstKey(position, windowLeft);
            int last = Window.lastKey(position, length, windowRight);
            if (first <= last) {
                for (int n = 0; n < columns / 8; n++) {
                    for (int e = 0; e < 2; e++) {
                        int key = TornadoMath.min(firstKey + 8 * n + e, last);
                        if (windowLeft >= 0) {
                            key = TornadoMath.max(key, first);
                        }
                        int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                        float x = s[at];
                        if (!isScaleOnly(scale, softcap, features)) {
                            x = Score.of(scale * x, softcap, slope, position - key, features);
                        }
                        if (hides) {
                            x = Functions.score(x, batch, head, i, key, position);
                        } else {
                            x = Functions.ofSeen(x, batch, head, i, key, position);
                        }
                        float exponent = isScaleOnly(scale, softcap, features) ? x : x * LOG2_E;
                        s[at] = x < Score.LEAST_SEEN ? RowEnd.negativeInfinity() : exponent;
                    }
                }
            }
        }
    }

    /** S = log2(e) * (softcap(scale * S) - slope * |distance|), where the scale is not all there is to it. */
    private static void score(
            float[] s, int rowTiles, int columns, int distance, float scale, float softcap, float slope, int features) {
        if (!isScaleOnly(scale, softcap, features)) {
            for (int r = 0; r < 2 * rowTiles; r++) {
                for (int n = 0; n < columns / 8; n++) {
                    for (int e = 0; e < 2; e++) {
                        int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                        float x = Score.capped(scale * s[at], softcap);
                        x = Score.biased(x, slope, (float) (distance + 8 * r - 8 * n - e), features);
                        s[at] = x * LOG2_E;
                    }
                }
            }
        }
    }

    /** The derivative of each score with respect to its scaled product, where it is not 1. */
    public static void derivatives(float[] s, float[] derivatives, int columns, float scale, float softcap) {
        if (softcap > 0f) {
            for (int at = 0; at < columns / 2; at++) {
                derivatives[at] = Score.derivative(Score.capped(scale * s[at], softcap), softcap);
            }
        }
    }

    /**
     * S = -inf outside of the keys {@code first} to {@code last} that a lane's row 0 sees, counted from its column 0. A
     * single comparison each: TornadoVM's CUDA backend forgets negations inside an {@code ||} of two.
     */
    private static void mask(
            float[] s, int rowTiles, int columns, int first, int last, int length, int windowLeft, int windowRight) {
        for (int r = 0; r < 2 * rowTiles; r++) {
            int to = length - 1;
            if (windowRight >= 0) {
                to = TornadoMath.min(to, last + 8 * r);
            }
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int column = 8 * n + e;
                    int outside = column - to;
                    if (windowLeft >= 0) {
                        outside = TornadoMath.max(outside, first + 8 * r - column);
                    }
                    int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                    s[at] = outside > 0 ? RowEnd.negativeInfinity() : s[at];
                }
            }
        }
    }

    /**
     * One step of the online softmax: m = max(m, rowmax S) where that has grown by more than {@code threshold},
     * P = 2^(S - m) over S, correction = 2^(old m - m), l = correction * l + rowsum P. A stale m is as exact: the final
     * division uses the same one.
     */
    public static void softmax(
            float[] s,
            float[] m,
            float[] l,
            float[] correction,
            int rowTiles,
            int columns,
            float factor,
            int threshold) {
        softmaxOfBlocks(s, m, l, correction, 2 * rowTiles, columns, factor, threshold);
    }

    /** {@link #softmax} of the first {@code rowBlocks} blocks of 8 rows. */
    public static void softmaxOfBlocks(
            float[] s,
            float[] m,
            float[] l,
            float[] correction,
            int rowBlocks,
            int columns,
            float factor,
            int threshold) {
        for (int r = 0; r < rowBlocks; r++) {
            int row = r / 2 * columns / 2 + r % 2 * 2;
            float even = s[row];
            float odd = s[row + 1];
            for (int n = 1; n < columns / 8; n++) {
                even = TornadoMath.max(even, s[row + 4 * n]);
                odd = TornadoMath.max(odd, s[row + 4 * n + 1]);
            }
            float top = TornadoMath.max(even, odd);
            top = TornadoMath.max(top, Warp.shuffleXor(top, 1));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 2)) * factor;
            float now = top > m[r] + threshold ? top : m[r];
            correction[r] = Warp.exp2(m[r] - now);
            m[r] = now;
            even = 0f;
            odd = 0f;
            for (int n = 0; n < columns / 8; n++) {
                float p0 = Warp.exp2(s[row + 4 * n] * factor - now);
                float p1 = Warp.exp2(s[row + 4 * n + 1] * factor - now);
                even += p0;
                odd += p1;
                s[row + 4 * n] = p0;
                s[row + 4 * n + 1] = p1;
            }
            l[r] = l[r] * correction[r] + (even + odd);
        }
    }

    /**
     * P = Z ∘ P, where there is dropout: Z is that of a tile whose rows are queries, this lane's from {@code query} and {@code
     * key} on.
     */
    public static void drop(
            float[] p,
            int rowTiles,
            int columns,
            IntArray keyLengths,
            int batchHead,
            int query,
            int key,
            int features) {
        if ((features & Features.DROPOUT) != 0) {
            int threshold = DropoutMask.threshold(keyLengths, features);
            for (int r = 0; r < 2 * rowTiles; r++) {
                for (int n = 0; n < columns / 8; n++) {
                    int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
                    long random = DropoutMask.words(
                            DropoutMask.seedLow(keyLengths, features),
                            DropoutMask.seedHigh(keyLengths, features),
                            (key >> 2) + 2 * n,
                            query + 8 * r,
                            batchHead,
                            DropoutMask.offset(keyLengths, features),
                            key >> 1 & 1);
                    p[at] *= DropoutMask.factor((int) random, threshold);
                    p[at + 1] *= DropoutMask.factor((int) (random >> 32), threshold);
                }
            }
        }
    }

    /** The dropout of a tile whose rows are keys, as a bit for each of a lane's elements that is kept. */
    public static void keptTransposed(
            int[] kept, int columns, IntArray keyLengths, int batchHead, int query, int key, int features) {
        for (int at = 0; at < columns / 2; at++) {
            int random = DropoutMask.word(
                    DropoutMask.seedLow(keyLengths, features),
                    DropoutMask.seedHigh(keyLengths, features),
                    key + at / 2 % 2 * 8 >> 2,
                    query + at / 4 * 8 + at % 2,
                    batchHead,
                    DropoutMask.offset(keyLengths, features),
                    key & 3);
            int bit = DropoutMask.isDropped(random, DropoutMask.threshold(keyLengths, features)) ? 0 : 1;
            kept[at / 32] = (at % 32 == 0 ? 0 : kept[at / 32]) | bit << at % 32;
        }
    }

    /** What is kept of X, times a factor; 0 elsewhere. */
    public static void keep(float[] x, float[] from, int[] kept, int columns, float factor) {
        for (int at = 0; at < columns / 2; at++) {
            x[at] = (kept[at / 32] >> at % 32 & 1) == 0 ? 0f : from[at] * factor;
        }
    }

    /** O = correction * O. */
    public static void rescale(float[] o, float[] correction, int rowTiles, int columns) {
        rescaleBlocks(o, correction, 2 * rowTiles, columns);
    }

    /** {@link #rescale} of the first {@code rowBlocks} blocks of 8 rows. */
    public static void rescaleBlocks(float[] o, float[] correction, int rowBlocks, int columns) {
        for (int r = 0; r < rowBlocks; r++) {
            for (int n = 0; n < columns / 8; n++) {
                int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
                o[at] *= correction[r];
                o[at + 1] *= correction[r];
            }
        }
    }

    /** Row {@code r} of O = 0, whatever it held, unless it is to be kept. */
    public static void clearRow(float[] o, int r, int columns, boolean kept) {
        for (int n = 0; n < columns / 8; n++) {
            int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
            o[at] = kept ? o[at] : 0f;
            o[at + 1] = kept ? o[at + 1] : 0f;
        }
    }

    /** Two neighbouring accumulators, packed, are an operand A of 16 rows, 16 deep. */
    public static void pack(int type, float[] s, int[] p, int rowTiles, int columns) {
        packBlocks(type, s, p, 2 * rowTiles, columns);
    }

    /** {@link #pack} of the first {@code rowBlocks} blocks of 8 rows. */
    public static void packBlocks(int type, float[] s, int[] p, int rowBlocks, int columns) {
        for (int r = 0; r < rowBlocks; r++) {
            for (int n = 0; n < columns / 8; n++) {
                int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
                p[(r / 2 * columns / 8 + n) * 2 + r % 2] = Warp.pack(type, s[at], s[at + 1]);
            }
        }
    }
}
