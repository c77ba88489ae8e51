package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.LocalTiles;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RegisterTile;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.TileProducts;
import org.tornadoattention.kernel.parts.Unseen;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * FlashAttention-2's forward pass on plain arithmetic units: one work-group per tile of {@code blockQ} queries, K and V
 * streamed through local memory in tiles of {@code blockK} keys, the online softmax between two register-tiled matrix
 * products. S and P never leave the work-group.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 1; the products are tiled over registers as in a blocked
 * SGEMM, because a work-item that reads both factors from local memory for each multiply-add is bound by that memory.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value
 * {@code [batch, kvHeads, seqK, valueDim]}, output {@code [batch, heads, seqQ, valueDim]}, logSumExp {@code [batch,
 * heads, seqQ]} (natural logarithm), headTerms of {@link HeadTerms}, keyLengths {@code [batch]} (keys) and the words of
 * dropout. Arithmetic is F32 whatever the arrays store.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@code (blockQ / 8) * (paddedDim
 * / 8)} work-items, where {@code paddedDim} is widestDim rounded up to 8. {@code blockQ} is a multiple of 8,
 * {@code blockK} of 4, and {@code 4 * blockK} of {@code blockQ}.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: the query tile, one tile shared by K and then V, the transposed
 * scores, and three numbers a query.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; no sub-groups, no atomics, no 64-bit floats.
 *
 * <p><b>Not done here.</b> No overlap of loads with arithmetic inside a group (several groups on one multiprocessor do
 * that), and no tensor cores.
 *
 * <p>There are forms for HalfFloatArrays and, for BF16 or F16 as raw bits, for ShortArrays, and for views, whose rows
 * {@link Layout} finds.
 */
public final class TiledFlashAttention {

    private TiledFlashAttention() {}

    /** Head dimension as the tiles see it: rounded up to a multiple of 8. */
    public static int paddedDim(int headDim) {
        return (headDim + 7) / 8 * 8;
    }

    /** Work-items in a group for this tile shape. */
    public static int groupSize(int headDim, int blockQ) {
        return (blockQ / 8) * (paddedDim(headDim) / 8);
    }

    /** Bytes of local memory that a group uses for this tile shape. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        int stride = paddedDim(headDim) + 4;
        return Float.BYTES * (blockQ * stride + blockK * stride + blockK * (blockQ + 4) + 3 * blockQ);
    }

    // spotless:off: many parameters are written in rows
    /** Joins a run of one of the eight rows' sums with their totals, and makes its maximum theirs. */
    @Phase
    private static void joinRow(float[] total, int zero, int r, float max, float sum, float[] left, float[] right) {
        float alpha = TornadoMath.exp(total[zero + 72 + r] - max);
        int at = zero + 8 * r;
        total[at] = alpha * total[at] + left[4 * r];
        total[at + 1] = alpha * total[at + 1] + left[4 * r + 1];
        total[at + 2] = alpha * total[at + 2] + left[4 * r + 2];
        total[at + 3] = alpha * total[at + 3] + left[4 * r + 3];
        total[at + 4] = alpha * total[at + 4] + right[4 * r];
        total[at + 5] = alpha * total[at + 5] + right[4 * r + 1];
        total[at + 6] = alpha * total[at + 6] + right[4 * r + 2];
        total[at + 7] = alpha * total[at + 7] + right[4 * r + 3];
        total[zero + 64 + r] = alpha * total[zero + 64 + r] + sum;
        total[zero + 72 + r] = max;
    }

    /** Makes scores of a row's products with keys {@code from} to {@code to} of a tile; returns the new maximum. */
    @Phase
    private static float scoreRow(
            float[] scores, int row, int scoreStride, float oldMax, int from, int to, int j0, int position,
            int batch, int head, int query, float softcap, float slope, int features) {
        float max = oldMax;
        for (int c = from; c <= to; c++) {
            float s = scores[c * scoreStride + row];
            s = Score.of(s, softcap, slope, position - j0 - c, features);
            s = Functions.score(s, batch, head, query, j0 + c, position);
            scores[c * scoreStride + row] = s;
            max = TornadoMath.max(max, s);
        }
        return max;
    }

    /**
     * Makes P of a row's scores, 0 or a mark where it sees no key; returns their sum. With a window, which leaves rows
     * few keys of a tile, those are asked for nothing; without one all of a tile are, in a loop whose length is known.
     */
    @Phase
    private static float weighRow(
            float[] scores, int row, int scoreStride, float max, int from, int to, int j0, int blockK, int masked,
            int batchHead, int query, int seedLow, int seedHigh, int seedOffset, int threshold, int features) {
        float sum = 0f;
        int first = masked > 0 ? from : 0;
        int end = masked > 0 ? to + 1 : blockK;
        for (int c = first; c < end; c++) {
            float p = 0f;
            float seen = 0f;
            if (c >= from && c <= to) {
                float s = scores[c * scoreStride + row];
                p = Functions.weight(TornadoMath.exp(s - max), s);
                seen = Functions.weight(1f, s);
            }
            sum += p;
            p *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, query, j0 + c, features);
            if (Unseen.areHiddenByFunction()) {
                if (seen == 0f) {
                    p = Unseen.P;
                }
            }
            scores[c * scoreStride + row] = p;
        }
        float hidden = masked > 0 ? Unseen.P : 0f;
        for (int c = 0; c < TornadoMath.min(first, blockK); c++) {
            scores[c * scoreStride + row] = hidden;
        }
        for (int c = TornadoMath.max(0, end); c < blockK; c++) {
            scores[c * scoreStride + row] = hidden;
        }
        return sum;
    }

    /** Adds P v of a key that all eight rows see. */
    @Phase
    private static void add(
            float[] left, float[] right, float[] scores, float[] valueTile, int p, int v, int half) {
        float p0 = scores[p], p1 = scores[p + 1], p2 = scores[p + 2], p3 = scores[p + 3];
        float p4 = scores[p + 4], p5 = scores[p + 5], p6 = scores[p + 6], p7 = scores[p + 7];
        float v0 = valueTile[v], v1 = valueTile[v + 1];
        float v2 = valueTile[v + 2], v3 = valueTile[v + 3];
        float v4 = valueTile[v + half], v5 = valueTile[v + half + 1];
        float v6 = valueTile[v + half + 2], v7 = valueTile[v + half + 3];
        RegisterTile.add(left, p0, p1, p2, p3, p4, p5, p6, p7, v0, v1, v2, v3);
        RegisterTile.add(right, p0, p1, p2, p3, p4, p5, p6, p7, v4, v5, v6, v7);
    }

    /** Adds P v of a key to those of the eight rows that are not marked. */
    @Phase
    private static void addSeen(
            float[] left, float[] right, float[] scores, float[] valueTile, int p, int v, int half) {
        float p0 = scores[p], p1 = scores[p + 1], p2 = scores[p + 2], p3 = scores[p + 3];
        float p4 = scores[p + 4], p5 = scores[p + 5], p6 = scores[p + 6], p7 = scores[p + 7];
        float v0 = valueTile[v], v1 = valueTile[v + 1];
        float v2 = valueTile[v + 2], v3 = valueTile[v + 3];
        float v4 = valueTile[v + half], v5 = valueTile[v + half + 1];
        float v6 = valueTile[v + half + 2], v7 = valueTile[v + half + 3];
        RegisterTile.addSeen(left, right, 0, p0, p0, p0, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 1, p1, p1, p1, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 2, p2, p2, p2, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 3, p3, p3, p3, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 4, p4, p4, p4, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 5, p5, p5, p5, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 6, p6, p6, p6, v0, v1, v2, v3, v4, v5, v6, v7);
        RegisterTile.addSeen(left, right, 7, p7, p7, p7, v0, v1, v2, v3, v4, v5, v6, v7);
    }

    /** Joins a run of the eight rows' sums with their totals, and makes its maxima theirs. */
    @Phase
    private static void joinRows(
            float[] total, int zero, float[] rowMax, float[] rowSum, int first, float[] left, float[] right) {
        joinRow(total, zero, 0, rowMax[first], rowSum[first], left, right);
        joinRow(total, zero, 1, rowMax[first + 1], rowSum[first + 1], left, right);
        joinRow(total, zero, 2, rowMax[first + 2], rowSum[first + 2], left, right);
        joinRow(total, zero, 3, rowMax[first + 3], rowSum[first + 3], left, right);
        joinRow(total, zero, 4, rowMax[first + 4], rowSum[first + 4], left, right);
        joinRow(total, zero, 5, rowMax[first + 5], rowSum[first + 5], left, right);
        joinRow(total, zero, 6, rowMax[first + 6], rowSum[first + 6], left, right);
        joinRow(total, zero, 7, rowMax[first + 7], rowSum[first + 7], left, right);
    }

    /** Puts the eight rows into a tile, four elements of each in each half of the head. */
    @Phase
    private static void putRows(
            float[] left, float[] right, float[] tile, int firstRow, int firstDim, int stride, int half) {
        putRow(left, right, 0, tile, firstRow * stride + firstDim, half);
        putRow(left, right, 1, tile, (firstRow + 1) * stride + firstDim, half);
        putRow(left, right, 2, tile, (firstRow + 2) * stride + firstDim, half);
        putRow(left, right, 3, tile, (firstRow + 3) * stride + firstDim, half);
        putRow(left, right, 4, tile, (firstRow + 4) * stride + firstDim, half);
        putRow(left, right, 5, tile, (firstRow + 5) * stride + firstDim, half);
        putRow(left, right, 6, tile, (firstRow + 6) * stride + firstDim, half);
        putRow(left, right, 7, tile, (firstRow + 7) * stride + firstDim, half);
    }

    /** Puts a row of the eight, four elements in each half of the head, into a tile. */
    @Phase
    private static void putRow(float[] left, float[] right, int row, float[] tile, int at, int half) {
        RegisterTile.putRow(left, row, tile, at);
        RegisterTile.putRow(right, row, tile, at + half);
    }

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT}, {@code F16_BITS} and {@code NATIVE_BF16},
     *     added
     */
    public static void attention(
            KernelContext context,
            @Element("query") FloatArray query,
            @Element("keys") FloatArray key,
            @Element("keys") FloatArray value,
            @Element("output") FloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int addedValueDim,
            @Constant int addedWidestDim,
            int blockQ,
            int blockK,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int valueDim = headDim + addedValueDim;
        int widestDim = headDim + addedWidestDim;
        int paddedDim = (widestDim + 7) / 8 * 8;
        int half = paddedDim / 2;
        int stride = paddedDim + 4;
        int scoreStride = blockQ + 4;
        int dimGroups = paddedDim / 8;
        int step = (blockQ / 8) * dimGroups; // work-items in the group: what each strides by

        float[] queryTile = context.allocateFloatLocalArray(blockQ * (paddedDim + 4));
        float[] keyValueTile = context.allocateFloatLocalArray(blockK * (paddedDim + 4));
        float[] scores = context.allocateFloatLocalArray(blockK * (blockQ + 4));
        float[] rowMax = context.allocateFloatLocalArray(blockQ);
        float[] rowSum = context.allocateFloatLocalArray(blockQ);
        float[] correction = context.allocateFloatLocalArray(blockQ);

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int keyValueHead = Placement.keyValueHead(batchHead, heads, kvHeads);
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = (batchHead * seqQ + i0) * valueDim;
        int keyBase = keyValueHead * seqK * headDim;
        int valueBase = keyValueHead * seqK * valueDim;
        int queryStride = headDim;
        int outputStride = valueDim;
        int keyStride = headDim;
        int valueStride = valueDim;
        if (Layout.isStrided()) {
            int kvHead = head / (heads / kvHeads);
            queryBase = Layout.query(batch, head, i0);
            outputBase = Layout.output(batch, head, i0);
            keyBase = Layout.key(batch, kvHead, 0);
            valueBase = Layout.value(batch, kvHead, 0);
            queryStride = Layout.queryRow();
            outputStride = Layout.outputRow();
            keyStride = Layout.keyRow();
            valueStride = Layout.valueRow();
        }
        int rows = TornadoMath.min(blockQ, seqQ - i0);

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
        int masked = TornadoMath.max(windowLeft, windowRight) + 1;
        if (Unseen.areHiddenByFunction()) {
            masked = 1;
        }

        // Load Q_i; m = -inf, l = 0, O = 0.
        LocalTiles.loadRows(
                query, queryBase, queryStride, 0, rows, headDim, queryTile, blockQ, paddedDim, item, step, features);
        for (int row = item; row < blockQ; row += step) {
            rowMax[row] = Score.NO_SCORE;
            rowSum[row] = 0f;
        }

        // This work-item's part of O: 8 rows by 8 dimensions, four in each half of the head.
        int firstRow = item / dimGroups * 8;
        int firstDim = item % dimGroups * 4;
        float[] oLeft = RegisterTile.zeros();
        float[] oRight = RegisterTile.zeros();

        // What they join every so many keys: 64 totals of O, eight of l, and the maxima that these are relative to.
        float[] total = new float[PartialSums.areJoined() ? 80 : 0];
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 80; at++) {
                total[at] = at < 72 ? 0f : Score.NO_SCORE;
            }
        }
        int joined = 0; // above 0 where all have joined the totals

        int j0 = Functions.nextKey(firstKey / blockK * blockK, blockK, batch, head, i0, rows, lastKey);
        for (; j0 <= lastKey; j0 = Functions.nextKey(j0 + blockK, blockK, batch, head, i0, rows, lastKey)) {
            // Load K_j, a whole tile sixteen elements at a time: a load takes hundreds of cycles, alone or in company.
            int keys = TornadoMath.min(blockK, length - j0);
            boolean wholeTile = keys == blockK && headDim == paddedDim;
            if (Layout.isStrided()) {
                wholeTile = false;
            }
            if (wholeTile) {
                int first = keyBase + j0 * headDim;
                LocalTiles.loadWhole(key, first, keyValueTile, blockK * paddedDim, paddedDim, item, step, features);
            } else {
                LocalTiles.loadRows(
                        key, keyBase, keyStride, j0, keys, headDim,
                        keyValueTile, blockK, paddedDim, item, step, features);
            }
            context.localBarrier();

            // S = scale * Q_i K_j^T, in blocks of 4 queries by 4 keys, stored transposed.
            int keyGroups = blockK / 4;
            int rowStep = blockQ / 4;
            for (int block = item; block < rowStep * keyGroups; block += step) {
                int q = block / keyGroups * stride;
                int k = block % keyGroups * stride;
                int s = block % keyGroups * scoreStride + block / keyGroups;
                TileProducts.scores(
                        queryTile, keyValueTile, q, k, rowStep * stride, keyGroups * stride, paddedDim, scale,
                        scores, s, rowStep, keyGroups * scoreStride);
            }
            context.localBarrier();

            // Load V_j over K_j.
            if (wholeTile && valueDim == headDim) {
                int first = valueBase + j0 * valueDim;
                LocalTiles.loadWhole(value, first, keyValueTile, blockK * paddedDim, paddedDim, item, step, features);
            } else {
                LocalTiles.loadRows(
                        value, valueBase, valueStride, j0, keys, valueDim,
                        keyValueTile, blockK, paddedDim, item, step, features);
            }

            // Online softmax, a row a work-item: m' = max(m, max s), P = exp(s - m'), l = exp(m - m') l + sum P. A
            // mask is an interval of keys: the bounds of these loops, which cost nothing in tiles that it leaves whole.
            for (int row = item; row < blockQ; row += step) {
                int position = i0 + row + offset;
                int from = Window.firstInTile(position, j0, windowLeft);
                int to = Window.lastInTile(position, j0, keys, windowRight);
                float oldMax = rowMax[row];
                float max = scoreRow(
                        scores, row, scoreStride, oldMax, from, to, j0, position, batch, head,
                        TornadoMath.min(i0 + row, seqQ - 1), softcap, slope, features);
                float sum = weighRow(
                        scores, row, scoreStride, max, from, to, j0, blockK, masked, batchHead, i0 + row,
                        seedLow, seedHigh, seedOffset, threshold, features);
                float alpha = TornadoMath.exp(oldMax - max);
                rowMax[row] = max;
                if (PartialSums.areJoined()) {
                    if (joined > 0) {
                        rowSum[row] = 0f;
                    }
                }
                rowSum[row] = alpha * rowSum[row] + sum;
                correction[row] = alpha;
            }
            context.localBarrier();

            // O = diag(alpha) O + P V_j.
            float a0 = correction[firstRow], a1 = correction[firstRow + 1];
            float a2 = correction[firstRow + 2], a3 = correction[firstRow + 3];
            float a4 = correction[firstRow + 4], a5 = correction[firstRow + 5];
            float a6 = correction[firstRow + 6], a7 = correction[firstRow + 7];
            RegisterTile.scale(oLeft, a0, a1, a2, a3, a4, a5, a6, a7);
            RegisterTile.scale(oRight, a0, a1, a2, a3, a4, a5, a6, a7);
            int position0 = i0 + firstRow + offset;
            int from = Unseen.from(position0, j0, windowLeft);
            int end = Unseen.end(position0 + 7, j0, blockK, keys, windowLeft, windowRight);
            int everyFrom = Unseen.everyFrom(position0 + 7, j0, end, windowLeft);
            int everyEnd = Unseen.everyEnd(position0, j0, everyFrom, end, windowRight);
            for (int j = from; j < everyFrom; j++) {
                addSeen(oLeft, oRight, scores, keyValueTile, j * scoreStride + firstRow, j * stride + firstDim, half);
            }
            for (int j = everyFrom; j < everyEnd; j++) {
                add(oLeft, oRight, scores, keyValueTile, j * scoreStride + firstRow, j * stride + firstDim, half);
            }
            for (int j = everyEnd; j < end; j++) {
                addSeen(oLeft, oRight, scores, keyValueTile, j * scoreStride + firstRow, j * stride + firstDim, half);
            }
            if (PartialSums.areJoined()) {
                joined = 0;
                if (PartialSums.endRun(j0, blockK)) {
                    joined = 1;
                    int z = PartialSums.hiddenZero(rowSum[firstRow], 0f, j0);
                    joinRows(total, z, rowMax, rowSum, firstRow, oLeft, oRight);
                    RegisterTile.clear(oLeft);
                    RegisterTile.clear(oRight);
                }
            }
            context.localBarrier();
        }
        if (PartialSums.areJoined()) {
            if (item % dimGroups == 0) {
                for (int r = 0; r < 8; r++) {
                    int row = firstRow + r;
                    float since = joined > 0 ? 0f : rowSum[row];
                    rowSum[row] = since + TornadoMath.exp(total[72 + r] - rowMax[row]) * total[64 + r];
                }
            }
            context.localBarrier();
        }

        // O = O / l and L = m + ln l; a query that saw no key gets 0 and -infinity. O leaves through the query tile, so
        // that neighbouring work-items write neighbouring elements.
        for (int row = item; row < blockQ; row += step) {
            float sum = rowSum[row];
            float max = rowMax[row];
            float lse = RowEnd.logSumExp(max, sum, headTerms, head, features);
            correction[row] = RowEnd.inverse(max, sum, headTerms, head, features);
            if (row < rows) {
                logSumExp.set(batchHead * seqQ + i0 + row, lse);
            }
        }
        context.localBarrier();
        putRows(oLeft, oRight, queryTile, firstRow, firstDim, stride, half);
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 64; at++) {
                int row = firstRow + at / 8;
                int to = row * stride + firstDim + at / 4 % 2 * half + at % 4;
                queryTile[to] += TornadoMath.exp(total[72 + at / 8] - rowMax[row]) * total[at];
            }
        }
        context.localBarrier();
        for (int at = item; at < blockQ * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            if (row < rows && x < valueDim) {
                float o = queryTile[row * stride + x] * correction[row];
                store(output, outputBase + row * outputStride + x, o, features);
            }
        }
    }
    // spotless:on
}
