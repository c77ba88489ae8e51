package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.CachedKeys;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Merges attention over parts of the keys into attention over all: {@code L = m + ln Σ e^(L_s - m)}, {@code O = Σ
 * e^(L_s - L) O_s}, with m the largest of the parts' log-sum-exps.
 *
 * <p>Source: Dao et al., <i>Flash-Decoding</i> (2023). Parts that saw no key count nothing; where none saw any, the
 * output is 0 and the log-sum-exp −∞.
 *
 * <p><b>Arrays.</b> partials as {@link SplitKeyAttention} leaves them. output and logSumExp: {@code [batch, heads,
 * seqQ, headDim]} and {@code [batch, heads, seqQ]}, or, with {@code seqQ = 0}, {@code [tokens, heads, headDim]} and
 * {@code [tokens, heads]}. step and sequences as {@link SplitKeyAttention} has them; an element of logSumExp past the
 * last row, if there is one, gets the number of the step when that was appended and attended to.
 *
 * <p>An output of a caller's lies where {@link Layout} finds its rows.
 *
 * <p><b>Grid.</b> One dimension, {@code tokens * heads} groups of {@code groupSize} work-items.
 *
 * <p><b>Local memory.</b> {@code splits} floats.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory.
 */
public final class MergePartials {

    /** Parts that a work-item loads at once. */
    private static final int AT_ONCE = 8;

    private MergePartials() {}

    /** Bytes of local memory of a group. */
    public static int localMemoryBytes(int splits) {
        return Float.BYTES * splits;
    }

    /** Queries of a sequence that count, of {@code seqQ} that there is room for. */
    static int queries(IntArray validRows, IntArray step, int sequence, int seqQ) {
        int queries = 0;
        if (CachedKeys.arePlacesRead()) {
            queries = ReadPositions.rows(validRows, sequence, seqQ, CachedKeys.given());
        } else {
            queries = StepLayout.queries(step, sequence);
        }
        return queries;
    }

    /**
     * Merges one row; see the class for arrays, grid and memory.
     *
     * @param heads query heads
     * @param seqQ query tokens of each sequence in the output, 0 for packed tokens
     * @param splits parts of each row
     * @param features how raw bits of the output are to be written
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
            int splits,
            int groupSize,
            int features) {
        float[] weights = context.allocateFloatLocalArray(splits);
        int item = context.localIdx;
        int row = context.groupIdx;
        int token = row / heads;
        int head = row % heads;
        int logSumExps = partials.getSize() / (headDim + 1) * headDim;

        // A sequence may have fewer queries than there is room for.
        int outputRow = row;
        boolean present = true;
        if (seqQ > 0) {
            int sequence = token / seqQ;
            int queries = queries(validRows, step, sequence, seqQ);
            outputRow = (sequence * heads + head) * seqQ + token % seqQ;
            present = token % seqQ < queries;
        }

        int outputBase = outputRow * headDim;
        if (Layout.isStrided()) {
            outputBase = Layout.output(token / seqQ, head, token % seqQ);
        }

        // m = max L_s, then e^(L_s - m) and their sum; of few parts each work-item has all, of many the group. Loads of
        // few wait for nothing, so that all are under way at once: what they bring to a row that does not count is
        // left.
        float[] few = new float[AT_ONCE];
        float[] parts = new float[AT_ONCE];
        float max = Score.NO_SCORE;
        float sum = 0f;
        if (splits <= AT_ONCE) {
            for (int s = 0; s < splits; s++) {
                few[s] = partials.get(logSumExps + row * splits + s);
            }
            for (int s = 0; s < splits; s++) {
                parts[s] = partials.get((row * splits + s) * headDim + TornadoMath.min(item, headDim - 1));
            }
            for (int s = 0; s < splits; s++) {
                max = TornadoMath.max(max, few[s]);
            }
            for (int s = 0; s < splits; s++) {
                float lse = few[s];
                few[s] = lse == Score.NO_SCORE ? 0f : TornadoMath.exp(lse - max);
                sum += few[s];
            }
        } else {
            for (int s = item; s < splits; s += groupSize) {
                weights[s] = Score.NO_SCORE;
                if (present) {
                    weights[s] = partials.get(logSumExps + row * splits + s);
                }
            }
            context.localBarrier();
            for (int s = 0; s < splits; s++) {
                max = TornadoMath.max(max, weights[s]);
            }
            context.localBarrier();
            for (int s = item; s < splits; s += groupSize) {
                float lse = weights[s];
                weights[s] = lse == Score.NO_SCORE ? 0f : TornadoMath.exp(lse - max);
            }
            context.localBarrier();
            for (int s = 0; s < splits; s++) {
                sum += weights[s];
            }
        }

        // O = sum e^(L_s - L) O_s and L = m + ln sum
        float inverse = sum == 0f ? 0f : 1f / sum;
        for (int x = item; x < headDim; x += groupSize) {
            float o = 0f;
            if (splits <= AT_ONCE) {
                if (x >= groupSize) {
                    for (int s = 0; s < splits; s++) {
                        parts[s] = partials.get((row * splits + s) * headDim + x);
                    }
                }
                for (int s = 0; s < splits; s++) {
                    o += few[s] == 0f ? 0f : few[s] * parts[s];
                }
            } else {
                for (int s0 = 0; s0 < splits; s0 += AT_ONCE) {
                    // Many loads under way before the first is used; parts that saw no key may hold anything.
                    for (int u = 0; u < AT_ONCE; u++) {
                        parts[u] = partials.get((row * splits + TornadoMath.min(s0 + u, splits - 1)) * headDim + x);
                    }
                    for (int u = 0; u < AT_ONCE; u++) {
                        float weight = s0 + u < splits ? weights[TornadoMath.min(s0 + u, splits - 1)] : 0f;
                        o += weight == 0f ? 0f : weight * parts[u];
                    }
                }
            }
            if (present) {
                store(output, outputBase + x, inverse * o, features);
            }
        }
        if (item == 0 && present) {
            logSumExp.set(outputRow, sum == 0f ? Float.NEGATIVE_INFINITY : max + TornadoMath.log(sum));
        }

        if (!CachedKeys.arePlacesRead()) {
            // The receipt of the step.
            int rows = logSumExps / (headDim * splits);
            if (item == 0 && row == 0 && logSumExp.getSize() > rows) {
                logSumExp.set(rows, StepLayout.receipt(sequences, step));
            }
        }
    }
}
