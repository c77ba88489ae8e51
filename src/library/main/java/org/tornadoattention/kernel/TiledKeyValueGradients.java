package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.LocalTiles;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.RegisterTile;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.TileProducts;
import org.tornadoattention.kernel.parts.Unseen;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradients of attention with respect to keys and values on plain arithmetic units: one work-group per tile of
 * {@code block} keys, Q and dO of all query heads that read it streamed through local memory in tiles of as many
 * queries, P recomputed from the log-sum-exp. {@link TiledQueryGradient} is the other half of the backward pass.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2. The heads of a group are summed one after the other in
 * registers: no atomics, and the same bits in every run.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, outputGradient {@code [batch, heads, seqQ, valueDim]},
 * key and keyGradient {@code [batch, kvHeads, seqK, headDim]}, value and valueGradient {@code [batch, kvHeads, seqK,
 * valueDim]}, rowTerms of {@link BackwardRowTerms} {@code [batch, heads, seqQ, 2]}, headTerms {@code [heads]},
 * keyLengths {@code [batch]} (keys) and the words of dropout. Arithmetic is F32 whatever the arrays store. A task takes
 * 20 arguments, so the number of key and value heads is taken from the arrays' sizes.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * kvHeads * ceil(seqK / block)} groups of
 * {@link TiledQueryGradient#groupSize} work-items. {@code block} is a multiple of 8.
 *
 * <p><b>Local memory.</b> {@link TiledQueryGradient#localMemoryBytes}.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; no sub-groups, no atomics, no 64-bit floats.
 *
 * <p><b>Not done here.</b> Tensor cores; overlap of loads with arithmetic inside a group.
 */
public final class TiledKeyValueGradients {

    private TiledKeyValueGradients() {}

    // spotless:off: parameters in rows
    /** P = exp(scale * S - L) and dS = P (dP - D), in the place of S and dP. The mask is an interval of keys. */
    @Phase
    private static void weigh(
            float[] scores, float[] gradients, float[] rowLse, float[] rowD, int parts, int block,
            int scoreStride, int item, int step, int unseen, int rows, int keys, int batch, int batchHead, int heads,
            int i0, int j0, int seqQ, int offset, int seedLow, int seedHigh, int seedOffset, int threshold,
            int windowLeft, int windowRight, float scale, float softcap, float slope, int features) {
        for (int pair = item; pair < block * block; pair += step) {
            int r = pair / block;
            int c = pair % block;
            int at = r * scoreStride + c;
            int position = i0 + r + offset;
            int j = j0 + c;
            int from = Window.firstInTile(position, j0, windowLeft);
            int to = Window.lastInTile(position, j0, keys, windowRight);
            float p = 0f;
            float ds = 0f;
            float seen = 0f;
            if (r < rows && c >= from && c <= to) {
                float s = 0f;
                float dp = 0f;
                for (int part = 0; part < parts; part++) {
                    s += scores[part * block * scoreStride + at];
                    dp += gradients[part * block * scoreStride + at];
                }
                s = scale * s;
                s = Score.capped(s, softcap);
                float capSlope = Score.derivative(s, softcap);
                s = Score.biased(s, slope, position - j, features);
                int i = TornadoMath.min(i0 + r, seqQ - 1);
                capSlope *= Functions.slope(s, batch, batchHead % heads, i, j, position);
                s = Functions.score(s, batch, batchHead % heads, i, j, position);
                p = Functions.weight(TornadoMath.exp(LargeScores.exponent(s - rowLse[r], features)), s);
                float factor = DropoutMask.factor(
                        seedLow, seedHigh, seedOffset, threshold, batchHead, i0 + r, j, features);
                ds = Functions.weight(p * (factor * dp - rowD[r]) * capSlope, s);
                p *= factor;
                seen = Functions.weight(1f, s);
            }
            if (unseen > 0) {
                if (seen == 0f) {
                    p = Unseen.P;
                }
            }
            gradients[at] = ds;
            scores[at] = p;
        }
    }
    // spotless:on

    /**
     * Computes one tile of dK and dV; see the class for arrays, grid and memory.
     *
     * @param block keys, and queries, in a tile
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features as {@link TiledFlashAttention} has them
     */
    // spotless:off: register tiles are written in rows
    public static void keyValueGradients(
            KernelContext context,
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            @Element FloatArray keyGradient,
            @Element FloatArray valueGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            @Constant int kvHeads,
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
        int dimGroups = paddedDim / 4;
        int step = block / 8 * dimGroups; // work-items in the group: what each strides by
        int quarter = block / 4;
        int share = step / (quarter * quarter);
        int parts = share + 1 / (share + 1); // max(1, share), of which the compiler makes a constant

        float[] queryTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] gradientTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] keyTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] valueTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] scores = context.allocateFloatLocalArray(parts * block * (block + 4));
        float[] gradients = context.allocateFloatLocalArray(parts * block * (block + 4));
        float[] rowLse = context.allocateFloatLocalArray(block);
        float[] rowD = context.allocateFloatLocalArray(block);

        // Which tile of keys: the first tiles first, since under a causal mask the most queries see them.
        int item = context.localIdx;
        int tilesK = (seqK + block - 1) / block;
        int keyValueHead = context.groupIdx / tilesK;
        int j0 = context.groupIdx % tilesK * block;
        int group = query.getSize() / seqQ / (key.getSize() / seqK); // query heads that read this key/value head
        if (Layout.isStrided()) {
            group = heads / kvHeads;
        }
        int firstHead = keyValueHead * group; // batch * heads + the first of them
        int batch = firstHead / heads;
        int keyBase = (keyValueHead * seqK + j0) * headDim;
        int valueBase = (keyValueHead * seqK + j0) * valueDim;
        int keyGradientBase = keyBase;
        int valueGradientBase = valueBase;
        int keyGradientStride = headDim;
        int valueGradientStride = valueDim;
        if (Layout.isStrided()) {
            int kvHead = keyValueHead % kvHeads;
            keyBase = Layout.key(batch, kvHead, j0);
            valueBase = Layout.value(batch, kvHead, j0);
            keyGradientBase = Layout.keyGradient(batch, kvHead, j0);
            valueGradientBase = Layout.valueGradient(batch, kvHead, j0);
            keyGradientStride = Layout.keyGradientRow();
            valueGradientStride = Layout.valueGradientRow();
        }

        int length = Window.length(keyLengths, batch, seqK, features);
        int keys = TornadoMath.min(block, length - j0);
        int seedLow = DropoutMask.seedLow(keyLengths, features);
        int seedHigh = DropoutMask.seedHigh(keyLengths, features);
        int seedOffset = DropoutMask.offset(keyLengths, features);
        int threshold = DropoutMask.threshold(keyLengths, features);

        // Query i stands at key position i + offset (bottom-right alignment); queries firstQuery ... lastQuery see the tile.
        int offset = length - seqQ;
        int firstQuery = Window.firstQuery(j0, offset, windowRight);
        int lastQuery = Window.lastQuery(j0 + keys - 1, j0, offset, seqQ, length, windowLeft);
        int everyFirst = Window.everyFirst(j0 + keys - 1, offset, windowRight);
        int everyLast = Window.everyLast(j0, offset, seqQ, windowLeft);

        // Load K_j and V_j; dK = dV = 0: 8 keys by 4 dimensions a work-item.
        if (Layout.isStrided()) {
            LocalTiles.loadRows(
                    key, keyBase, Layout.keyRow(), 0, keys, headDim, keyTile, block, paddedDim, item, step, features);
            LocalTiles.loadRows(
                    value, valueBase, Layout.valueRow(), 0, keys, valueDim,
                    valueTile, block, paddedDim, item, step, features);
        } else {
            LocalTiles.loadBothRows(
                    key, value, keyBase, valueBase, 0, keys, headDim, valueDim,
                    keyTile, valueTile, block, paddedDim, item, step, features);
        }
        int firstRow = item / dimGroups * 8;
        int firstDim = item % dimGroups * 4;
        float[] g = RegisterTile.zeros();
        float[] h = RegisterTile.zeros();

        // What they join every so many queries: 32 totals of dK, then those of dV.
        float[] total = new float[PartialSums.areJoined() ? 64 : 0];
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 64; at++) {
                total[at] = 0f;
            }
        }

        for (int batchHead = firstHead; batchHead < firstHead + group; batchHead++) {
            int queryBase = batchHead * seqQ * headDim;
            int outputBase = batchHead * seqQ * valueDim;
            float slope = HeadTerms.slope(headTerms, batchHead % heads, features);
            int head = batchHead % heads;
            if (Layout.isStrided()) {
                queryBase = Layout.query(batch, head, 0);
                outputBase = Layout.outputGradient(batch, head, 0);
            }
            int i0 = Functions.nextQuery(firstQuery / block * block, block, batch, head, j0, keys, lastQuery);
            for (; i0 <= lastQuery; i0 = Functions.nextQuery(i0 + block, block, batch, head, j0, keys, lastQuery)) {
                // Load Q_i and dO_i, a whole tile sixteen elements at a time, and L_i and D_i.
                int rows = TornadoMath.min(block, seqQ - i0);
                context.localBarrier();
                if (Layout.isStrided()) {
                    LocalTiles.loadRows(
                            query, queryBase, Layout.queryRow(), i0, rows, headDim,
                            queryTile, block, paddedDim, item, step, features);
                    LocalTiles.loadRows(
                            outputGradient, outputBase, Layout.outputGradientRow(), i0, rows, valueDim,
                            gradientTile, block, paddedDim, item, step, features);
                } else if (rows == block && headDim == paddedDim && valueDim == headDim) {
                    LocalTiles.loadBothWhole(
                            query, outputGradient, queryBase + i0 * headDim, queryTile, gradientTile,
                            block * paddedDim, paddedDim, item, step, features);
                } else {
                    LocalTiles.loadBothRows(
                            query, outputGradient, queryBase, outputBase, i0, rows, headDim, valueDim,
                            queryTile, gradientTile, block, paddedDim, item, step, features);
                }
                RowTerms.load(rowTerms, batchHead * seqQ + i0, rows, rowLse, rowD, block, item, step, features);
                context.localBarrier();

                // S = Q_i K_j^T and dP = dO_i V_j^T, in blocks of 4 queries by 4 keys.
                for (int unit = item; unit < quarter * quarter * parts; unit += step) {
                    int part = TileProducts.part(unit, quarter);
                    int across = TileProducts.across(unit, quarter);
                    int down = TileProducts.down(unit, quarter);
                    int s = part * block * scoreStride + down * scoreStride + across;
                    TileProducts.scoresAndGradients(
                            queryTile, gradientTile, keyTile, valueTile, down * stride, across * stride, quarter * stride,
                            part, parts, paddedDim, scores, gradients, s, quarter * scoreStride, quarter);
                }
                context.localBarrier();

                // Whether some query of the tile does not see some key of it: then such pairs are marked.
                int unseen = Unseen.inTile(i0, block, everyFirst, everyLast, windowLeft, windowRight);
                if ((features & Features.KEY_LENGTHS) != 0) {
                    unseen = TornadoMath.max(unseen, block - keys);
                }
                if (Functions.weight(1f, Score.NO_SCORE) == 0f) {
                    unseen = 1;
                }

                // P = exp(scale * S - L), dS = P (dP - D).
                weigh(
                        scores, gradients, rowLse, rowD, parts, block, scoreStride, item, step, unseen, rows, keys,
                        batch, batchHead, heads, i0, j0, seqQ, offset, seedLow, seedHigh, seedOffset, threshold,
                        windowLeft, windowRight, scale, softcap, slope, features);
                context.localBarrier();

                // dK_j = dK_j + dS^T Q_i and dV_j = dV_j + P^T dO_i.
                // One loop or the other: as the branches of a condition PoCL compiles them wrongly.
                int marked = unseen > 0 ? block : 0;
                for (int i = 0; i < marked; i++) {
                    int s = i * scoreStride + firstRow;
                    int x = i * stride + firstDim;
                    float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                    float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                    float q0 = queryTile[x], q1 = queryTile[x + 1], q2 = queryTile[x + 2], q3 = queryTile[x + 3];
                    float p0 = scores[s], p1 = scores[s + 1], p2 = scores[s + 2], p3 = scores[s + 3];
                    float p4 = scores[s + 4], p5 = scores[s + 5], p6 = scores[s + 6], p7 = scores[s + 7];
                    float d0 = gradientTile[x], d1 = gradientTile[x + 1];
                    float d2 = gradientTile[x + 2], d3 = gradientTile[x + 3];
                    RegisterTile.addSeen(g, h, 0, p0, s0, p0, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 1, p1, s1, p1, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 2, p2, s2, p2, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 3, p3, s3, p3, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 4, p4, s4, p4, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 5, p5, s5, p5, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 6, p6, s6, p6, q0, q1, q2, q3, d0, d1, d2, d3);
                    RegisterTile.addSeen(g, h, 7, p7, s7, p7, q0, q1, q2, q3, d0, d1, d2, d3);
                }
                for (int i = marked; i < block; i++) {
                    int s = i * scoreStride + firstRow;
                    int x = i * stride + firstDim;
                    float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                    float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                    float q0 = queryTile[x], q1 = queryTile[x + 1], q2 = queryTile[x + 2], q3 = queryTile[x + 3];
                    RegisterTile.add(g, s0, s1, s2, s3, s4, s5, s6, s7, q0, q1, q2, q3);
                    float p0 = scores[s], p1 = scores[s + 1], p2 = scores[s + 2], p3 = scores[s + 3];
                    float p4 = scores[s + 4], p5 = scores[s + 5], p6 = scores[s + 6], p7 = scores[s + 7];
                    float d0 = gradientTile[x], d1 = gradientTile[x + 1];
                    float d2 = gradientTile[x + 2], d3 = gradientTile[x + 3];
                    RegisterTile.add(h, p0, p1, p2, p3, p4, p5, p6, p7, d0, d1, d2, d3);
                }
                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun((batchHead - firstHead) * seqQ + i0, block)) {
                        int z = PartialSums.hiddenZero(rowLse[firstRow], Score.NO_SCORE, i0);
                        RegisterTile.join(g, total, z);
                        RegisterTile.join(h, total, z + 32);
                        RegisterTile.clear(g);
                        RegisterTile.clear(h);
                    }
                }
            }
        }

        // dK and dV leave through the tiles of K and V, so that neighbouring work-items write neighbouring elements.
        context.localBarrier();
        int y = firstRow * stride + firstDim;
        RegisterTile.put(g, keyTile, y, stride);
        RegisterTile.put(h, valueTile, y, stride);
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 32; at++) {
                keyTile[y + at / 4 * stride + at % 4] += total[at];
                valueTile[y + at / 4 * stride + at % 4] += total[32 + at];
            }
        }
        context.localBarrier();
        // The keys' end bounds the loop: in a condition TornadoVM 5.2 may find too late that it is always true, and gives up.
        for (int at = item; at < TornadoMath.min(block, seqK - j0) * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            if (x < headDim) {
                int to = keyGradientBase + row * keyGradientStride + x;
                store(keyGradient, to, scale * keyTile[row * stride + x], features);
                if (valueDim == headDim) {
                    to = valueGradientBase + row * valueGradientStride + x;
                    store(valueGradient, to, valueTile[row * stride + x], features);
                }
            }
            if (valueDim != headDim) {
                if (x < valueDim) {
                    int to = valueGradientBase + row * valueGradientStride + x;
                    store(valueGradient, to, valueTile[row * stride + x], features);
                }
            }
        }
    }
    // spotless:on
}
