package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Attention with the online softmax, a row of Q a work-item: one pass over the keys, nothing of S or P stored.
 *
 * <p>Source: Milakov and Gimelshein, <i>Online normalizer calculation for softmax</i> (2018), with the output
 * accumulated in the same pass as in FlashAttention. It is the smallest kernel that needs only O(seqQ) memory.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value
 * {@code [batch, kvHeads, seqK, valueDim]}, output {@code [batch, heads, seqQ, valueDim]}, logSumExp {@code [batch,
 * heads, seqQ]} (natural logarithm), headTerms of {@link HeadTerms}, keyLengths {@code [batch]} (keys) and the words of
 * dropout; all F32.
 *
 * <p><b>Grid.</b> {@code batch * heads * seqQ} work-items in one dimension, groups of any size. No local memory; two
 * private arrays, of headDim and valueDim elements.
 *
 * <p>Other arrays than logSumExp may be those of views, whose rows {@link Layout} finds.
 *
 * <p>The loop ends at the size of an array for the reason that {@link StandardAttention} gives.
 *
 * <p><b>Device.</b> Any. <b>Not done here.</b> Work-items share nothing, so K and V are read once per query: the rung
 * above, {@link TiledFlashAttention}, mends that.
 */
public final class OnlineSoftmaxAttention {

    private OnlineSoftmaxAttention() {}

    /**
     * Computes every row; see the class for arrays and grid.
     *
     * @param addedValueDim valueDim less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS} and {@code DROPOUT}, added
     */
    public static void attention(
            FloatArray query,
            FloatArray key,
            FloatArray value,
            FloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int addedValueDim,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        for (@Parallel int row = 0; row < logSumExp.getSize(); row++) {
            int valueDim = headDim + addedValueDim;
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
            int valueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * valueDim;
            int queryBase = row * headDim;
            int outputBase = row * valueDim;
            int keyStride = headDim;
            int valueStride = valueDim;
            if (Layout.isStrided()) {
                int kvHead = head / (heads / kvHeads);
                queryBase = Layout.query(batch, head, row % seqQ);
                outputBase = Layout.output(batch, head, row % seqQ);
                keyBase = Layout.key(batch, kvHead, 0);
                valueBase = Layout.value(batch, kvHead, 0);
                keyStride = Layout.keyRow();
                valueStride = Layout.valueRow();
            }

            int length = Window.length(keyLengths, batch, seqK, features);
            float slope = HeadTerms.slope(headTerms, head, features);
            int seedLow = DropoutMask.seedLow(keyLengths, features);
            int seedHigh = DropoutMask.seedHigh(keyLengths, features);
            int seedOffset = DropoutMask.offset(keyLengths, features);
            int threshold = DropoutMask.threshold(keyLengths, features);
            int position = row % seqQ + length - seqQ;
            int firstKey = Window.firstKey(position, windowLeft);
            int lastKey = Window.lastKey(position, length, windowRight);

            // m = -inf, l = 0, o = 0
            float[] q = new float[headDim];
            float[] o = new float[valueDim];
            for (int x = 0; x < headDim; x++) {
                q[x] = scale * query.get(queryBase + x);
                if (valueDim == headDim) {
                    o[x] = 0f;
                }
            }
            if (valueDim != headDim) {
                for (int x = 0; x < valueDim; x++) {
                    o[x] = 0f;
                }
            }
            float max = Score.NO_SCORE;
            float sum = 0f;

            // What o and l join every so many keys, relative to the maximum of then.
            float[] total = new float[PartialSums.areJoined() ? valueDim : 0];
            float totalMax = Score.NO_SCORE;
            float totalSum = 0f;
            if (PartialSums.areJoined()) {
                for (int x = 0; x < valueDim; x++) {
                    total[x] = 0f;
                }
            }

            for (int j = firstKey; j <= lastKey; j++) {
                // s = q · k_j, in four sums, since one alone would wait for itself
                int at = keyBase + j * keyStride;
                float s0 = 0f;
                float s1 = 0f;
                float s2 = 0f;
                float s3 = 0f;
                int fours = headDim / 4 * 4;
                for (int x = 0; x < fours; x += 4) {
                    s0 += q[x] * key.get(at + x);
                    s1 += q[x + 1] * key.get(at + x + 1);
                    s2 += q[x + 2] * key.get(at + x + 2);
                    s3 += q[x + 3] * key.get(at + x + 3);
                }
                for (int x = fours; x < headDim; x++) {
                    s0 += q[x] * key.get(at + x);
                }
                float s = s0 + s1 + (s2 + s3);
                s = Score.of(s, softcap, slope, position - j, features);
                s = Functions.score(s, batch, head, row % seqQ, j, position);

                // m' = max(m, s); l = e^(m - m') l + e^(s - m'); o = e^(m - m') o + e^(s - m') v_j
                if (s > max) {
                    float alpha = TornadoMath.exp(max - s);
                    max = s;
                    sum = alpha * sum;
                    for (int x = 0; x < valueDim; x++) {
                        o[x] = alpha * o[x];
                    }
                }
                float p = Functions.weight(TornadoMath.exp(s - max), s);
                sum += p;
                p *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, row % seqQ, j, features);
                if (Functions.weight(1f, s) != 0f) {
                    for (int x = 0; x < valueDim; x++) {
                        o[x] += p * value.get(valueBase + j * valueStride + x);
                    }
                }

                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun(j)) {
                        float alpha = TornadoMath.exp(totalMax - max);
                        totalMax = max;
                        totalSum = alpha * totalSum + sum;
                        sum = 0f;
                        for (int x = 0; x < valueDim; x++) {
                            total[x] = alpha * total[x] + o[x];
                            o[x] = 0f;
                        }
                    }
                }
            }
            if (PartialSums.areJoined()) {
                float alpha = TornadoMath.exp(totalMax - max);
                sum += alpha * totalSum;
                for (int x = 0; x < valueDim; x++) {
                    o[x] += alpha * total[x];
                }
            }

            // O = o / l and L = m + ln l; a query that saw no key gets 0 and -infinity
            float inverse = RowEnd.inverse(max, sum, headTerms, head, features);
            float lse = RowEnd.logSumExp(max, sum, headTerms, head, features);
            for (int x = 0; x < valueDim; x++) {
                output.set(outputBase + x, inverse * o[x]);
            }
            logSumExp.set(row, lse);
        }
    }
}
