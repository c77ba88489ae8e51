package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradients of attention, a row of the result a work-item, with P recomputed from the log-sum-exp: nothing of the
 * size of the scores is stored. The backward pass of {@link OnlineSoftmaxAttention}.
 *
 * <p>Source: Dao et al., <i>FlashAttention</i> (2022), appendix B: {@code P = exp(S - L)}, {@code dP = dO Vᵀ},
 * {@code dS = P ∘ (dP - D)}, {@code dV = Pᵀ dO}, {@code dQ = scale · dS K}, {@code dK = scale · dSᵀ Q}.
 *
 * <p><b>Arrays.</b> query and queryGradient {@code [batch, heads, seqQ, headDim]}, outputGradient {@code [batch, heads,
 * seqQ, valueDim]}, key and keyGradient {@code [batch, kvHeads, seqK, headDim]}, value and valueGradient {@code [batch,
 * kvHeads, seqK, valueDim]}, rowTerms of {@link BackwardRowTerms} {@code [batch, heads, seqQ, 2]}, headTerms of
 * {@link HeadTerms}, keyLengths {@code [batch]} (keys) and the words of dropout; all F32.
 *
 * <p><b>Grid.</b> One dimension, groups of any size: a query a work-item for dQ, a key for dK and dV, which sums over
 * the query heads of its group in order, so that there are no atomics and every run gives the same bits. No local
 * memory; private arrays, 3 and 4, of headDim and valueDim elements.
 *
 * <p>Loops end at the size of an array for the reason that {@link StandardAttention} gives.
 *
 * <p><b>Device.</b> Any. <b>Not done here.</b> Work-items share nothing: the tiled kernels mend that.
 */
public final class OnlineSoftmaxBackward {

    /** In how many interleaved parts dP is summed. */
    public static final int PARTS = 2;

    private OnlineSoftmaxBackward() {}

    /** {@code dQ}, a query a work-item; parameters as in {@link OnlineSoftmaxAttention#attention}. */
    public static void queryGradient(
            FloatArray query,
            FloatArray key,
            FloatArray value,
            FloatArray outputGradient,
            FloatArray rowTerms,
            FloatArray queryGradient,
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
        for (@Parallel int row = 0; row < rowTerms.getSize() / 2; row++) {
            int valueDim = headDim + addedValueDim;
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
            int valueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * valueDim;
            int queryAt = row * headDim;
            int outputAt = row * valueDim;
            int gradientAt = queryAt;
            int keyStride = headDim;
            int valueStride = valueDim;
            if (Layout.isStrided()) {
                int kvHead = head / (heads / kvHeads);
                keyBase = Layout.key(batch, kvHead, 0);
                valueBase = Layout.value(batch, kvHead, 0);
                queryAt = Layout.query(batch, head, row % seqQ);
                outputAt = Layout.outputGradient(batch, head, row % seqQ);
                gradientAt = Layout.queryGradient(batch, head, row % seqQ);
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

            float[] q = new float[headDim];
            float[] dO = new float[valueDim];
            float[] dQ = new float[headDim];
            for (int x = 0; x < headDim; x++) {
                q[x] = scale * query.get(queryAt + x);
                if (valueDim == headDim) {
                    dO[x] = outputGradient.get(outputAt + x);
                }
                dQ[x] = 0f;
            }
            if (valueDim != headDim) {
                for (int x = 0; x < valueDim; x++) {
                    dO[x] = outputGradient.get(outputAt + x);
                }
            }
            float[] total = new float[PartialSums.areJoined() ? headDim : 0];
            if (PartialSums.areJoined()) {
                for (int x = 0; x < headDim; x++) {
                    total[x] = 0f;
                }
            }
            float lse = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
            float d = RowTerms.d(rowTerms, row);

            for (int j = firstKey; j <= lastKey; j++) {
                // s = q · k_j, in the order of the forward pass, so that P has its bits, and dp = dO · v_j, in two
                // parts
                int at = keyBase + j * keyStride;
                int valueAt = valueBase + j * valueStride;
                float s0 = 0f;
                float s1 = 0f;
                float s2 = 0f;
                float s3 = 0f;
                float dp0 = 0f;
                float dp1 = 0f;
                int fours = headDim / 4 * 4;
                for (int x = 0; x < fours; x += 4) {
                    s0 += q[x] * key.get(at + x);
                    s1 += q[x + 1] * key.get(at + x + 1);
                    s2 += q[x + 2] * key.get(at + x + 2);
                    s3 += q[x + 3] * key.get(at + x + 3);
                    if (valueDim == headDim) {
                        dp0 += dO[x] * value.get(valueAt + x);
                        dp1 += dO[x + 1] * value.get(valueAt + x + 1);
                        dp0 += dO[x + 2] * value.get(valueAt + x + 2);
                        dp1 += dO[x + 3] * value.get(valueAt + x + 3);
                    }
                }
                for (int x = fours; x < headDim; x++) {
                    s0 += q[x] * key.get(at + x);
                }
                int rest = valueDim == headDim ? fours : 0;
                for (int x = rest; x < valueDim; x += 2) {
                    dp0 += dO[x] * value.get(valueAt + x);
                }
                for (int x = rest + 1; x < valueDim; x += 2) {
                    dp1 += dO[x] * value.get(valueAt + x);
                }
                float s = s0 + s1 + (s2 + s3);
                s = Score.capped(s, softcap);
                float capSlope = Score.derivative(s, softcap);
                s = Score.biased(s, slope, position - j, features);
                capSlope *= Functions.slope(s, batch, head, row % seqQ, j, position);
                s = Functions.score(s, batch, head, row % seqQ, j, position);
                float dp = dp0 + dp1;
                dp *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, row % seqQ, j, features);

                // p = e^(s - L); ds = p (dp - D); dQ = dQ + scale ds k_j
                float ds = Functions.weight(
                        TornadoMath.exp(LargeScores.exponent(s - lse, features)) * (dp - d) * capSlope * scale, s);
                if (Functions.weight(1f, s) != 0f) {
                    for (int x = 0; x < headDim; x++) {
                        dQ[x] += ds * key.get(at + x);
                    }
                }
                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun(j)) {
                        for (int x = 0; x < headDim; x++) {
                            total[x] += dQ[x];
                            dQ[x] = 0f;
                        }
                    }
                }
            }
            if (PartialSums.areJoined()) {
                for (int x = 0; x < headDim; x++) {
                    dQ[x] += total[x];
                }
            }
            for (int x = 0; x < headDim; x++) {
                queryGradient.set(gradientAt + x, dQ[x]);
            }
        }
    }

    /** {@code dK} and {@code dV}, a key a work-item; parameters as in {@link OnlineSoftmaxAttention#attention}. */
    public static void keyValueGradients(
            FloatArray query,
            FloatArray key,
            FloatArray value,
            FloatArray outputGradient,
            FloatArray rowTerms,
            FloatArray keyGradient,
            FloatArray valueGradient,
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
        for (@Parallel int keyRow = 0; keyRow < keyGradient.getSize() / headDim; keyRow++) {
            int valueDim = headDim + addedValueDim;
            int place = keyRow;
            int storedDim = headDim;
            int storedValueDim = valueDim;
            if (Layout.isStrided()) {
                // The array of a view is longer than its rows: what is past them does the last one's work and stores
                // nothing.
                int rows = rowTerms.getSize() / 2 / seqQ / heads * kvHeads * seqK;
                place = TornadoMath.min(keyRow, rows - 1);
                storedDim = keyRow < rows ? headDim : 0;
                storedValueDim = keyRow < rows ? valueDim : 0;
            }
            int j = place % seqK;
            int batch = place / seqK / kvHeads;
            int group = heads / kvHeads;
            int firstHead = place / seqK * group; // batch * heads + the first query head that reads this key
            int keyAt = place * headDim;
            int valueAt = place * valueDim;
            int keyGradientAt = keyAt;
            int valueGradientAt = valueAt;
            if (Layout.isStrided()) {
                int kvHead = place / seqK % kvHeads;
                keyAt = Layout.key(batch, kvHead, j);
                valueAt = Layout.value(batch, kvHead, j);
                keyGradientAt = Layout.keyGradient(batch, kvHead, j);
                valueGradientAt = Layout.valueGradient(batch, kvHead, j);
            }

            int length = Window.length(keyLengths, batch, seqK, features);
            int seedLow = DropoutMask.seedLow(keyLengths, features);
            int seedHigh = DropoutMask.seedHigh(keyLengths, features);
            int seedOffset = DropoutMask.offset(keyLengths, features);
            int threshold = DropoutMask.threshold(keyLengths, features);
            // The queries that see key j: those at positions j - windowRight ... j + windowLeft.
            int offset = length - seqQ;
            int firstQuery = Window.firstQuery(j, offset, windowRight);
            int lastQuery = Window.lastQuery(j, j, offset, seqQ, length, windowLeft);

            float[] k = new float[headDim];
            float[] v = new float[valueDim];
            float[] dK = new float[headDim];
            float[] dV = new float[valueDim];
            for (int x = 0; x < headDim; x++) {
                k[x] = key.get(keyAt + x);
                if (valueDim == headDim) {
                    v[x] = value.get(valueAt + x);
                }
                dK[x] = 0f;
                if (valueDim == headDim) {
                    dV[x] = 0f;
                }
            }
            if (valueDim != headDim) {
                for (int x = 0; x < valueDim; x++) {
                    v[x] = value.get(valueAt + x);
                    dV[x] = 0f;
                }
            }
            float[] totalOfK = new float[PartialSums.areJoined() ? headDim : 0];
            float[] totalOfV = new float[PartialSums.areJoined() ? valueDim : 0];
            if (PartialSums.areJoined()) {
                for (int x = 0; x < headDim; x++) {
                    totalOfK[x] = 0f;
                }
                for (int x = 0; x < valueDim; x++) {
                    totalOfV[x] = 0f;
                }
            }

            for (int batchHead = firstHead; batchHead < firstHead + group; batchHead++) {
                float slope = HeadTerms.slope(headTerms, batchHead % heads, features);
                for (int i = firstQuery; i <= lastQuery; i++) {
                    int row = batchHead * seqQ + i;
                    int at = row * headDim;
                    int outputAt = row * valueDim;
                    if (Layout.isStrided()) {
                        at = Layout.query(batch, batchHead % heads, i);
                        outputAt = Layout.outputGradient(batch, batchHead % heads, i);
                    }
                    float s0 = 0f;
                    float s1 = 0f;
                    float s2 = 0f;
                    float s3 = 0f;
                    float dp0 = 0f;
                    float dp1 = 0f;
                    int fours = headDim / 4 * 4;
                    for (int x = 0; x < fours; x += 4) {
                        s0 += scale * query.get(at + x) * k[x];
                        s1 += scale * query.get(at + x + 1) * k[x + 1];
                        s2 += scale * query.get(at + x + 2) * k[x + 2];
                        s3 += scale * query.get(at + x + 3) * k[x + 3];
                        if (valueDim == headDim) {
                            dp0 += outputGradient.get(outputAt + x) * v[x];
                            dp1 += outputGradient.get(outputAt + x + 1) * v[x + 1];
                            dp0 += outputGradient.get(outputAt + x + 2) * v[x + 2];
                            dp1 += outputGradient.get(outputAt + x + 3) * v[x + 3];
                        }
                    }
                    for (int x = fours; x < headDim; x++) {
                        s0 += scale * query.get(at + x) * k[x];
                    }
                    int rest = valueDim == headDim ? fours : 0;
                    for (int x = rest; x < valueDim; x += 2) {
                        dp0 += outputGradient.get(outputAt + x) * v[x];
                    }
                    for (int x = rest + 1; x < valueDim; x += 2) {
                        dp1 += outputGradient.get(outputAt + x) * v[x];
                    }
                    float s = s0 + s1 + (s2 + s3);
                    s = Score.capped(s, softcap);
                    float capSlope = Score.derivative(s, softcap);
                    s = Score.biased(s, slope, i + offset - j, features);
                    capSlope *= Functions.slope(s, batch, batchHead % heads, i, j, i + offset);
                    s = Functions.score(s, batch, batchHead % heads, i, j, i + offset);
                    float lse = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
                    float p = Functions.weight(TornadoMath.exp(LargeScores.exponent(s - lse, features)), s);
                    float dp = dp0 + dp1;
                    float factor =
                            DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, i, j, features);
                    float kept = p * factor;
                    dp *= factor;

                    // dV = dV + p dO_i; ds = p (dp - D); dK = dK + scale ds q_i
                    float ds = Functions.weight(p * (dp - RowTerms.d(rowTerms, row)) * capSlope * scale, s);
                    if (Functions.weight(1f, s) != 0f) {
                        for (int x = 0; x < headDim; x++) {
                            if (valueDim == headDim) {
                                dV[x] += kept * outputGradient.get(outputAt + x);
                            }
                            dK[x] += ds * query.get(at + x);
                        }
                        if (valueDim != headDim) {
                            for (int x = 0; x < valueDim; x++) {
                                dV[x] += kept * outputGradient.get(outputAt + x);
                            }
                        }
                    }
                    if (PartialSums.areJoined()) {
                        if (PartialSums.endRun(row)) {
                            for (int x = 0; x < headDim; x++) {
                                totalOfK[x] += dK[x];
                                dK[x] = 0f;
                            }
                            for (int x = 0; x < valueDim; x++) {
                                totalOfV[x] += dV[x];
                                dV[x] = 0f;
                            }
                        }
                    }
                }
            }
            if (PartialSums.areJoined()) {
                for (int x = 0; x < headDim; x++) {
                    dK[x] += totalOfK[x];
                }
                for (int x = 0; x < valueDim; x++) {
                    dV[x] += totalOfV[x];
                }
            }
            for (int x = 0; x < storedDim; x++) {
                keyGradient.set(keyGradientAt + x, dK[x]);
                if (valueDim == headDim) {
                    valueGradient.set(valueGradientAt + x, dV[x]);
                }
            }
            if (valueDim != headDim) {
                for (int x = 0; x < storedValueDim; x++) {
                    valueGradient.set(valueGradientAt + x, dV[x]);
                }
            }
        }
    }
}
