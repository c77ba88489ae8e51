package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
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
 * Standard attention: three kernels, with S and P stored in global memory. The baseline that FlashAttention is measured
 * against, and the first rung of the ladder.
 *
 * <p>Source: Dao et al., <i>FlashAttention</i> (2022), algorithm 0.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value
 * {@code [batch, kvHeads, seqK, valueDim]}, output {@code [batch, heads, seqQ, valueDim]}, logSumExp {@code [batch,
 * heads, seqQ]} (natural logarithm), scores and probabilities {@code [batch, heads, seqQ, seqK]}, headTerms of
 * {@link HeadTerms}, keyLengths {@code [batch]} (keys) and the words of dropout; all F32.
 *
 * <p><b>Grid.</b> One dimension: an element of S or O a work-item in the products, a row in the softmax; groups of any
 * size. No local memory. <b>Device.</b> Any.
 *
 * <p>Loops end at the size of an array and not at a parameter: under a GridScheduler, TornadoVM 5.2 replaces a
 * parameter that bounds a parallel loop by the size of the grid, wherever the kernel uses it.
 *
 * <p><b>Not done here.</b> Anything to be fast: memory and traffic grow with seqQ · seqK, which is the point.
 */
public final class StandardAttention {

    private StandardAttention() {}

    /** {@code S = softcap(scale · Q Kᵀ) - ALiBi}, unmasked, and what a function makes of it inside the window. */
    public static void scores(
            FloatArray query,
            FloatArray key,
            FloatArray scores,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int windowLeft,
            @Constant int windowRight,
            float scale,
            float softcap,
            int features) {
        for (@Parallel int element = 0; element < scores.getSize(); element++) {
            int row = element / seqK;
            int j = element % seqK;
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int at = (Placement.keyValueHead(batchHead, heads, kvHeads) * seqK + j) * headDim;
            float s = 0f;
            for (int x = 0; x < headDim; x++) {
                s += query.get(row * headDim + x) * key.get(at + x);
            }
            s = scale * s;
            int length = Window.length(keyLengths, batch, seqK, features);
            float slope = HeadTerms.slope(headTerms, head, features);
            int position = row % seqQ + length - seqQ;
            s = Score.of(s, softcap, slope, position - j, features);
            if (Functions.arePresent()) {
                // What the window hides is not asked for.
                if (j >= Window.firstKey(position, windowLeft)) {
                    if (j <= Window.lastKey(position, length, windowRight)) {
                        s = Functions.score(s, batch, head, row % seqQ, j, position);
                    }
                }
            }
            scores.set(element, s);
        }
    }

    /**
     * {@code P = softmax(S)} over the keys that mask and dropout leave, 0 elsewhere, {@link Score#NO_SCORE} where a
     * function hides them, and each row's log-sum-exp.
     */
    public static void softmax(
            FloatArray scores,
            FloatArray probabilities,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int seqQ,
            int seqK,
            int windowLeft,
            int windowRight,
            int features) {
        for (@Parallel int row = 0; row < logSumExp.getSize(); row++) {
            int head = row / seqQ % heads;
            int length = Window.length(keyLengths, row / seqQ / heads, seqK, features);
            int position = row % seqQ + length - seqQ;
            int firstKey = Window.firstKey(position, windowLeft);
            int lastKey = Window.lastKey(position, length, windowRight);

            float max = Score.NO_SCORE;
            for (int j = firstKey; j <= lastKey; j++) {
                max = TornadoMath.max(max, scores.get(row * seqK + j));
            }
            float sum = 0f;
            float total = 0f;
            for (int j = firstKey; j <= lastKey; j++) {
                float s = scores.get(row * seqK + j);
                sum += Functions.weight(TornadoMath.exp(s - max), s);
                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun(j)) {
                        total += sum;
                        sum = 0f;
                    }
                }
            }
            if (PartialSums.areJoined()) {
                sum += total;
            }
            for (int j = 0; j < seqK; j++) {
                float p = 0f;
                if (j >= firstKey && j <= lastKey) {
                    float s = scores.get(row * seqK + j);
                    p = RowEnd.normalized(TornadoMath.exp(s - max), max, sum, headTerms, head, features);
                    p = Functions.weight(p, s);
                    p *= DropoutMask.factor(
                            DropoutMask.seedLow(keyLengths, features),
                            DropoutMask.seedHigh(keyLengths, features),
                            DropoutMask.offset(keyLengths, features),
                            DropoutMask.threshold(keyLengths, features),
                            row / seqQ,
                            row % seqQ,
                            j,
                            features);
                    if (Functions.arePresent()) {
                        if (Functions.weight(1f, s) == 0f) {
                            p = Score.NO_SCORE; // what a function hides is not even multiplied by 0
                        }
                    }
                }
                probabilities.set(row * seqK + j, p);
            }
            logSumExp.set(row, RowEnd.logSumExp(max, sum, headTerms, head, features));
        }
    }

    /** {@code O = P V}. */
    public static void output(
            FloatArray probabilities,
            FloatArray value,
            FloatArray output,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int valueDim,
            int windowLeft,
            int windowRight,
            int features) {
        for (@Parallel int element = 0; element < output.getSize(); element++) {
            int row = element / valueDim;
            int batchHead = row / seqQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int at = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * valueDim + element % valueDim;
            // What the window hides may be anything, so it is not even multiplied by 0.
            int length = Window.length(keyLengths, batch, seqK, features);
            int position = row % seqQ + length - seqQ;
            int firstKey = Window.firstKey(position, windowLeft);
            int lastKey = Window.lastKey(position, length, windowRight);
            float o = 0f;
            float total = 0f;
            for (int j = firstKey; j <= lastKey; j++) {
                o += StandardAttentionBackward.product(probabilities.get(row * seqK + j), value.get(at + j * valueDim));
                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun(j)) {
                        total += o;
                        o = 0f;
                    }
                }
            }
            if (PartialSums.areJoined()) {
                o += total;
            }
            output.set(element, o);
        }
    }
}
