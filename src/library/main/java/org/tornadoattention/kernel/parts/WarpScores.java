package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The online softmax on score tiles that a warp holds in registers, in the layout of {@link Warp}'s accumulators.
 *
 * <p>A register tile of {@code rowTiles} · 16 rows by {@code columns} is an array in which element {@code ((r / 2) *
 * columns / 8 + n) * 4 + r % 2 * 2 + e} is, in lane 4g + t, row 8r + g and column 8n + 2t + e. TornadoVM inlines these
 * methods and unrolls their loops, so that the arrays stay in registers.
 */
public final class WarpScores {

    public static final float LOG2_E = 1.4426950408889634f;

    /** By how many exponents of 2 {@link #softmaxWithRoom} leaves m above the largest score. */
    private static final int ROOM = 3;

    /** In each of two packed floats, F16 or BF16, that are not negative: the bit that those from 2 on have. */
    private static final int AT_LEAST_2 = 0x40004000;

    private WarpScores() {}

    /** Whether scores need no more than one factor on their way into the exponential. */
    public static boolean isScaleOnly(float scale, float softcap, int features) {
        return softcap == 0f && (features & Features.ALIBI) == 0 && !Functions.changeScores() && scale > 0f;
    }

    /**
     * What turns into exponents of 2 what {@link #scores} leaves, or {@link #ask}: q·k if that is all there is to do,
     * scores that functions changed, else 1.
     */
    public static float factor(float scale, float softcap, int features) {
        float ofScores = Functions.changeScores() ? LOG2_E : 1f;
        return isScaleOnly(scale, softcap, features) ? scale * LOG2_E : ofScores;
    }

    /**
     * What softmax is taken of, over S = Q Kᵀ: {@link #score}, and −∞ for what the mask hides, which is asked only
     * where a tile has an edge of it. In a tile whose rows are keys, all that is said of queries holds for keys and the
     * other way round.
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

    /**
     * S = -inf for what the window hides, which is asked only where a tile has an edge of it: the end of
     * {@link #scores}.
     */
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

    // spotless:off: parameters in rows: what is computed, of which pairs, with what
    /**
     * {@link #scores} where functions change no score: −∞ for what they hide too, which is asked in tiles that are not whole.
     *
     * @param transposed whether rows are keys and columns queries
     * @param row the lane's row 0: a query, or a key
     * @param j the tile's first column: a key, or a query
     * @param column the lane's column 0, from {@code j} on
     * @param offset of a query's position among the keys
     * @param length keys
     * @param everyFirst the first column that all rows of the tile see
     * @param everyLast the last such column
     * @param whole above 0 where it is known that functions hide nothing of the tile
     */
    public static void maskedScores(
            float[] s, int rowTiles, int columns, boolean transposed,
            int batch, int head, int row, int j, int column, int seqQ, int offset, int length,
            int everyFirst, int everyLast, int windowLeft, int windowRight,
            float scale, float softcap, float slope, int features, int whole) {
        int position = transposed ? row - offset : row + offset;
        int end = transposed ? seqQ : length;
        int before = transposed ? windowRight : windowLeft;
        int after = transposed ? windowLeft : windowRight;
        score(s, rowTiles, columns, position - j - column, scale, softcap, slope, features);
        if (Functions.hideKeys()) {
            if (whole == 0) {
                hideAsked(
                        s, rowTiles, columns, transposed, batch, head, row, j + column, seqQ, offset, length,
                        windowLeft, windowRight);
            }
        }
        hide(s, rowTiles, columns, position, j, column, end, everyFirst, everyLast, before, after);
    }

    /** S = -inf for what functions hide, which are asked as in {@link #ask}. */
    private static void hideAsked(
            float[] s, int rowTiles, int columns, boolean transposed,
            int batch, int head, int row, int column, int seqQ, int offset, int length,
            int windowLeft, int windowRight) {
        for (int r = 0; r < 2 * rowTiles; r++) {
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int ofRow = row + 8 * r;
                    int ofColumn = column + 8 * n + e;
                    int i = TornadoMath.min(transposed ? ofColumn : ofRow, seqQ - 1);
                    int first = Window.firstKey(i + offset, windowLeft);
                    int last = Window.lastKey(i + offset, length, windowRight);
                    if (first <= last) {
                        int key = within(transposed ? ofRow : ofColumn, first, last, windowLeft);
                        float x = Functions.score(0f, batch, head, i, key, i + offset);
                        int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                        s[at] = x < Score.LEAST_SEEN ? RowEnd.negativeInfinity() : s[at];
                    }
                }
            }
        }
    }

    /** A key, or the nearest that the window leaves. */
    private static int within(int key, int first, int last, int windowLeft) {
        int nearest = TornadoMath.min(key, last);
        if (windowLeft >= 0) {
            nearest = TornadoMath.max(nearest, first);
        }
        return nearest;
    }

    /**
     * Above 0 where all of a lane's pairs are of the matrix and within the window, and functions are known to hide none: then nothing
     * of that is asked about each pair. Parameters as {@link #maskedScores}.
     */
    public static int isInner(
            int rowTiles, int columns, boolean transposed, int row, int j, int seqQ, int length,
            int everyFirst, int everyLast, int whole) {
        int beyond = row + 16 * rowTiles - 8 - (transposed ? length : seqQ) + 1;
        int outside = TornadoMath.max(0, TornadoMath.max(beyond, Window.outside(j, columns, everyFirst, everyLast)));
        return whole - outside;
    }

    /**
     * {@link #scores} where functions change them; −∞ for what they or the window hide. Functions are asked about pairs that the
     * window leaves: where a lane's query or key is none of the matrix, about its last, and for queries that see no key not at
     * all. What they hide is so low that its exponent of 2 is 0.
     *
     * @param query the lane's row 0
     * @param firstKey the lane's column 0
     * @param edges whether there may be such pairs, and any that functions hide: not where {@link #isInner}
     */
    public static void ask(
            float[] s, int rowTiles, int columns,
            int batch, int head, int query, int firstKey, int seqQ, int offset, int length,
            int windowLeft, int windowRight, float scale, float softcap, float slope, int features, boolean edges) {
        for (int r = 0; r < 2 * rowTiles; r++) {
            int i = edges ? TornadoMath.min(query + 8 * r, seqQ - 1) : query + 8 * r;
            int first = Window.firstKey(i + offset, windowLeft);
            int last = Window.lastKey(i + offset, length, windowRight);
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                    int key = firstKey + 8 * n + e;
                    int outside = 0;
                    if (edges) {
                        outside = TornadoMath.max(first - key, key - last);
                        key = within(key, first, last, windowLeft);
                    }
                    float score = RowEnd.negativeInfinity();
                    if (outside <= 0) {
                        float x = given(scale * s[at], softcap, slope, i + offset - key, features);
                        score = asked(x, batch, head, i, key, i + offset, edges);
                    }
                    s[at] = score;
                }
            }
        }
    }

    /** What functions are given of a scaled product. */
    private static float given(float scaled, float softcap, float slope, int distance, int features) {
        return Score.biased(capped(scaled, softcap), slope, distance, features);
    }

    /** {@link Score#capped} by the hyperbolic tangent of a warp. */
    private static float capped(float scaled, float softcap) {
        float score = scaled;
        if (softcap > 0f) {
            score = softcap * Warp.tanh(scaled * (1f / softcap));
        }
        return score;
    }

    /** {@link Score#derivative} without a division. */
    private static float derivative(float capped, float softcap) {
        float derivative = 1f;
        if (softcap > 0f) {
            float ratio = capped * (1f / softcap);
            derivative = 1f - ratio * ratio;
        }
        return derivative;
    }

    /**
     * Begins to read the biases of a tile where {@link Functions#addBiases}, two to an int: of the lane's row r, columns 8n and 8n +
     * 1, in {@code biases[r * columns / 8 + n]}, when they {@link #arrive}. Until then each lane has eight columns that follow one
     * another: 8 (4m + lane % 4) and so on, of its rows, in four ints.
     *
     * @param key the tile's first column
     * @param lane of the warp
     * @param ahead columns of a tile, or 0 in the last
     * @param inner above 0, for the whole warp, where the tile {@link #isInner}; else all become 0, so that nothing is kept from the
     *     tile before
     */
    public static void loadBiases(
            int[] biases, int columns, int batch, int head, int query, int key, int lane, int ahead, int inner) {
        for (int at = 0; at < columns / 4; at++) {
            biases[at] = 0;
        }
        if (inner > 0) {
            int first = Functions.elementOfBias(batch, head, query, key + 8 * (lane % 4));
            int second = Functions.elementOfBias(batch, head, query + 8, key + 8 * (lane % 4));
            for (int m = 0; m < columns / 32; m++) {
                Functions.loadEight(biases, 4 * m, first, 32 * m, ahead);
                Functions.loadEight(biases, columns / 8 + 4 * m, second, 32 * m, ahead);
            }
        }
    }

    /** Four lanes give one another what {@link #loadBiases} read. */
    public static void arrive(int[] biases, int columns, int lane) {
        WarpTiles.turn(biases, columns / 4, lane);
    }

    /** {@link #ask} in a tile that {@link #isInner}, whose biases are in registers. */
    public static void askWithBiases(
            float[] s, int[] biases, int rowTiles, int columns,
            int batch, int head, int query, int firstKey, int offset,
            float scale, float softcap, float slope, int features) {
        for (int r = 0; r < 2 * rowTiles; r++) {
            int i = query + 8 * r;
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                    int key = firstKey + 8 * n + e;
                    float x = given(scale * s[at], softcap, slope, i + offset - key, features);
                    s[at] = Functions.ofSeenWith(
                            x, biases[r * columns / 8 + n], e, batch, head, i, key, i + offset);
                }
            }
        }
    }

    /**
     * {@link #ask} where rows are keys, columns are queries, and functions only add biases, which are in registers: of the
     * lane's row r, columns 8n and 8n + 1, in {@code biases[2 * n + r]}. What lies outside is not hidden.
     *
     * @param key the lane's row 0
     * @param firstQuery the lane's column 0
     */
    public static void addTransposed(
            float[] s, int[] biases, int columns,
            int batch, int head, int key, int firstQuery, int offset,
            float scale, float softcap, float slope, int features) {
        for (int n = 0; n < columns / 8; n++) {
            for (int r = 0; r < 2; r++) {
                for (int e = 0; e < 2; e++) {
                    int at = 4 * n + 2 * r + e;
                    int i = firstQuery + 8 * n + e;
                    int distance = i + offset - key - 8 * r;
                    float x = given(scale * s[at], softcap, slope, distance, features);
                    s[at] = Functions.ofSeenWith(x, biases[2 * n + r], e, batch, head, i, key + 8 * r, i + offset);
                }
            }
        }
    }

    private static float asked(float x, int batch, int head, int query, int key, int position, boolean edges) {
        float score = x;
        if (edges) {
            score = Functions.score(score, batch, head, query, key, position);
        } else {
            score = Functions.ofSeen(score, batch, head, query, key, position);
        }
        return score;
    }

    private static float slope(float x, int batch, int head, int query, int key, int position, boolean edges) {
        float slope = 0f;
        if (edges) {
            slope = Functions.slope(x, batch, head, query, key, position);
        } else {
            slope = Functions.slopeOfSeen(x, batch, head, query, key, position);
        }
        return slope;
    }

    /**
     * What the gradients of a tile need of S, where functions change scores: P times the derivative of each score with respect to its
     * scaled product, over S, and P itself, packed; both 0 for what is hidden. Otherwise as {@link #ask}.
     *
     * @param p gets P as dropout leaves it, where rows are keys
     * @param logSumExps of rows that are queries, {@link LargeScores#lowered}, as exponents of 2
     * @param tile has those of columns that are queries, from byte {@code terms} on, a query to 8 bytes
     * @param kept bits of the elements that dropout keeps, where rows are keys
     * @param keptFactor what it multiplies them by
     * @param biases what {@link #loadBiases} began to read, where rows are queries and {@code paired}
     * @param row the lane's row 0, a query, or transposed a key
     * @param column the lane's column 0, a key, or transposed a query
     */
    public static void weigh(
            int type, float[] s, int[] p, float[] logSumExps, int[] tile, int terms, int[] kept, float keptFactor,
            int[] biases, boolean paired, int columns, boolean transposed,
            int batch, int head, int row, int column, int seqQ, int offset, int length,
            int windowLeft, int windowRight, float scale, float softcap, float slope, int features, boolean edges) {
        Warp.unrollLoops();
        for (int n = 0; n < columns / 8; n++) {
            float even = 0f;
            float odd = 0f;
            if (transposed) {
                even = LargeScores.lowered(Warp.element(tile, terms + 64 * n), features) * LOG2_E;
                odd = LargeScores.lowered(Warp.element(tile, terms + 64 * n + 8), features) * LOG2_E;
            }
            for (int r = 0; r < 2; r++) {
                float low = 0f;
                for (int e = 0; e < 2; e++) {
                    int at = 4 * n + 2 * r + e;
                    int i = transposed ? column + 8 * n + e : row + 8 * r;
                    int key = transposed ? row + 8 * r : column + 8 * n + e;
                    int outside = 0;
                    if (edges) {
                        outside = i - seqQ + 1;
                        i = TornadoMath.min(i, seqQ - 1);
                        int first = Window.firstKey(i + offset, windowLeft);
                        int last = Window.lastKey(i + offset, length, windowRight);
                        outside = TornadoMath.max(outside, TornadoMath.max(first - key, key - last));
                        key = within(key, first, last, windowLeft);
                    }
                    float weight = 0f;
                    float probability = 0f;
                    if (outside <= 0) {
                        float ofColumn = e == 0 ? even : odd;
                        float lse = transposed ? ofColumn : logSumExps[r];
                        float capped = capped(scale * s[at], softcap);
                        float given = Score.biased(capped, slope, i + offset - key, features);
                        float x = 0f;
                        if (paired) {
                            x = Functions.ofSeenWith(
                                    given, biases[r * columns / 8 + n], e, batch, head, i, key, i + offset);
                        } else {
                            x = asked(given, batch, head, i, key, i + offset, edges);
                        }
                        float derivative =
                                derivative(capped, softcap) * slope(given, batch, head, i, key, i + offset, edges);
                        // A score that is no number hides nothing.
                        int hidden = x < Score.LEAST_SEEN ? 1 : 0;
                        float seen = Warp.exp2(LargeScores.exponent(x * LOG2_E - lse, features));
                        probability = hidden > 0 ? 0f : seen;
                        weight = hidden > 0 ? 0f : seen * derivative;
                    }
                    s[at] = weight;
                    if (transposed) {
                        if ((features & Features.DROPOUT) != 0) {
                            probability = (kept[at / 32] >> at % 32 & 1) == 0 ? 0f : probability * keptFactor;
                        }
                        if (e == 0) {
                            low = probability;
                        } else {
                            p[2 * n + r] = Warp.pack(type, low, probability);
                        }
                    }
                }
            }
        }
    }

    /**
     * Adds to a tile's sums what the gradient of a bias gets of S and dP: P (dP - D) times the derivative of what functions make of a
     * score with respect to what they are given, and nothing of what is hidden. Otherwise as {@link #weigh}.
     *
     * @param dp as dropout leaves it
     * @param d of the lane's two rows
     */
    public static void addBiasGradients(
            float[] sums, float[] s, float[] dp, float[] logSumExps, float[] d, int[] biases, boolean paired,
            int columns, int batch, int head, int row, int column, int seqQ, int offset, int length,
            int windowLeft, int windowRight, float scale, float softcap, float slope, int features, boolean edges) {
        Warp.unrollLoops();
        for (int r = 0; r < 2; r++) {
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int at = 4 * n + 2 * r + e;
                    int i = row + 8 * r;
                    int key = column + 8 * n + e;
                    int outside = 0;
                    if (edges) {
                        outside = i - seqQ + 1;
                        i = TornadoMath.min(i, seqQ - 1);
                        int first = Window.firstKey(i + offset, windowLeft);
                        int last = Window.lastKey(i + offset, length, windowRight);
                        outside = TornadoMath.max(outside, TornadoMath.max(first - key, key - last));
                        key = within(key, first, last, windowLeft);
                    }
                    float gradient = 0f;
                    if (outside <= 0) {
                        float x = given(scale * s[at], softcap, slope, i + offset - key, features);
                        float score = 0f;
                        if (paired) {
                            score = Functions.ofSeenWith(
                                    x, biases[r * columns / 8 + n], e, batch, head, i, key, i + offset);
                        } else {
                            score = asked(x, batch, head, i, key, i + offset, edges);
                        }
                        float derivative = slope(x, batch, head, i, key, i + offset, edges);
                        float p = Warp.exp2(score * LOG2_E - logSumExps[r]);
                        // A score that is no number hides nothing.
                        int hidden = score < Score.LEAST_SEEN ? 1 : 0;
                        gradient = hidden > 0 ? 0f : p * (dp[at] - d[r]) * derivative;
                    }
                    sums[at] += gradient;
                }
            }
        }
    }

    // spotless:on

    /** S = log2(e) * (softcap(scale * S) - slope * |distance|), where the scale is not all there is to it. */
    private static void score(
            float[] s, int rowTiles, int columns, int distance, float scale, float softcap, float slope, int features) {
        if (!isScaleOnly(scale, softcap, features)) {
            for (int r = 0; r < 2 * rowTiles; r++) {
                for (int n = 0; n < columns / 8; n++) {
                    for (int e = 0; e < 2; e++) {
                        int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                        float x = capped(scale * s[at], softcap);
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
                derivatives[at] = derivative(capped(scale * s[at], softcap), softcap);
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
     * One step of the online softmax: m = max(m, rowmax S) where that has grown by more than {@code threshold}, P =
     * 2^(S - m) over S, correction = 2^(old m - m), l = correction * l + rowsum P. A stale m is as exact: the final
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

    /**
     * P = 2^(S - m) of a tile of 16 rows with the m that there is, packed as {@link #pack} does, and its row sums. S
     * stays.
     *
     * @return not 0 where an element is at least 2, or no number: then m is too low, and P and its sums are void
     */
    public static int weigh(int type, float[] s, int[] p, float[] m, float[] sums, int columns, float factor) {
        int bits = 0;
        for (int r = 0; r < 2; r++) {
            float even = 0f;
            float odd = 0f;
            for (int n = 0; n < columns / 8; n++) {
                float p0 = Warp.exp2(s[4 * n + 2 * r] * factor - m[r]);
                float p1 = Warp.exp2(s[4 * n + 2 * r + 1] * factor - m[r]);
                even += p0;
                odd += p1;
                int packed = Warp.pack(type, p0, p1);
                bits |= packed;
                p[2 * n + r] = packed;
            }
            sums[r] = even + odd;
        }
        return bits & AT_LEAST_2;
    }

    /** {@link #softmax} of a tile of 16 rows, m higher by {@link #ROOM}: most tiles that follow leave it as it is. */
    public static void softmaxWithRoom(float[] s, float[] m, float[] l, float[] correction, int columns, float factor) {
        softmaxOfBlocks(s, m, l, correction, 2, columns, factor, 0, ROOM);
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
        softmaxOfBlocks(s, m, l, correction, rowBlocks, columns, factor, threshold, 0);
    }

    private static void softmaxOfBlocks(
            float[] s,
            float[] m,
            float[] l,
            float[] correction,
            int rowBlocks,
            int columns,
            float factor,
            int threshold,
            int room) {
        for (int r = 0; r < rowBlocks; r++) {
            int row = r / 2 * columns / 2 + r % 2 * 2;
            // Four maxima that do not wait for one another: the next of a chain begins some five cycles after the last.
            float even = s[row];
            float odd = s[row + 1];
            float otherEven = even;
            float otherOdd = odd;
            for (int n = 1; n < columns / 8; n++) {
                if (n % 2 == 0) {
                    even = TornadoMath.max(even, s[row + 4 * n]);
                    odd = TornadoMath.max(odd, s[row + 4 * n + 1]);
                } else {
                    otherEven = TornadoMath.max(otherEven, s[row + 4 * n]);
                    otherOdd = TornadoMath.max(otherOdd, s[row + 4 * n + 1]);
                }
            }
            float top = TornadoMath.max(TornadoMath.max(even, odd), TornadoMath.max(otherEven, otherOdd));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 1));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 2)) * factor;
            if (room > 0) {
                top += room;
            }
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
     * P = Z ∘ P, where there is dropout: Z is that of a tile whose rows are queries, this lane's from {@code query} and
     * {@code key} on.
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

    /**
     * {@link #keep} of two elements: of X, those from {@code at} on, which are {@code ofTile} and the next in the tile.
     */
    public static void keepPair(float[] x, float[] from, int at, int[] kept, int ofTile, float factor) {
        for (int e = 0; e < 2; e++) {
            x[e] = (kept[(ofTile + e) / 32] >> (ofTile + e) % 32 & 1) == 0 ? 0f : from[at + e] * factor;
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
