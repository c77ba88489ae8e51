package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradient of attention with respect to a dense bias: {@code P ∘ (dP - D)} times the derivative of the score
 * function, summed over the batch entries and heads that share an element, in order, so that every run gives the same
 * bits.
 *
 * <p><b>Arrays.</b> As {@link TiledQueryGradient} has them, and biasGradient F32 {@code [biasBatch, biasHeads, seqQ,
 * seqK]}.
 *
 * <p><b>Grid.</b> One dimension, an element of the gradient a work-item; groups of any size. No local memory.
 * <b>Device.</b> Any.
 *
 * <p><b>Not done here.</b> Work-items share nothing: each reads a row of Q, dO, K and V for every pair that it sums.
 */
public final class BiasGradient {

    private BiasGradient() {}

    /**
     * Computes every element; see the class for arrays and grid.
     *
     * @param biasBatch batch entries of the bias, 1 where all share one
     * @param biasHeads heads of the bias, 1 where all share one
     */
    public static void biasGradient(
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            FloatArray biasGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int biasBatch,
            int biasHeads,
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
        for (@Parallel int element = 0; element < biasGradient.getSize(); element++) {
            int valueDim = headDim + addedValueDim;
            int j = element % seqK;
            int i = element / seqK % seqQ;
            int biasHead = element / seqK / seqQ % biasHeads;
            int biasEntry = element / seqK / seqQ / biasHeads;
            int batches = rowTerms.getSize() / 2 / seqQ / heads;
            float sum = 0f;
            for (int batch = biasEntry; batch < batches; batch += biasBatch) {
                int length = Window.length(keyLengths, batch, seqK, features);
                int position = i + length - seqQ;
                int inside = Window.inside(
                        j, Window.firstKey(position, windowLeft), Window.lastKey(position, length, windowRight));
                if (inside >= 0) {
                    for (int head = biasHead; head < heads; head += biasHeads) {
                        int batchHead = batch * heads + head;
                        int row = batchHead * seqQ + i;
                        int keyRow = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK + j;
                        float s = 0f;
                        float dp = 0f;
                        for (int x = 0; x < headDim; x++) {
                            s += load(query, row * headDim + x, features) * load(key, keyRow * headDim + x, features);
                        }
                        for (int x = 0; x < valueDim; x++) {
                            dp += load(outputGradient, row * valueDim + x, features)
                                    * load(value, keyRow * valueDim + x, features);
                        }
                        float slopeOfHead = HeadTerms.slope(headTerms, head, features);
                        s = Score.of(scale * s, softcap, slopeOfHead, position - j, features);
                        float slope = Functions.slope(s, batch, head, i, j, position);
                        s = Functions.score(s, batch, head, i, j, position);
                        float logSumExp = LargeScores.lowered(RowTerms.logSumExp(rowTerms, row), features);
                        float p = TornadoMath.exp(LargeScores.exponent(s - logSumExp, features));
                        dp *= DropoutMask.factor(
                                DropoutMask.seedLow(keyLengths, features),
                                DropoutMask.seedHigh(keyLengths, features),
                                DropoutMask.offset(keyLengths, features),
                                DropoutMask.threshold(keyLengths, features),
                                batchHead,
                                i,
                                j,
                                features);
                        sum += Functions.weight(p * (dp - RowTerms.d(rowTerms, row)) * slope, s);
                    }
                }
            }
            biasGradient.set(element, sum);
        }
    }

    /**
     * The sum of what several groups computed of it, in order.
     *
     * @param biasParts {@code [parts, biasBatch, biasHeads, seqQ, seqK]}
     */
    public static void sum(FloatArray biasParts, FloatArray biasGradient, @Constant int parts) {
        for (@Parallel int element = 0; element < biasGradient.getSize(); element++) {
            float sum = 0f;
            for (int part = 0; part < parts; part++) {
                sum += biasParts.get(part * biasGradient.getSize() + element);
            }
            biasGradient.set(element, sum);
        }
    }

    /**
     * The same of what {@link WarpGroupGradients} computed, whose tiles lie as its lanes have them.
     *
     * @param biasParts as that kernel says
     * @param blocks {@link WarpGroupKeyValueGradients#blocks}
     */
    public static void sumOfTiles(
            FloatArray biasParts,
            FloatArray biasGradient,
            @Constant int parts,
            int seqQ,
            int seqK,
            @Constant int blocks) {
        for (@Parallel int four = 0; four < biasParts.getSize() / (4 * parts); four++) {
            int blockQ = blocks & 0xfff;
            int blockK = blocks >> 12 & 0xfff;
            int ofTile = four % (blockQ * blockK / 4);
            int tile = four / (blockQ * blockK / 4);
            int tilesQ = Placement.tiles(seqQ, blockQ);
            int tilesK = Placement.tiles(seqK, blockK);
            int lane = ofTile % 32;
            int i = tile % tilesQ * blockQ + ofTile / 32 % (blockQ / 8) * 8 + lane % 4 * 2;
            int j = tile / tilesQ % tilesK * blockK + ofTile / 32 / (blockQ / 8) * 16 + lane / 4;
            int first = (tile / tilesQ / tilesK * seqQ + i) * seqK + j;
            for (int at = 0; at < 4; at++) {
                float sum = 0f;
                for (int part = 0; part < parts; part++) {
                    sum += biasParts.get(part * (biasParts.getSize() / parts) + 4 * four + at);
                }
                if (i + at % 2 < seqQ) {
                    if (j + at / 2 * 8 < seqK) {
                        biasGradient.set(first + at % 2 * seqK + at / 2 * 8, sum);
                    }
                }
            }
        }
    }
}
