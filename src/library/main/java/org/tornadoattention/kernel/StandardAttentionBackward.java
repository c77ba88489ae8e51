package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
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
 * The backward pass of standard attention: P and dS stored in global memory, each product a kernel. What
 * FlashAttention's backward is measured against.
 *
 * <p>Source: Dao et al., <i>FlashAttention</i> (2022), algorithm 3, with P computed again from the log-sum-exp.
 *
 * <p><b>Arrays.</b> As {@link OnlineSoftmaxBackward} has them, and probabilities and scoreGradients {@code [batch,
 * heads, seqQ, seqK]}; all F32.
 *
 * <p><b>Grid.</b> One dimension, an element of dS, dQ or dK a work-item; groups of any size. No local memory.
 * <b>Device.</b> Any.
 *
 * <p>Loops end at the size of an array for the reason that {@link StandardAttention} gives.
 *
 * <p><b>Not done here.</b> Anything to be fast: memory and traffic grow with seqQ · seqK, which is the point.
 */
public final class StandardAttentionBackward {

    private StandardAttentionBackward() {}

    /**
     * {@code P = exp(S - L)} and {@code dS = scale · P ∘ (dO Vᵀ - D)}, 0 where the mask is. With dropout, P is stored
     * as the output saw it.
     */
    public static void scoreGradients(
            FloatArray query,
            FloatArray key,
            FloatArray value,
            FloatArray outputGradient,
            FloatArray rowTerms,
            FloatArray probabilities,
            FloatArray scoreGradients,
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
        for (@Parallel int element = 0; element < scoreGradients.getSize(); element++) {
            int valueDim = headDim + addedValueDim;
            int row = element / seqK;
            int j = element % seqK;
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int length = Window.length(keyLengths, batch, seqK, features);
            int position = row % seqQ + length - seqQ;
            int firstKey = Window.firstKey(position, windowLeft);
            int lastKey = Window.lastKey(position, length, windowRight);

            float p = 0f;
            float ds = 0f;
            if (j >= firstKey && j <= lastKey) {
                int keyRow = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK + j;
                float s = 0f;
                float dp = 0f;
                for (int x = 0; x < headDim; x++) {
                    s += query.get(row * headDim + x) * key.get(keyRow * headDim + x);
                    if (valueDim == headDim) {
                        dp += outputGradient.get(row * valueDim + x) * value.get(keyRow * valueDim + x);
                    }
                }
                if (valueDim != headDim) {
                    for (int x = 0; x < valueDim; x++) {
                        dp += outputGradient.get(row * valueDim + x) * value.get(keyRow * valueDim + x);
                    }
                }
                s = scale * s;
                s = Score.capped(s, softcap);
                float capSlope = Score.derivative(s, softcap);
                s = Score.biased(s, HeadTerms.slope(headTerms, head, features), position - j, features);
                capSlope *= Functions.slope(s, batch, head, row % seqQ, j, position);
                s = Functions.score(s, batch, head, row % seqQ, j, position);
                float lse = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
                p = Functions.weight(TornadoMath.exp(LargeScores.exponent(s - lse, features)), s);
                float factor = DropoutMask.factor(
                        DropoutMask.seedLow(keyLengths, features),
                        DropoutMask.seedHigh(keyLengths, features),
                        DropoutMask.offset(keyLengths, features),
                        DropoutMask.threshold(keyLengths, features),
                        batchHead,
                        row % seqQ,
                        j,
                        features);
                ds = scale * p * (factor * dp - RowTerms.d(rowTerms, row)) * capSlope;
                ds = Functions.weight(ds, s);
                p *= factor;
                if (Functions.arePresent()) {
                    if (Functions.weight(1f, s) == 0f) {
                        p = Score.NO_SCORE; // what a function hides is not even multiplied by 0
                        ds = Score.NO_SCORE;
                    }
                }
            }
            probabilities.set(element, p);
            scoreGradients.set(element, ds);
        }
    }

    /** {@code dQ = dS K}. */
    public static void queryGradient(
            FloatArray scoreGradients,
            FloatArray key,
            FloatArray queryGradient,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int windowLeft,
            int windowRight,
            int features) {
        for (@Parallel int element = 0; element < queryGradient.getSize(); element++) {
            int row = element / headDim;
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int at = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim + element % headDim;
            // What the window hides may be anything, so it is not even multiplied by 0.
            int length = Window.length(keyLengths, batch, seqK, features);
            int position = row % seqQ + length - seqQ;
            int firstKey = Window.firstKey(position, windowLeft);
            int lastKey = Window.lastKey(position, length, windowRight);
            float dQ = 0f;
            float total = 0f;
            for (int j = firstKey; j <= lastKey; j++) {
                dQ += product(scoreGradients.get(row * seqK + j), key.get(at + j * headDim));
                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun(j)) {
                        total += dQ;
                        dQ = 0f;
                    }
                }
            }
            if (PartialSums.areJoined()) {
                dQ += total;
            }
            queryGradient.set(element, dQ);
        }
    }

    /** {@code dK = dSᵀ Q} and {@code dV = Pᵀ dO}, summed over the query heads of a group. */
    public static void keyValueGradients(
            FloatArray probabilities,
            FloatArray scoreGradients,
            FloatArray query,
            FloatArray outputGradient,
            FloatArray keyGradient,
            FloatArray valueGradient,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int windowLeft,
            int windowRight,
            int features) {
        for (@Parallel int element = 0; element < keyGradient.getSize(); element++) {
            int keyRow = element / headDim;
            int j = keyRow % seqK;
            int group = heads / kvHeads;
            int firstHead = keyRow / seqK * group; // batch * heads + the first query head that reads this key
            int length = Window.length(keyLengths, firstHead / heads, seqK, features);
            int firstQuery = Window.firstQuery(j, length - seqQ, windowRight);
            int lastQuery = Window.lastQuery(j, j, length - seqQ, seqQ, length, windowLeft);
            float dK = 0f;
            float dV = 0f;
            float totalOfK = 0f;
            float totalOfV = 0f;
            for (int batchHead = firstHead; batchHead < firstHead + group; batchHead++) {
                for (int row = batchHead * seqQ + firstQuery; row <= batchHead * seqQ + lastQuery; row++) {
                    int at = row * headDim + element % headDim;
                    dK += product(scoreGradients.get(row * seqK + j), query.get(at));
                    dV += product(probabilities.get(row * seqK + j), outputGradient.get(at));
                    if (PartialSums.areJoined()) {
                        if (PartialSums.endRun(row)) {
                            totalOfK += dK;
                            totalOfV += dV;
                            dK = 0f;
                            dV = 0f;
                        }
                    }
                }
            }
            if (PartialSums.areJoined()) {
                dK += totalOfK;
                dV += totalOfV;
            }
            keyGradient.set(element, dK);
            valueGradient.set(element, dV);
        }
    }
    /** {@code dK = dSᵀ Q} alone, for values of another head dimension; on P and dO it computes {@code dV = Pᵀ dO}. */
    public static void keyGradient(
            FloatArray scoreGradients,
            FloatArray query,
            FloatArray keyGradient,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int windowLeft,
            int windowRight,
            int features) {
        for (@Parallel int element = 0; element < keyGradient.getSize(); element++) {
            int keyRow = element / headDim;
            int j = keyRow % seqK;
            int group = heads / kvHeads;
            int firstHead = keyRow / seqK * group; // batch * heads + the first query head that reads this key
            int length = Window.length(keyLengths, firstHead / heads, seqK, features);
            int firstQuery = Window.firstQuery(j, length - seqQ, windowRight);
            int lastQuery = Window.lastQuery(j, j, length - seqQ, seqQ, length, windowLeft);
            float dK = 0f;
            float total = 0f;
            for (int batchHead = firstHead; batchHead < firstHead + group; batchHead++) {
                for (int row = batchHead * seqQ + firstQuery; row <= batchHead * seqQ + lastQuery; row++) {
                    dK += product(scoreGradients.get(row * seqK + j), query.get(row * headDim + element % headDim));
                    if (PartialSums.areJoined()) {
                        if (PartialSums.endRun(row)) {
                            total += dK;
                            dK = 0f;
                        }
                    }
                }
            }
            if (PartialSums.areJoined()) {
                dK += total;
            }
            keyGradient.set(element, dK);
        }
    }

    /** A product, 0 where a function hides the pair of a weight. */
    static float product(float weight, float factor) {
        return Functions.weight(weight * factor, weight);
    }
}
