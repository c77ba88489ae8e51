package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Rows that kernels on tensor cores compute once more, one pair of a query and a key after the other: those in which
 * something is not finite. A product of tiles goes over the pairs that the mask hides too, and 0 times NaN or ∞ is NaN,
 * so that a row may have it from what it does not see. Here it meets only what it sees. A row that is finite costs a
 * test; where nothing is hidden, nothing of this is left in the kernel.
 *
 * <p>A lane computes the columns that it has of a row in a register tile as {@link WarpScores} has them: element
 * {@code 4 n + e} of what it computes is column {@code 8 n + column + e}, as in row 0 of such a tile.
 *
 * <p>A pair that dropout drops is seen: its probability is 0, times which NaN is NaN.
 */
public final class Mending {

    private Mending() {}

    /** Above 0 where a mask hides pairs in tiles that kernels go over. */
    public static int isNeeded(int windowLeft, int windowRight) {
        int needed = TornadoMath.max(windowLeft, windowRight) + 1;
        if (Functions.arePresent()) {
            needed = 1;
        }
        return needed;
    }

    /** Bit {@code r} where not all of row {@code r} of a register tile is finite, else 0. */
    public static int bit(float[] x, int r, int columns) {
        float zero = 0f;
        for (int n = 0; n < columns / 8; n++) {
            int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
            zero += (x[at] + x[at + 1]) * 0f;
        }
        return zero == 0f ? 0 : 1 << r;
    }

    /** Above 0 where an element of a row is not finite, and the row's log-sum-exp, at {@code at}, does not say why. */
    public static int isMended(float element, FloatArray logSumExps, int at) {
        float zero = element * 0f;
        int isMended = 0;
        if (zero != 0f) {
            float logSumExp = logSumExps.get(at);
            isMended = logSumExp == logSumExp ? 1 : 0;
        }
        return isMended;
    }

    /** The score of a pair in a cache, of a query that is scaled already. */
    public static float scoreOfCache(float product, FloatArray numbers, int alibi, int head, int distance) {
        float score = Score.capped(product, StepLayout.softcap(numbers));
        if (alibi != 0) {
            score = score - StepLayout.slope(numbers, head) * TornadoMath.abs(distance);
        }
        return score;
    }

    // spotless:off: parameters in rows: what is computed, from which arrays, of which pair
    /**
     * A bit for each of a lane's rows that is not finite. Who goes over them with {@code unfinished >> r != 0} leaves them at once where
     * there are none, and compilers make no second copy of what is done for a row.
     *
     * @param query the lane's row 0
     * @param end the query after the last
     */
    public static int rows(float[] o, int rowBlocks, int columns, int query, int end) {
        int rows = 0;
        for (int r = 0; r < rowBlocks; r++) {
            int bit = bit(o, r, columns);
            rows |= query + 8 * r < end ? bit : 0;
        }
        return rows;
    }

    /**
     * {@link #rows} of the output, of which row 0 tells for all that hidden values are not finite: times 0 they are NaN in each row of
     * the tile. What else makes a row so is what it sees.
     */
    public static int rowsOfOutput(float[] o, int rowBlocks, int columns, int query, int end) {
        int rows = 0;
        int first = bit(o, 0, columns);
        if (first != 0) {
            rows = rows(o, rowBlocks, columns, query, end);
        }
        return rows;
    }

    /** Element {@code r} of an array that must stay in registers, so that no index may be computed. */
    public static float pick(float[] x, int r, int count) {
        float picked = x[0];
        for (int n = 1; n < count; n++) {
            picked = n == r ? x[n] : picked;
        }
        return picked;
    }

    /** The log-sum-exp of query {@code i}, natural: NaN if the row sees what makes it so, and is not computed again. */
    public static float logSumExp(
            float max, float sum, int i, int offset, int length, int windowLeft, int windowRight, int part,
            FloatArray headTerms, int head, int features) {
        boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
        float logSumExp = sum;
        if (sum == sum) {
            if (CachedKeys.areDivided()) {
                logSumExp = RowEnd.logSumExpOfPart(part, max, sum, headTerms, head, features);
            } else {
                logSumExp = RowEnd.logSumExpOfWarp(masked, max, sum, headTerms, head, features);
            }
        }
        return logSumExp;
    }

    /**
     * The head dimension, as a number that compilers do not know: of a loop with so many steps they would make as many addresses in the
     * row that stays, which registers do not hold beside all else.
     *
     * @param last the last of a row's pairs, below 0 where it has none
     */
    public static int depth(int headDim, int last) {
        return headDim + TornadoMath.min(0, last);
    }

    /** Of a pair, {@code a · b} of two rows. */
    private static float dot(HalfFloatArray a, int atA, HalfFloatArray b, int atB, int type, int headDim) {
        float dot = 0f;
        for (int x = 0; x < headDim; x++) {
            dot += load(a, atA + x, type) * load(b, atB + x, type);
        }
        return dot;
    }

    private static float dot(FloatArray a, int atA, FloatArray b, int atB, int type, int headDim) {
        float dot = 0f;
        for (int x = 0; x < headDim; x++) {
            dot += a.get(atA + x) * b.get(atB + x);
        }
        return dot;
    }

    /** Adds a row times {@code weight}, as far as it has the lane's columns. */
    private static void add(
            float[] sum, float weight, HalfFloatArray row, int at, int type, int headDim, int column) {
        for (int n = 0; n < (headDim + 7) / 8; n++) {
            for (int e = 0; e < 2; e++) {
                if (8 * n + column + e < headDim) {
                    sum[4 * n + e] += weight * load(row, at + 8 * n + column + e, type);
                }
            }
        }
    }

    private static void add(float[] sum, float weight, FloatArray row, int at, int type, int headDim, int column) {
        for (int n = 0; n < (headDim + 7) / 8; n++) {
            for (int e = 0; e < 2; e++) {
                if (8 * n + column + e < headDim) {
                    sum[4 * n + e] += weight * row.get(at + 8 * n + column + e);
                }
            }
        }
    }

    /** Columns of padding too. */
    private static void clear(float[] sum, int headDim) {
        for (int n = 0; n < (headDim + 15) / 16 * 2; n++) {
            sum[4 * n] = 0f;
            sum[4 * n + 1] = 0f;
        }
    }

    private static float load(HalfFloatArray array, int index, int type) {
        return Warp.load(type, array, index);
    }

    private static float load(FloatArray array, int index, int type) {
        return array.get(index);
    }

    private static float load(ShortArray array, int index, int type) {
        return Warp.load(type, array, index);
    }

    /** Of pairs of raw bits. */
    private static float load(IntArray array, int index, int type) {
        return Warp.unpack(type, array.get(index / 2) >> index % 2 * 16, 0);
    }

    /** The score of a pair that the window leaves, {@link Score#NO_SCORE} where a function hides it. */
    private static float score(
            float product, int batch, int head, int i, int j, int position,
            float scale, float softcap, float slope, int features) {
        float score = Score.of(scale * product, softcap, slope, position - j, features);
        return Functions.score(score, batch, head, i, j, position);
    }

    /** What dropout makes of a pair's weight. */
    private static float dropped(float weight, IntArray keyLengths, int batchHead, int i, int j, int features) {
        float dropped = weight;
        if ((features & Features.DROPOUT) != 0) {
            dropped *= DropoutMask.factor(
                    DropoutMask.seedLow(keyLengths, features),
                    DropoutMask.seedHigh(keyLengths, features),
                    DropoutMask.offset(keyLengths, features),
                    DropoutMask.threshold(keyLengths, features),
                    batchHead, i, j, features);
        }
        return dropped;
    }

    /** Where key or value {@code j} begins: in a cache in one of the pages that {@code sequences} names, after the padding. */
    private static int row(
            boolean values, int keyValueBase, int headDim, int batch, int kvHead, int j,
            IntArray sequences, int table, int padding, int last) {
        int at = keyValueBase + j * headDim;
        if (Layout.isStrided()) {
            at = values ? Layout.value(batch, kvHead, j) : Layout.key(batch, kvHead, j);
        }
        if (CachedKeys.arePresent()) {
            at = CachedKeys.start(values, sequences, table, kvHead, j + padding, last + padding);
        }
        return at;
    }

    /**
     * What a lane has of row {@code i} of the output.
     *
     * @param logSumExp natural, of the keys {@code first} to {@code last} and what else the row is divided by
     * @param queryAt where the query begins
     * @param keyValueBase where the keys and values of its head begin, if one follows the other
     * @param first the first key that the row sees of those that it is computed from
     * @param table of a cache's pages in {@code keyLengths}, which is then {@code sequences}
     * @param unrolled 1 where loops over a head are to have as many copies as it has elements, 0 for {@link #depth}
     * @param addedValueDim the values' head dimension, less {@code headDim}; 0 for views and caches
     */
    @Phase
    public static void output(
            float[] sum, float logSumExp, HalfFloatArray query, int queryAt, HalfFloatArray key, HalfFloatArray value,
            int keyValueBase, IntArray keyLengths, int table, int padding, int type, int headDim, int unrolled,
            int addedValueDim,
            int column, int batchHead, int batch, int head, int kvHead, int i, int position, int first, int last,
            float scale, float softcap, float slope, int features) {
        clear(sum, headDim + addedValueDim);
        int depth = headDim + (1 - unrolled) * TornadoMath.min(0, last);
        for (int j = first; j <= last; j++) {
            int keyAt = row(false, keyValueBase, headDim, batch, kvHead, j, keyLengths, table, padding, last);
            // Where it seems to depend on the key, compilers do not keep all of the query in registers.
            int queryHere = queryAt + unrolled * TornadoMath.min(0, last - j);
            float x = dot(query, queryHere, key, keyAt, type, depth);
            x = score(x, batch, head, i, j, position, scale, softcap, slope, features);
            // A score that is no number hides nothing.
            int hidden = x < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                float p = Warp.exp2((x - logSumExp) * WarpScores.LOG2_E);
                p = dropped(p, keyLengths, batchHead, i, j, features);
                int valueAt = row(true, keyValueBase, headDim, batch, kvHead, j, keyLengths, table, padding, last);
                if (addedValueDim != 0) {
                    valueAt = valueAt / headDim * (headDim + addedValueDim);
                }
                add(sum, p, value, valueAt, type, headDim + addedValueDim, column);
            }
        }
    }

    /** {@link #output} in F32, without dropout and functions. */
    @Phase
    public static void output(
            float[] sum, float logSumExp, FloatArray query, int queryAt, FloatArray key, FloatArray value,
            int keyValueBase, int headDim, int column, int position, int first, int last,
            float scale, float softcap, float slope, int features) {
        clear(sum, headDim);
        int depth = depth(headDim, last);
        for (int j = first; j <= last; j++) {
            float x = dot(query, queryAt, key, keyValueBase + j * headDim, 0, depth);
            x = Score.of(scale * x, softcap, slope, position - j, features);
            int hidden = x < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                float p = Warp.exp2((x - logSumExp) * WarpScores.LOG2_E);
                add(sum, p, value, keyValueBase + j * headDim, 0, headDim, column);
            }
        }
    }

    /**
     * What a lane has of row {@code i} of dQ, from column {@code from} on, without the scale.
     *
     * @param width columns from {@code from} on
     * @param first the first key that the row sees
     */
    @Phase
    public static void queryGradient(
            float[] sum, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value, HalfFloatArray outputGradient,
            FloatArray rowTerms, int row, int keyValueBase, IntArray keyLengths, int type, int headDim, int from,
            int width, int column, int batchHead, int batch, int head, int i, int position, int first, int last,
            float scale, float softcap, float slope, int features) {
        clear(sum, width);
        float logSumExp = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
        float d = RowTerms.d(rowTerms, row);
        int depth = depth(headDim, last);
        int end = last;
        for (int j = first; j <= end; j++) {
            int keyAt = keyValueBase + j * headDim;
            float x = dot(query, row * headDim, key, keyAt, type, depth);
            float capped = Score.capped(scale * x, softcap);
            float given = Score.biased(capped, slope, position - j, features);
            x = Functions.score(given, batch, head, i, j, position);
            int hidden = x < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                float dp = dot(outputGradient, row * headDim, value, keyAt, type, depth);
                dp = dropped(dp, keyLengths, batchHead, i, j, features);
                float ds = Warp.exp2(LargeScores.exponent(x - logSumExp, features) * WarpScores.LOG2_E)
                        * (dp - d)
                        * Score.derivative(capped, softcap)
                        * Functions.slope(given, batch, head, i, j, position);
                add(sum, ds, key, keyAt + from, type, width, column);
                // With a dS that is NaN all is.
                end = ds == ds ? end : first - 1;
            }
        }
    }

    /**
     * What a lane has of key {@code j} of dK, without the scale, and of dV.
     *
     * @param firstHead batch * heads + the first query head that reads the key
     * @param group how many do
     * @param first the first query that sees the key
     */
    @Phase
    public static void keyValueGradients(
            float[] sumOfKeys, float[] sumOfValues, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            HalfFloatArray outputGradient, FloatArray rowTerms, int keyAt, FloatArray headTerms, IntArray keyLengths,
            int type, int headDim, int column, int firstHead, int group, int heads, int j, int seqQ, int offset,
            int first, int last, float scale, float softcap, int features) {
        clear(sumOfKeys, headDim);
        clear(sumOfValues, headDim);
        int depth = depth(headDim, last);
        int queries = TornadoMath.max(0, last - first + 1);
        int pairs = group * queries;
        for (int pair = 0; pair < pairs; pair++) {
            int batchHead = firstHead + pair / queries;
            int i = first + pair % queries;
            int row = batchHead * seqQ + i;
            int head = batchHead % heads;
            float slope = HeadTerms.slope(headTerms, head, features);
            float x = dot(query, row * headDim, key, keyAt, type, depth);
            float capped = Score.capped(scale * x, softcap);
            float given = Score.biased(capped, slope, i + offset - j, features);
            x = Functions.score(given, batchHead / heads, head, i, j, i + offset);
            int hidden = x < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                float logSumExp = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
                float p = Warp.exp2(LargeScores.exponent(x - logSumExp, features) * WarpScores.LOG2_E);
                float dp = dot(outputGradient, row * headDim, value, keyAt, type, depth);
                dp = dropped(dp, keyLengths, batchHead, i, j, features);
                float ds = p
                        * (dp - RowTerms.d(rowTerms, row))
                        * Score.derivative(capped, softcap)
                        * Functions.slope(given, batchHead / heads, head, i, j, i + offset);
                p = dropped(p, keyLengths, batchHead, i, j, features);
                add(sumOfValues, p, outputGradient, row * headDim, type, headDim, column);
                add(sumOfKeys, ds, query, row * headDim, type, headDim, column);
                // With a P that is NaN all is.
                pairs = p == p ? pairs : 0;
            }
        }
    }

    /**
     * An element of a row of the output, or of a part of its keys.
     *
     * @param logSumExp natural, of these keys
     * @param x the element's column
     */
    @Phase
    public static float element(
            int x, float logSumExp, HalfFloatArray query, int queryAt, HalfFloatArray key, HalfFloatArray value,
            int keyValueBase, int headDim, int position, int first, int last,
            float scale, float softcap, float slope, int features) {
        float element = 0f;
        int depth = depth(headDim, last);
        for (int j = first; j <= last; j++) {
            int at = keyValueBase + j * headDim;
            float dot = 0f;
            for (int column = 0; column < depth; column++) {
                dot += Bits.value(query, queryAt + column) * Bits.value(key, at + column);
            }
            float score = Score.of(scale * dot, softcap, slope, position - j, features);
            int hidden = score < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                element += TornadoMath.exp(score - logSumExp) * Bits.value(value, at + x);
            }
        }
        return element;
    }
    // spotless:on
}
