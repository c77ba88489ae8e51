package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.LocalTiles;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Placement;
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
 * The gradient of attention with respect to the queries on plain arithmetic units: one work-group per tile of
 * {@code block} queries, K and V streamed through local memory in tiles of as many keys, P recomputed from the
 * log-sum-exp. {@link TiledKeyValueGradients} is the other half of the backward pass.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2, with a loop order of its own for dQ, so that no two
 * groups add to the same gradient: no atomics, and the same bits in every run.
 *
 * <p><b>Arrays.</b> query and queryGradient {@code [batch, heads, seqQ, headDim]}, outputGradient {@code [batch, heads,
 * seqQ, valueDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value {@code [batch, kvHeads, seqK, valueDim]},
 * rowTerms of {@link BackwardRowTerms} {@code [batch, heads, seqQ, 2]}, headTerms {@code [heads]}, keyLengths
 * {@code [batch]} (keys) and the words of dropout. Arithmetic is F32 whatever the arrays store.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / block)} groups of {@link #groupSize} work-items.
 * {@code block} is a multiple of 8.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: tiles of Q, dO, K and V, of S and dP, and two numbers a query.
 * Where a tile of S has fewer blocks than the group has work-items, several share a block, each with a part of the head
 * dimension.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; no sub-groups, no atomics, no 64-bit floats.
 *
 * <p><b>Not done here.</b> Tensor cores; overlap of loads with arithmetic inside a group.
 */
public final class TiledQueryGradient {

    private TiledQueryGradient() {}

    /** Work-items in a group: each owns 8 rows by 4 dimensions of the gradient. */
    public static int groupSize(int headDim, int block) {
        return block / 8 * ((headDim + 3) / 4);
    }

    /** Work-items that share a block of S, each with a part of the head dimension. */
    public static int parts(int headDim, int block) {
        return Math.max(1, groupSize(headDim, block) / (block / 4 * (block / 4)));
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int block) {
        int parts = parts(headDim, block);
        int stride = (headDim + 3) / 4 * 4 + 4;
        return Float.BYTES * (4 * block * stride + 2 * parts * block * (block + 4) + 2 * block);
    }

    /**
     * Computes one tile of dQ; see the class for arrays, grid and memory.
     *
     * @param block queries, and keys, in a tile
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features as {@link TiledFlashAttention} has them
     */
    // spotless:off: register tiles are written in rows
    public static void queryGradient(
            KernelContext context,
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            @Element FloatArray queryGradient,
            FloatArray headTerms,
            IntArray keyLengths,
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

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, block);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, block);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
        int valueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * valueDim;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = (batchHead * seqQ + i0) * valueDim;
        int queryGradientBase = queryBase;
        int queryGradientStride = headDim;
        if (Layout.isStrided()) {
            int kvHead = head / (heads / kvHeads);
            keyBase = Layout.key(batch, kvHead, 0);
            valueBase = Layout.value(batch, kvHead, 0);
            queryBase = Layout.query(batch, head, i0);
            outputBase = Layout.outputGradient(batch, head, i0);
            queryGradientBase = Layout.queryGradient(batch, head, i0);
            queryGradientStride = Layout.queryGradientRow();
        }
        int rows = TornadoMath.min(block, seqQ - i0);

        int length = Window.length(keyLengths, batch, seqK, features);
        float slope = HeadTerms.slope(headTerms, head, features);
        int seedLow = DropoutMask.seedLow(keyLengths, features);
        int seedHigh = DropoutMask.seedHigh(keyLengths, features);
        int seedOffset = DropoutMask.offset(keyLengths, features);
        int threshold = DropoutMask.threshold(keyLengths, features);

        // Query i stands at key position i + offset (bottom-right alignment); the tile sees keys firstKey ... lastKey.
        int offset = length - seqQ;
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
        int everyLeft = Window.everyLeft(i0 + rows - 1 + offset, windowLeft);
        int everyRight = Window.everyRight(i0 + offset, length, windowRight);

        // Load Q_i, dO_i, L_i and D_i; dQ = 0: 8 rows by 4 dimensions a work-item.
        if (Layout.isStrided()) {
            LocalTiles.loadRows(
                    query, queryBase, Layout.queryRow(), 0, rows, headDim,
                    queryTile, block, paddedDim, item, step, features);
            LocalTiles.loadRows(
                    outputGradient, outputBase, Layout.outputGradientRow(), 0, rows, valueDim,
                    gradientTile, block, paddedDim, item, step, features);
        } else {
            LocalTiles.loadBothRows(
                    query, outputGradient, queryBase, outputBase, 0, rows, headDim, valueDim,
                    queryTile, gradientTile, block, paddedDim, item, step, features);
        }
        RowTerms.load(rowTerms, batchHead * seqQ + i0, rows, rowLse, rowD, block, item, step, features);
        int firstRow = item / dimGroups * 8;
        int firstDim = item % dimGroups * 4;
        float[] g = RegisterTile.zeros();

        // What it joins every so many keys.
        float[] total = new float[PartialSums.areJoined() ? 32 : 0];
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 32; at++) {
                total[at] = 0f;
            }
        }

        int j0 = Functions.nextKey(firstKey / block * block, block, batch, head, i0, rows, lastKey);
        for (; j0 <= lastKey; j0 = Functions.nextKey(j0 + block, block, batch, head, i0, rows, lastKey)) {
            // Load K_j and V_j, a whole tile sixteen elements at a time: a load takes hundreds of cycles, alone or in
            // company.
            int keys = TornadoMath.min(block, length - j0);
            context.localBarrier();
            if (Layout.isStrided()) {
                LocalTiles.loadRows(
                        key, keyBase, Layout.keyRow(), j0, keys, headDim,
                        keyTile, block, paddedDim, item, step, features);
                LocalTiles.loadRows(
                        value, valueBase, Layout.valueRow(), j0, keys, valueDim,
                        valueTile, block, paddedDim, item, step, features);
            } else if (keys == block && headDim == paddedDim && valueDim == headDim) {
                LocalTiles.loadBothWhole(
                        key, value, keyBase + j0 * headDim, keyTile, valueTile,
                        block * paddedDim, paddedDim, item, step, features);
            } else {
                LocalTiles.loadBothRows(
                        key, value, keyBase, valueBase, j0, keys, headDim, valueDim,
                        keyTile, valueTile, block, paddedDim, item, step, features);
            }
            context.localBarrier();

            // S = Q_i K_j^T and dP = dO_i V_j^T, in blocks of 4 queries by 4 keys, stored transposed.
            for (int unit = item; unit < quarter * quarter * parts; unit += step) {
                int part = TileProducts.part(unit, quarter);
                int across = TileProducts.across(unit, quarter);
                int down = TileProducts.down(unit, quarter);
                int s = part * block * scoreStride + across * scoreStride + down;
                TileProducts.scoresAndGradients(
                        queryTile, gradientTile, keyTile, valueTile, down * stride, across * stride, quarter * stride,
                        part, parts, paddedDim, scores, gradients, s, quarter, quarter * scoreStride);
            }
            context.localBarrier();

            // Whether some query of the tile does not see some key of it: then such pairs are marked, where their score was.
            int unseen = Unseen.inTile(j0, block, everyLeft, everyRight, windowLeft, windowRight);
            if (Functions.weight(1f, Score.NO_SCORE) == 0f) {
                unseen = 1;
            }

            // P = exp(scale * S - L), dS = P (dP - D). The mask is an interval of keys.
            for (int pair = item; pair < block * block; pair += step) {
                int c = pair / block;
                int r = pair % block;
                int at = c * scoreStride + r;
                int position = i0 + r + offset;
                int j = j0 + c;
                int from = Window.firstInTile(position, j0, windowLeft);
                int to = Window.lastInTile(position, j0, keys, windowRight);
                float ds = 0f;
                float seen = 0f;
                if (c >= from && c <= to) {
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
                    capSlope *= Functions.slope(s, batch, head, i, j, position);
                    s = Functions.score(s, batch, head, i, j, position);
                    float p = TornadoMath.exp(LargeScores.exponent(s - rowLse[r], features));
                    dp *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, i0 + r, j, features);
                    ds = Functions.weight(p * (dp - rowD[r]) * capSlope, s);
                    seen = Functions.weight(1f, s);
                }
                gradients[at] = ds;
                if (unseen > 0) {
                    scores[at] = seen == 0f ? Unseen.P : 0f;
                }
            }
            context.localBarrier();

            // dQ_i = dQ_i + dS K_j.
            // One loop or the other: as the branches of a condition PoCL compiles them wrongly.
            int marked = unseen > 0 ? block : 0;
            for (int j = 0; j < marked; j++) {
                int s = j * scoreStride + firstRow;
                int k = j * stride + firstDim;
                float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                float k0 = keyTile[k], k1 = keyTile[k + 1], k2 = keyTile[k + 2], k3 = keyTile[k + 3];
                RegisterTile.addSeen(g, 0, scores[s], s0, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 1, scores[s + 1], s1, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 2, scores[s + 2], s2, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 3, scores[s + 3], s3, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 4, scores[s + 4], s4, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 5, scores[s + 5], s5, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 6, scores[s + 6], s6, k0, k1, k2, k3);
                RegisterTile.addSeen(g, 7, scores[s + 7], s7, k0, k1, k2, k3);
            }
            for (int j = marked; j < block; j++) {
                int s = j * scoreStride + firstRow;
                int k = j * stride + firstDim;
                float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                float k0 = keyTile[k], k1 = keyTile[k + 1], k2 = keyTile[k + 2], k3 = keyTile[k + 3];
                RegisterTile.add(g, s0, s1, s2, s3, s4, s5, s6, s7, k0, k1, k2, k3);
            }
            if (PartialSums.areJoined()) {
                if (PartialSums.endRun(j0, block)) {
                    int z = PartialSums.hiddenZero(rowLse[firstRow], Score.NO_SCORE, j0);
                    RegisterTile.join(g, total, z);
                    RegisterTile.clear(g);
                }
            }
        }
        context.localBarrier();

        // dQ leaves through the query tile, so that neighbouring work-items write neighbouring elements.
        int y = firstRow * stride + firstDim;
        RegisterTile.put(g, queryTile, y, stride);
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 32; at++) {
                queryTile[y + at / 4 * stride + at % 4] += total[at];
            }
        }
        context.localBarrier();
        for (int at = item; at < block * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            if (row < rows && x < headDim) {
                int to = queryGradientBase + row * queryGradientStride + x;
                store(queryGradient, to, scale * queryTile[row * stride + x], features);
            }
        }
    }
    // spotless:on
}
