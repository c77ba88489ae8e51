package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.TileList;
import org.tornadoattention.kernel.parts.WarpScores;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * FlashAttention-2's forward pass on tensor cores, in registers: every warp owns 16 or 32 rows of a tile of
 * {@code blockQ} queries; S comes out of a product as accumulators, becomes P where it lies, and goes into the next
 * product as an operand.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 1, with the intrinsics of {@link Warp}. Each lane works on
 * its part of two rows at a time (see {@link WarpTiles}), so row sums need only three other lanes. While K_j is
 * multiplied, V_j is on its way to local memory; while V_j is, K_j+1.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value
 * {@code [batch, kvHeads, seqK, valueDim]}, output {@code [batch, heads, seqQ, valueDim]}, logSumExp {@code [batch,
 * heads, seqQ]} (natural logarithm), headTerms of {@link HeadTerms}, keyLengths {@code [batch]} (keys). Products of
 * 16-bit floats, sums in F32.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of 32 work-items for each warp;
 * {@code blockQ} is 16 or 32 rows for each warp, {@code blockK} a multiple of 16.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: tiles of Q, K and V.
 *
 * <p><b>Device.</b> Compute capability 8.0, through TornadoVM's CUDA backend with this project's intrinsics; the
 * simulator. A lane needs up to 255 registers.
 */
public final class WarpFlashAttention {

    private WarpFlashAttention() {}

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return WarpTiles.tileBytes(blockQ, headDim) + 2 * WarpTiles.tileBytes(blockK, headDim);
    }

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param addedValueDim the values' head dimension, less {@code headDim}
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of {@link Features}, and
     *     {@link Features#warpShape}, added
     */
    public static void attention(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int addedValueDim,
            int blockQ,
            int blockK,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int warps = Features.warps(features);
        int threshold = Features.threshold(features);
        int items = 32 * warps;
        Warp.requireGroupSize(items);
        int rowTiles = blockQ / (16 * warps);
        int valueDim = headDim + addedValueDim;
        int paddedDim = (headDim + 15) / 16 * 16;
        int paddedValueDim = (valueDim + 15) / 16 * 16;
        int type = WarpTiles.type(query, features);
        float factor = WarpScores.factor(scale, softcap, features);

        int[] queryTile = context.allocateIntLocalArray((headDim + 63) / 64 * blockQ * 32);
        int[] keyTile = context.allocateIntLocalArray((headDim + 63) / 64 * blockK * 32);
        int[] valueTile = context.allocateIntLocalArray(
                (headDim + addedValueDim + 63) / 64 * blockK * 32 + TileList.ints((seqK + blockK - 1) / blockK));
        int atList = WarpTiles.tileBytes(blockK, valueDim); // behind V

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int lane = item % 32;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = (batchHead * seqQ + i0) * valueDim;
        int firstOfHead = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK;
        int keyBase = firstOfHead * headDim;
        int valueBase = firstOfHead * valueDim;
        int rows = TornadoMath.min(blockQ, seqQ - i0);

        int length = Window.length(keyLengths, batch, seqK, features);
        float slope = HeadTerms.slope(headTerms, head, features);

        // Query i stands at key position i + offset (bottom-right alignment). The tile sees keys firstKey ... lastKey;
        // all of its queries see keys everyLeft ... everyRight.
        int offset = length - seqQ;
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
        int everyLeft = Window.everyLeft(i0 + rows - 1 + offset, windowLeft);
        int everyRight = Window.everyRight(i0 + offset, length, windowRight);
        int j0 = firstKey / blockK * blockK;
        int inWindow = Window.tiles(firstKey, lastKey, j0, blockK);
        // spotless:off: calls in rows
        int found = TileList.count(
                valueTile, atList, inWindow, item, items, inWindow, batchHead, heads, i0, rows, 0, j0, blockK,
                blockK);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        int tiles = TileList.list(
                valueTile, atList, inWindow, item, items, inWindow, batchHead, heads, i0, rows, 0, j0, blockK,
                blockK, found);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        // spotless:on

        // This lane's rows and columns of an accumulator, and the rows and chunks that it names in loads of matrices.
        int row = item / 32 * 16 * rowTiles + lane / 4;
        int column = lane % 4 * 2;
        int rowOfQ = item / 32 * 16 * rowTiles + lane % 16;
        int rowOfK = lane % 8 + lane / 16 * 8;
        int rowOfV = lane % 16;

        // Load Q_i and the first K_j; m = -inf, l = 0, O = 0.
        WarpTiles.load(queryTile, 0, blockQ, query, queryBase, rows, headDim, item, items);
        if (tiles > 0) {
            int j = j0 + TileList.tile(valueTile, atList, 0, tiles) * blockK;
            WarpTiles.load(keyTile, 0, blockK, key, keyBase + j * headDim, length - j, headDim, item, items);
        }
        context.asyncCopyCommit();
        float[] s = new float[rowTiles * blockK / 2];
        int[] p = new int[rowTiles * blockK / 4];
        float[] o = new float[rowTiles * ((headDim + addedValueDim + 15) / 16 * 16) / 2];
        float[] m = new float[2 * rowTiles];
        float[] l = new float[2 * rowTiles];
        float[] correction = new float[2 * rowTiles];
        int[] a = new int[4 * rowTiles];
        int[] b = new int[4];
        for (int at = 0; at < rowTiles * paddedValueDim / 2; at++) {
            o[at] = 0f;
        }
        for (int r = 0; r < 2 * rowTiles; r++) {
            m[r] = Score.NO_SCORE;
            l[r] = 0f;
        }

        for (int t = 0; t < tiles; t++) {
            int j = j0 + TileList.tile(valueTile, atList, t, tiles) * blockK;
            context.asyncCopyWaitGroup(0);
            context.localBarrier();
            WarpTiles.load(valueTile, 0, blockK, value, valueBase + j * valueDim, length - j, valueDim, item, items);
            context.asyncCopyCommit();

            // S = Q_i K_j^T
            for (int at = 0; at < rowTiles * blockK / 2; at++) {
                s[at] = 0f;
            }
            for (int x = 0; x < paddedDim / 16; x++) {
                for (int r = 0; r < rowTiles; r++) {
                    Warp.loadMatrices(a, 4 * r, queryTile, WarpTiles.chunk(blockQ, rowOfQ + 16 * r, 2 * x + lane / 16));
                }
                for (int n = 0; n < blockK / 16; n++) {
                    int chunk = WarpTiles.chunk(blockK, rowOfK + 16 * n, 2 * x + lane / 8 % 2);
                    Warp.loadMatrices(b, 0, keyTile, chunk);
                    for (int r = 0; r < rowTiles; r++) {
                        Warp.multiply(type, s, (r * blockK / 8 + 2 * n) * 4, a, 4 * r, b, 0);
                        Warp.multiply(type, s, (r * blockK / 8 + 2 * n + 1) * 4, a, 4 * r, b, 2);
                    }
                }
            }
            context.asyncCopyWaitGroup(0);
            context.localBarrier();
            if (t + 1 < tiles) {
                int next = j + TileList.distance(valueTile, atList, t + 1, tiles) * blockK;
                WarpTiles.load(keyTile, 0, blockK, key, keyBase + next * headDim, length - next, headDim, item, items);
            }
            context.asyncCopyCommit();

            // P = 2^(S - m), l, O = correction * O
            // spotless:off: calls in rows
            int whole = TileList.isWhole(valueTile, atList, t);
            if (Functions.changeScores()) {
                int inner = WarpScores.isInner(
                        rowTiles, blockK, false, i0 + row, j, seqQ, length, everyLeft, everyRight, whole);
                if (inner > 0) {
                    WarpScores.ask(
                            s, rowTiles, blockK, batch, head, i0 + row, j + column, seqQ, offset, length, windowLeft,
                            windowRight, scale, softcap, slope, features, false);
                } else {
                    WarpScores.ask(
                            s, rowTiles, blockK, batch, head, i0 + row, j + column, seqQ, offset, length, windowLeft,
                            windowRight, scale, softcap, slope, features, true);
                }
            } else {
                WarpScores.maskedScores(
                        s, rowTiles, blockK, false, batch, head, i0 + row, j, column, seqQ, offset, length, everyLeft,
                        everyRight, windowLeft, windowRight, scale, softcap, slope, features, whole);
            }
            // spotless:on
            WarpScores.softmax(s, m, l, correction, rowTiles, blockK, factor, threshold);
            WarpScores.rescale(o, correction, rowTiles, paddedValueDim);
            WarpScores.drop(s, rowTiles, blockK, keyLengths, batchHead, i0 + row, j + column, features);
            WarpScores.pack(type, s, p, rowTiles, blockK);

            // O = O + P V_j
            for (int n = 0; n < blockK / 16; n++) {
                for (int x = 0; x < paddedValueDim / 16; x++) {
                    int chunk = WarpTiles.chunk(blockK, rowOfV + 16 * n, 2 * x + lane / 16);
                    Warp.loadMatricesTransposed(b, 0, valueTile, chunk);
                    for (int r = 0; r < rowTiles; r++) {
                        Warp.multiply(type, o, (r * paddedValueDim / 8 + 2 * x) * 4, p, r * blockK / 4 + 4 * n, b, 0);
                        Warp.multiply(
                                type, o, (r * paddedValueDim / 8 + 2 * x + 1) * 4, p, r * blockK / 4 + 4 * n, b, 2);
                    }
                }
            }
        }

        // O = O / l, L = ln 2 * m + ln l; a query that sees no key gets 0 and -infinity.
        for (int r = 0; r < 2 * rowTiles; r++) {
            l[r] = RowEnd.sumOfLanes(l[r]);
            int i = i0 + row + 8 * r;
            boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
            if (i < seqQ) {
                int from = outputBase + (row + 8 * r) * valueDim;
                float inverse = RowEnd.inverseOfWarp(masked, m[r], l[r], headTerms, head, features);
                WarpTiles.store(output, from, valueDim, type, o, r, column, inverse);
            }
        }
        // Four lanes know the same rows' m and l: each makes the logarithm of one.
        int own = lane % 4;
        if (own < 2 * rowTiles && i0 + row + 8 * own < seqQ) {
            int i = i0 + row + 8 * own;
            boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
            float max = Mending.pick(m, own, 2 * rowTiles);
            float sum = Mending.pick(l, own, 2 * rowTiles);
            float lse = RowEnd.logSumExpOfWarp(masked, max, sum, headTerms, head, features);
            Warp.store(logSumExp, batchHead * seqQ + i, lse);
        }

        // Rows that are not finite, once more from the keys that they see.
        if (Mending.isNeeded(windowLeft, windowRight) > 0) {
            float[] mended = new float[(headDim + addedValueDim + 15) / 16 * 16 / 2];
            // spotless:off: calls in rows
            int unfinished = Mending.rowsOfOutput(o, 2 * rowTiles, paddedValueDim, i0 + row, seqQ);
            for (int r = 0; r < 2 * rowTiles; r++) {
                int mends = unfinished >> r & 1;
                float ofRow = 0f;
                if (mends != 0) {
                    ofRow = Mending.logSumExp(
                            Mending.pick(m, r, 2 * rowTiles), Mending.pick(l, r, 2 * rowTiles), i0 + row + 8 * r, offset, length, windowLeft,
                            windowRight, 0, headTerms, head, features);
                }
                mends = ofRow == ofRow ? mends : 0;
                if (mends != 0) {
                    int i = i0 + row + 8 * r;
                    int from = queryBase + (row + 8 * r) * headDim;
                    Mending.output(
                            mended, ofRow, query, from, key, value, keyBase, keyLengths, 0, 0, type, headDim, 1,
                            addedValueDim, column, batchHead, batch, head, 0, i, i + offset,
                            Window.firstKey(i + offset, windowLeft), Window.lastKey(i + offset, length, windowRight),
                            scale, softcap, slope, features);
                    WarpTiles.store(output, outputBase + (row + 8 * r) * valueDim, valueDim, type, mended, 0, column, 1f);
                }
            }
            // spotless:on
        }
    }
}
