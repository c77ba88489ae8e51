package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.LocalTiles;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.SharedBias;
import org.tornadoattention.kernel.parts.TileProducts;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradient of attention with respect to a dense bias on plain arithmetic units: each work-group has a tile of
 * {@code block} queries by as many keys, and goes over the heads that share the bias there.
 * {@link WarpGroupBiasGradient} explains the sums.
 *
 * <p><b>Arrays.</b> As {@link TiledQueryGradient} has them, and biasParts F32 {@code [parts, biasBatch, biasHeads,
 * seqQ, seqK]}.
 *
 * <p><b>Grid.</b> One dimension, {@code parts * biasBatch * biasHeads * ceil(seqQ / block) * ceil(seqK / block)} groups
 * of as many work-items as {@link TiledQueryGradient#groupSize} says.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}. <b>Device.</b> As {@link TiledQueryGradient}.
 *
 * <p><b>Not done here.</b> Heads of which a mask hides the whole tile are computed like others.
 */
public final class TiledBiasGradient {

    private TiledBiasGradient() {}

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int block) {
        return TiledQueryGradient.localMemoryBytes(headDim, block) + Float.BYTES * block * block;
    }

    /**
     * Computes one tile of a part; see the class for arrays, grid and memory.
     *
     * @param biasBatch batch entries of the bias, 1 where all share one
     * @param biasHeads heads of the bias, 1 where all share one
     * @param shared how many heads of batch entries share each of its elements
     * @param parts how many groups divide them
     * @param block queries, and keys, in a tile
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features as {@link TiledFlashAttention} has them
     */
    // spotless:off: calls in rows
    public static void biasGradient(
            KernelContext context,
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            FloatArray biasParts,
            FloatArray headTerms,
            IntArray keyLengths,
            @Constant int biasBatch,
            @Constant int biasHeads,
            @Constant int shared,
            @Constant int parts,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int addedValueDim,
            @Constant int addedWidestDim,
            int block,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int valueDim = headDim + addedValueDim;
        int widestDim = headDim + addedWidestDim;
        int paddedDim = (widestDim + 3) / 4 * 4;
        int stride = paddedDim + 4;
        int scoreStride = block + 4;
        int step = block / 8 * (paddedDim / 4); // work-items in the group: what each strides by
        int quarter = block / 4;
        int share = step / (quarter * quarter);
        int products = share + 1 / (share + 1); // max(1, share), of which the compiler makes a constant

        float[] queryTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] gradientTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] keyTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] valueTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] scores = context.allocateFloatLocalArray(products * block * (block + 4));
        float[] gradients = context.allocateFloatLocalArray(products * block * (block + 4));
        float[] sums = context.allocateFloatLocalArray(block * block);
        float[] rowLse = context.allocateFloatLocalArray(block);
        float[] rowD = context.allocateFloatLocalArray(block);

        // Which tile, of which entry and head of the bias, and which of the heads that share it.
        int item = context.localIdx;
        int tilesQ = Placement.tiles(seqQ, block);
        int tilesK = Placement.tiles(seqK, block);
        int j0 = context.groupIdx % tilesK * block;
        int i0 = context.groupIdx / tilesK % tilesQ * block;
        int ofBias = context.groupIdx / tilesK / tilesQ % (biasBatch * biasHeads);
        int part = context.groupIdx / tilesK / tilesQ / (biasBatch * biasHeads);
        int rows = TornadoMath.min(block, seqQ - i0);
        int seedLow = DropoutMask.seedLow(keyLengths, features);
        int seedHigh = DropoutMask.seedHigh(keyLengths, features);
        int seedOffset = DropoutMask.offset(keyLengths, features);
        int threshold = DropoutMask.threshold(keyLengths, features);

        // dB = 0; a work-item has the same pairs of all heads.
        for (int pair = item; pair < block * block; pair += step) {
            sums[pair] = 0f;
        }
        for (int n = part * shared / parts; n < (part + 1) * shared / parts; n++) {
            int batch = SharedBias.batch(ofBias, n, biasBatch, biasHeads, heads);
            int head = SharedBias.head(ofBias, n, biasHeads, heads);
            int batchHead = batch * heads + head;
            int length = Window.length(keyLengths, batch, seqK, features);
            int offset = length - seqQ;
            float slope = HeadTerms.slope(headTerms, head, features);
            int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK;
            int queryBase = batchHead * seqQ + i0;
            int keys = TornadoMath.min(block, length - j0);

            // Load Q_i, dO_i, L_i, D_i, K_j and V_j.
            context.localBarrier();
            LocalTiles.loadBothRows(
                    query, outputGradient, queryBase * headDim, queryBase * valueDim, 0, rows, headDim, valueDim,
                    queryTile, gradientTile, block, paddedDim, item, step, features);
            LocalTiles.loadBothRows(
                    key, value, keyBase * headDim, keyBase * valueDim, j0, keys, headDim, valueDim,
                    keyTile, valueTile, block, paddedDim, item, step, features);
            RowTerms.load(rowTerms, queryBase, rows, rowLse, rowD, block, item, step, features);
            context.localBarrier();

            // S = Q_i K_j^T and dP = dO_i V_j^T, in blocks of 4 queries by 4 keys, stored transposed.
            for (int unit = item; unit < quarter * quarter * products; unit += step) {
                int product = TileProducts.part(unit, quarter);
                int across = TileProducts.across(unit, quarter);
                int down = TileProducts.down(unit, quarter);
                int s = product * block * scoreStride + across * scoreStride + down;
                TileProducts.scoresAndGradients(
                        queryTile, gradientTile, keyTile, valueTile, down * stride, across * stride, quarter * stride,
                        product, products, paddedDim, scores, gradients, s, quarter, quarter * scoreStride);
            }
            context.localBarrier();

            // dB = dB + P (dP - D) times the derivative of the functions. The mask is an interval of keys.
            for (int pair = item; pair < block * block; pair += step) {
                int c = pair / block;
                int r = pair % block;
                int at = c * scoreStride + r;
                int position = i0 + r + offset;
                int j = j0 + c;
                int from = Window.firstInTile(position, j0, windowLeft);
                int to = r < rows ? Window.lastInTile(position, j0, keys, windowRight) : -1;
                float gradient = 0f;
                if (c >= from && c <= to) {
                    float s = 0f;
                    float dp = 0f;
                    for (int product = 0; product < products; product++) {
                        s += scores[product * block * scoreStride + at];
                        dp += gradients[product * block * scoreStride + at];
                    }
                    s = Score.of(scale * s, softcap, slope, position - j, features);
                    float derivative = Functions.slope(s, batch, head, i0 + r, j, position);
                    s = Functions.score(s, batch, head, i0 + r, j, position);
                    float p = TornadoMath.exp(LargeScores.exponent(s - rowLse[r], features));
                    dp *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, i0 + r, j, features);
                    gradient = Functions.weight(p * (dp - rowD[r]) * derivative, s);
                }
                sums[pair] += gradient;
            }
        }

        // Neighbouring work-items write neighbouring elements: of other pairs than theirs.
        context.localBarrier();
        int first = (part * biasBatch * biasHeads + ofBias) * seqQ + i0;
        for (int pair = item; pair < block * block; pair += step) {
            int r = pair / block;
            int c = pair % block;
            if (r < rows && j0 + c < seqK) {
                biasParts.set((first + r) * seqK + j0 + c, sums[c * block + r]);
            }
        }
    }
    // spotless:on
}
