package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.RaggedLayout;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradients of attention over packed sequences of different lengths, a row a work-item: P is recomputed from the
 * log-sum-exp, nothing of S is stored, and no two work-items add to one gradient, so that every run gives the same
 * bits.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), appendix B: {@code dS = P ∘ (dP - D)}, {@code dV = Pᵀ dO}, {@code dQ
 * = scale · dS K}, {@code dK = scale · dSᵀ Q}.
 *
 * <p><b>Arrays.</b> query, outputGradient and queryGradient {@code [queries, heads, headDim]}, key, value and their
 * gradients {@code [keys, kvHeads, headDim]}, rowTerms of {@link BackwardRowTerms} {@code [queries, heads, 2]},
 * headTerms of {@link HeadTerms}, layout of {@link RaggedLayout}. Tokens of no sequence get gradients of 0.
 *
 * <p><b>Grid.</b> One dimension, groups of any size: a query of a head a work-item for dQ, a key of a head for dK and
 * dV, an element for the bias. No local memory; private arrays of 3 and 4 times headDim elements. <b>Device.</b> Any.
 *
 * <p><b>Not done here.</b> Work-items share nothing, as in {@link OnlineSoftmaxBackward}.
 */
public final class RaggedBackward {

    private RaggedBackward() {}

    /**
     * {@code dQ}.
     *
     * @param sequences that layout has room for
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI} and how raw bits are to be read, added
     */
    public static void queryGradient(
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            @Element FloatArray queryGradient,
            FloatArray headTerms,
            IntArray layout,
            int sequences,
            int heads,
            int kvHeads,
            int headDim,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        for (@Parallel int row = 0; row < rowTerms.getSize() / 2; row++) {
            int head = row % heads;
            int token = row / heads;
            int found = RaggedLayout.ofQuery(layout, sequences, token);
            int sequence = TornadoMath.max(0, found);
            int i = token - RaggedLayout.queryStart(layout, sequence);
            int queries = RaggedLayout.queryStart(layout, sequence + 1) - RaggedLayout.queryStart(layout, sequence);
            int keyStart = RaggedLayout.keyStart(layout, sequences, sequence);
            int length = RaggedLayout.keyStart(layout, sequences, sequence + 1) - keyStart;
            int position = i + length - queries;
            int firstKey = Window.firstKey(position, windowLeft);
            int lastKey = Window.lastKey(position, length, windowRight);
            if (found < 0) {
                lastKey = -1;
            }
            float slope = HeadTerms.slope(headTerms, head, features);

            float[] q = new float[headDim];
            float[] dO = new float[headDim];
            float[] dQ = new float[headDim];
            for (int x = 0; x < headDim; x++) {
                q[x] = load(query, row * headDim + x, features);
                dO[x] = load(outputGradient, row * headDim + x, features);
                dQ[x] = 0f;
            }
            float lse = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
            float d = RowTerms.d(rowTerms, row);

            for (int j = firstKey; j <= lastKey; j++) {
                int at = ((keyStart + j) * kvHeads + head / (heads / kvHeads)) * headDim;
                float s = 0f;
                float dp = 0f;
                for (int x = 0; x < headDim; x++) {
                    s += q[x] * load(key, at + x, features);
                    dp += dO[x] * load(value, at + x, features);
                }
                s = Score.capped(scale * s, softcap);
                float capSlope = Score.derivative(s, softcap);
                s = Score.biased(s, slope, position - j, features);
                capSlope *= Functions.slope(s, sequence, head, i, j, position);
                s = Functions.score(s, sequence, head, i, j, position);
                float ds = Functions.weight(
                        TornadoMath.exp(LargeScores.exponent(s - lse, features)) * (dp - d) * capSlope * scale, s);
                if (Functions.weight(1f, s) != 0f) {
                    for (int x = 0; x < headDim; x++) {
                        dQ[x] += ds * load(key, at + x, features);
                    }
                }
            }
            for (int x = 0; x < headDim; x++) {
                store(queryGradient, row * headDim + x, dQ[x], features);
            }
        }
    }

    /**
     * {@code dK} and {@code dV}; parameters as {@link #queryGradient} has them.
     *
     * @param keys key tokens that layout has room for
     */
    public static void keyValueGradients(
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            @Element FloatArray keyGradient,
            @Element FloatArray valueGradient,
            FloatArray headTerms,
            IntArray layout,
            int sequences,
            int keys,
            int heads,
            int kvHeads,
            int headDim,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        for (@Parallel int keyRow = 0; keyRow < keyGradient.getSize() / headDim; keyRow++) {
            int token = keyRow / kvHeads;
            int group = heads / kvHeads;
            int firstHead = keyRow % kvHeads * group;
            int found = RaggedLayout.ofKey(layout, keys, token);
            int sequence = TornadoMath.max(0, found);
            int queryStart = RaggedLayout.queryStart(layout, sequence);
            int queries = RaggedLayout.queryStart(layout, sequence + 1) - queryStart;
            int keyStart = RaggedLayout.keyStart(layout, sequences, sequence);
            int length = RaggedLayout.keyStart(layout, sequences, sequence + 1) - keyStart;
            int j = token - keyStart;
            int offset = length - queries;
            int firstQuery = Window.firstQuery(j, offset, windowRight);
            int lastQuery = Window.lastQuery(j, j, offset, queries, length, windowLeft);
            if (found < 0) {
                lastQuery = -1;
            }

            float[] k = new float[headDim];
            float[] v = new float[headDim];
            float[] dK = new float[headDim];
            float[] dV = new float[headDim];
            for (int x = 0; x < headDim; x++) {
                k[x] = load(key, keyRow * headDim + x, features);
                v[x] = load(value, keyRow * headDim + x, features);
                dK[x] = 0f;
                dV[x] = 0f;
            }

            for (int head = firstHead; head < firstHead + group; head++) {
                float slope = HeadTerms.slope(headTerms, head, features);
                for (int i = firstQuery; i <= lastQuery; i++) {
                    int row = (queryStart + i) * heads + head;
                    int at = row * headDim;
                    float s = 0f;
                    float dp = 0f;
                    for (int x = 0; x < headDim; x++) {
                        s += load(query, at + x, features) * k[x];
                        dp += load(outputGradient, at + x, features) * v[x];
                    }
                    s = Score.capped(scale * s, softcap);
                    float capSlope = Score.derivative(s, softcap);
                    s = Score.biased(s, slope, i + offset - j, features);
                    capSlope *= Functions.slope(s, sequence, head, i, j, i + offset);
                    s = Functions.score(s, sequence, head, i, j, i + offset);
                    float lse = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
                    float p = Functions.weight(TornadoMath.exp(LargeScores.exponent(s - lse, features)), s);
                    float ds = Functions.weight(p * (dp - RowTerms.d(rowTerms, row)) * capSlope * scale, s);
                    if (Functions.weight(1f, s) != 0f) {
                        for (int x = 0; x < headDim; x++) {
                            dV[x] += p * load(outputGradient, at + x, features);
                            dK[x] += ds * load(query, at + x, features);
                        }
                    }
                }
            }
            for (int x = 0; x < headDim; x++) {
                store(keyGradient, keyRow * headDim + x, dK[x], features);
                store(valueGradient, keyRow * headDim + x, dV[x], features);
            }
        }
    }

    /**
     * The gradient of a bias {@code [biasBatch, biasHeads, longest queries, longest keys]}, F32; other parameters as
     * {@link #queryGradient} has them.
     *
     * @param biasBatch sequences of the bias, 1 where all share one
     * @param biasHeads heads of the bias, 1 where all share one
     * @param seqQ the most queries of a sequence
     * @param seqK the most keys of a sequence
     */
    public static void biasGradient(
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            FloatArray biasGradient,
            FloatArray headTerms,
            IntArray layout,
            int biasBatch,
            int biasHeads,
            int seqQ,
            int seqK,
            int sequences,
            int heads,
            int kvHeads,
            int headDim,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        for (@Parallel int element = 0; element < biasGradient.getSize(); element++) {
            int j = element % seqK;
            int i = element / seqK % seqQ;
            int biasHead = element / seqK / seqQ % biasHeads;
            int biasEntry = element / seqK / seqQ / biasHeads;
            float sum = 0f;
            for (int sequence = biasEntry; sequence < sequences; sequence += biasBatch) {
                int queryStart = RaggedLayout.queryStart(layout, sequence);
                int queries = RaggedLayout.queryStart(layout, sequence + 1) - queryStart;
                int keyStart = RaggedLayout.keyStart(layout, sequences, sequence);
                int length = RaggedLayout.keyStart(layout, sequences, sequence + 1) - keyStart;
                int position = i + length - queries;
                int inside = TornadoMath.min(
                        queries - 1 - i,
                        Window.inside(
                                j,
                                Window.firstKey(position, windowLeft),
                                Window.lastKey(position, length, windowRight)));
                if (inside >= 0) {
                    for (int head = biasHead; head < heads; head += biasHeads) {
                        int row = (queryStart + i) * heads + head;
                        int at = ((keyStart + j) * kvHeads + head / (heads / kvHeads)) * headDim;
                        float s = 0f;
                        float dp = 0f;
                        for (int x = 0; x < headDim; x++) {
                            s += load(query, row * headDim + x, features) * load(key, at + x, features);
                            dp += load(outputGradient, row * headDim + x, features) * load(value, at + x, features);
                        }
                        float slopeOfHead = HeadTerms.slope(headTerms, head, features);
                        s = Score.of(scale * s, softcap, slopeOfHead, position - j, features);
                        float slope = Functions.slope(s, sequence, head, i, j, position);
                        s = Functions.score(s, sequence, head, i, j, position);
                        float lse = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
                        float p = TornadoMath.exp(LargeScores.exponent(s - lse, features));
                        sum += Functions.weight(p * (dp - RowTerms.d(rowTerms, row)) * slope, s);
                    }
                }
            }
            biasGradient.set(element, sum);
        }
    }
}
