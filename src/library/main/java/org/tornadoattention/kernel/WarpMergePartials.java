package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.CachedKeys;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.kernel.parts.WarpTiles;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * {@link MergePartials} of up to {@link #MOST_PARTS} parts, a warp to a row: each lane has four columns at once, and
 * all that a row is made of is under way before the first of it is used.
 *
 * <p>Source: Milakov and Gimelshein, <i>Online normalizer calculation for softmax</i> (2018): partial sums merge by
 * their maxima.
 *
 * <p><b>Arrays.</b> As {@link MergePartials}; rows of the output begin at even elements.
 *
 * <p><b>Grid.</b> One dimension, a warp for each row, {@link #ROWS} rows to a group.
 *
 * <p><b>Device.</b> {@link Warp}: compute capability 8.0. The head dimension is a multiple of 4.
 */
public final class WarpMergePartials {

    /** Rows of a group. */
    public static final int ROWS = 4;

    /** Parts of a row at most. */
    public static final int MOST_PARTS = 8;

    private static final int LANES = 32;

    /** Work-items of a group. */
    public static final int GROUP = LANES * ROWS;

    private WarpMergePartials() {}

    /**
     * Merges the rows of a group; see the class for arrays and grid.
     *
     * @param heads query heads
     * @param seqQ query tokens that a sequence has room for
     * @param splits parts of each row
     */
    public static void merge(
            KernelContext context,
            FloatArray partials,
            @Element("tokens") FloatArray output,
            FloatArray logSumExp,
            @IfGiven IntArray sequences,
            @IfGiven IntArray step,
            @IfGiven IntArray validRows,
            int heads,
            int headDim,
            int seqQ,
            int splits) {
        Warp.requireGroupSize(GROUP);
        int logSumExps = partials.getSize() / (headDim + 1) * headDim;
        int rows = logSumExps / (headDim * splits);
        int row = context.groupIdx * ROWS + context.localIdx / LANES;
        int lane = context.localIdx % LANES;
        if (row < rows) {
            int token = row / heads;
            int head = row % heads;
            int sequence = token / seqQ;
            float[] weights = new float[splits];
            float[] parts = new float[4 * splits];
            float[] o = new float[4];
            for (int s = 0; s < splits; s++) {
                weights[s] = partials.get(logSumExps + row * splits + s);
            }
            for (int s = 0; s < splits; s++) {
                int column = TornadoMath.min(4 * lane, headDim - 4);
                Warp.loadFour(parts, 4 * s, partials, (row * splits + s) * headDim + column);
            }
            int queries = MergePartials.queries(validRows, step, sequence, seqQ);

            // m = max L_s, then e^(L_s - m) and their sum; parts that saw no key may hold anything.
            float max = Score.NO_SCORE;
            for (int s = 0; s < splits; s++) {
                max = TornadoMath.max(max, weights[s]);
            }
            float sum = 0f;
            for (int s = 0; s < splits; s++) {
                float lse = weights[s];
                weights[s] = lse == Score.NO_SCORE ? 0f : TornadoMath.exp(lse - max);
                sum += weights[s];
            }

            // O = sum e^(L_s - L) O_s and L = m + ln sum
            if (token % seqQ < queries) {
                float inverse = sum == 0f ? 0f : 1f / sum;
                int outputRow = (sequence * heads + head) * seqQ + token % seqQ;
                int base = outputRow * headDim;
                if (Layout.isStrided()) {
                    base = Layout.output(sequence, head, token % seqQ);
                }
                for (int x = 4 * lane; x < headDim; x += 4 * LANES) {
                    if (x >= 4 * LANES) {
                        for (int s = 0; s < splits; s++) {
                            Warp.loadFour(parts, 4 * s, partials, (row * splits + s) * headDim + x);
                        }
                    }
                    for (int e = 0; e < 4; e++) {
                        o[e] = 0f;
                    }
                    for (int s = 0; s < splits; s++) {
                        for (int e = 0; e < 4; e++) {
                            o[e] += weights[s] == 0f ? 0f : weights[s] * parts[4 * s + e];
                        }
                    }
                    WarpTiles.storeTwo(output, base + x, inverse * o[0], inverse * o[1]);
                    WarpTiles.storeTwo(output, base + x + 2, inverse * o[2], inverse * o[3]);
                }
                if (lane == 0) {
                    logSumExp.set(outputRow, sum == 0f ? Float.NEGATIVE_INFINITY : max + TornadoMath.log(sum));
                }
            }
        }
        if (!CachedKeys.arePlacesRead()) {
            // The receipt of the step.
            if (row == 0 && lane == 0 && logSumExp.getSize() > rows) {
                logSumExp.set(rows, StepLayout.receipt(sequences, step));
            }
        }
    }
}
