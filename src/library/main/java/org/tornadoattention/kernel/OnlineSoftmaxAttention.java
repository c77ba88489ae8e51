package org.tornadoattention.kernel;

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
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key and value {@code [batch, kvHeads, seqK, headDim]},
 * output like query, logSumExp {@code [batch, heads, seqQ]} (natural logarithm), alibiSlopes {@code [heads]},
 * keyLengths {@code [batch]} (keys) and the words of dropout; all F32.
 *
 * <p><b>Grid.</b> {@code batch * heads * seqQ} work-items in one dimension, groups of any size. No local memory; two
 * private arrays of headDim elements.
 *
 * <p>The loop ends at the size of an array for the reason that {@link StandardAttention} gives.
 *
 * <p><b>Device.</b> Any. <b>Not done here.</b> Work-items share nothing, so K and V are read once per query: the rung
 * above, {@link TiledFlashAttention}, mends that.
 */
public final class OnlineSoftmaxAttention {

    /** Below every score that F32 inputs can give, yet finite: OpenCL's fast mode leaves infinities undefined. */
    private static final float NO_SCORE = -3.0e38f;

    private OnlineSoftmaxAttention() {}

    /**
     * Computes every row; see the class for arrays and grid.
     *
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@link TiledFlashAttention#ALIBI}, {@link TiledFlashAttention#KEY_LENGTHS} and
     *     {@link TiledFlashAttention#DROPOUT}, added
     */
    public static void attention(
            FloatArray query,
            FloatArray key,
            FloatArray value,
            FloatArray output,
            FloatArray logSumExp,
            FloatArray alibiSlopes,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        for (@Parallel int row = 0; row < logSumExp.getSize(); row++) {
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int keyValueBase = (batch * kvHeads + head / (heads / kvHeads)) * seqK * headDim;

            int length = seqK;
            if ((features & TiledFlashAttention.KEY_LENGTHS) != 0) {
                length = keyLengths.get(batch);
            }
            float slope = 0f;
            if ((features & TiledFlashAttention.ALIBI) != 0) {
                slope = alibiSlopes.get(head);
            }
            int seedLow = 0;
            int seedHigh = 0;
            int seedOffset = 0;
            int threshold = 0;
            if ((features & DropoutMask.DROPOUT) != 0) {
                int words = keyLengths.getSize() - DropoutMask.WORDS;
                seedLow = keyLengths.get(words);
                seedHigh = keyLengths.get(words + 1);
                seedOffset = keyLengths.get(words + 2);
                threshold = keyLengths.get(words + 3);
            }
            int position = row % seqQ + length - seqQ;
            int firstKey = 0;
            int lastKey = length - 1;
            if (windowLeft >= 0) {
                firstKey = TornadoMath.max(0, position - windowLeft);
            }
            if (windowRight >= 0) {
                lastKey = TornadoMath.min(lastKey, position + windowRight);
            }

            // m = -inf, l = 0, o = 0
            float[] q = new float[headDim];
            float[] o = new float[headDim];
            for (int x = 0; x < headDim; x++) {
                q[x] = scale * query.get(row * headDim + x);
                o[x] = 0f;
            }
            float max = NO_SCORE;
            float sum = 0f;

            for (int j = firstKey; j <= lastKey; j++) {
                // s = q · k_j, in four sums, since one alone would wait for itself
                int at = keyValueBase + j * headDim;
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
                if (softcap > 0f) {
                    s = Softcap.apply(s, softcap);
                }
                if ((features & TiledFlashAttention.ALIBI) != 0) {
                    s = s - slope * TornadoMath.abs(position - j);
                }

                // m' = max(m, s); l = e^(m - m') l + e^(s - m'); o = e^(m - m') o + e^(s - m') v_j
                if (s > max) {
                    float alpha = TornadoMath.exp(max - s);
                    max = s;
                    sum = alpha * sum;
                    for (int x = 0; x < headDim; x++) {
                        o[x] = alpha * o[x];
                    }
                }
                float p = TornadoMath.exp(s - max);
                sum += p;
                if ((features & DropoutMask.DROPOUT) != 0) {
                    p *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, row % seqQ, j);
                }
                for (int x = 0; x < headDim; x++) {
                    o[x] += p * value.get(at + x);
                }
            }

            // O = o / l and L = m + ln l; a query that saw no key gets 0 and -infinity
            float inverse = 0f;
            float lse = Float.NEGATIVE_INFINITY;
            if (sum != 0f) {
                inverse = 1f / sum;
                lse = max + TornadoMath.log(sum);
            }
            for (int x = 0; x < headDim; x++) {
                output.set(row * headDim + x, inverse * o[x]);
            }
            logSumExp.set(row, lse);
        }
    }
}
