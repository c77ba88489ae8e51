package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
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
 * The gradient of attention with respect to queries on Hopper's asynchronous tensor cores: warp groups, 64 queries
 * each, share tiles of K and V. {@link WarpGroupKeyValueGradients} is the other half of the backward pass.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2, with queries in the outer loop, so that dQ stays in
 * registers: no atomics, and the same bits in every run. dP is under way while the warps turn S into P; dS leaves its
 * accumulator as the operand of dQ = dQ + dS K. Three places for the tiles of K and V make one barrier a step enough.
 *
 * <p><b>Arrays.</b> As {@link TiledQueryGradient}, in F16.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@code 2 * blockQ} work-items;
 * {@code blockQ} is a multiple of 64, {@code blockK} of 16.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of Q, one of dO, three of K and V. <b>Device.</b> As
 * {@link WarpGroupFlashAttention}.
 */
public final class WarpGroupQueryGradient {

    private static final int STAGES = 3;

    private WarpGroupQueryGradient() {}

    /** Work-items of a group. */
    public static int groupSize(int blockQ) {
        return 2 * blockQ;
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return 2 * WarpTiles.tileBytes(blockQ, headDim) + STAGES * 2 * WarpTiles.tileBytes(blockK, headDim);
    }

    /**
     * Computes one tile of dQ; see the class for arrays, grid and memory.
     *
     * @param blocks {@link WarpGroupKeyValueGradients#blocks}
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of {@link Features},
     *     added
     */
    public static void queryGradient(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray outputGradient,
            FloatArray rowTerms,
            @Element HalfFloatArray queryGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int blocks,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int blockQ = blocks & 0xfff;
        int blockK = blocks >> 12 & 0xfff;
        int items = 2 * blockQ;
        Warp.requireGroupSize(items);
        int paddedDim = (headDim + 15) / 16 * 16;
        int type = WarpTiles.type(query, features);
        float factor = WarpScores.factor(scale, softcap, features);

        // One array: Q, dO, then three places of K and V, then the list of tiles.
        int atGradient = WarpTiles.tileBytes(blockQ, headDim);
        int tileBytes = WarpTiles.tileBytes(blockK, headDim);
        int atStages = 2 * atGradient;
        int atList = atStages + STAGES * 2 * tileBytes;
        int[] tile =
                context.allocateIntLocalArray((headDim + 63) / 64 * 64 * ((blocks & 0xfff) + 3 * (blocks >> 12 & 0xfff))
                        + TileList.ints((seqK + (blocks >> 12 & 0xfff) - 1) / (blocks >> 12 & 0xfff)));

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int lane = item % 32;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int keyValueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
        int queries = TornadoMath.min(blockQ, seqQ - i0);

        int length = Window.length(keyLengths, batch, seqK, features);
        float slope = HeadTerms.slope(headTerms, head, features);

        // Query i stands at key position i + offset (bottom-right alignment). The tile sees keys firstKey ... lastKey;
        // all of its queries see keys everyLeft ... everyRight.
        int offset = length - seqQ;
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + queries - 1 + offset, length, windowRight);
        int everyLeft = Window.everyLeft(i0 + queries - 1 + offset, windowLeft);
        int everyRight = Window.everyRight(i0 + offset, length, windowRight);
        int j0 = firstKey / blockK * blockK;
        int inWindow = Window.tiles(firstKey, lastKey, j0, blockK);
        // spotless:off: calls in rows
        int found = TileList.count(
                tile, atList, inWindow, item, items, inWindow, batchHead, heads, i0, queries, 0, j0, blockK, blockK);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        int ofList = TileList.list(
                tile, atList, inWindow, item, items, inWindow, batchHead, heads, i0, queries, 0, j0, blockK, blockK, found);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        // spotless:on

        int steps = Warp.uniform(ofList); // The assembler would find it anew in each step.

        // This lane's rows and columns of an accumulator, and its warp group's rows of Q and dO.
        int row = item / 32 * 16 + lane / 4;
        int column = lane % 4 * 2;
        int rows = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;

        // Load Q_i and dO_i, the first K_j and V_j, L_i and D_i; dQ = 0.
        int firstSeen = j0 + TileList.tile(tile, atList, 0, steps) * blockK;
        int from = keyValueBase + firstSeen * headDim;
        WarpTiles.load(tile, 0, blockQ, query, queryBase, queries, headDim, item, items);
        WarpTiles.load(tile, atGradient, blockQ, outputGradient, queryBase, queries, headDim, item, items);
        if (steps > 0) {
            WarpTiles.load(tile, atStages, blockK, key, from, length - firstSeen, headDim, item, items);
            WarpTiles.load(tile, atStages + tileBytes, blockK, value, from, length - firstSeen, headDim, item, items);
        }
        context.asyncCopyCommit();
        float[] s = new float[blockK / 2];
        float[] dp = new float[blockK / 2];
        float[] capSlope = new float[blockK / 2];
        int[] ds = new int[blockK / 4];
        int[] biases = new int[blockK / 4];
        int eights = blockK % 32 == 0 ? Functions.areEights() : 0;
        float[] dq = new float[(headDim + 15) / 16 * 16 / 2];
        float[] lse = new float[2];
        float[] d = new float[2];
        for (int at = 0; at < blockK / 2; at++) {
            s[at] = 0f;
            dp[at] = 0f;
        }
        for (int at = 0; at < paddedDim / 2; at++) {
            dq[at] = 0f;
        }
        for (int r = 0; r < 2; r++) {
            int i = TornadoMath.min(i0 + row + 8 * r, seqQ - 1);
            float logSumExp = RowTerms.logSumExp(rowTerms, batchHead * seqQ + i);
            lse[r] = LargeScores.lowered(logSumExp, features) * WarpScores.LOG2_E;
            d[r] = RowTerms.d(rowTerms, batchHead * seqQ + i);
        }

        for (int t = 0; t < steps; t++) {
            // K_j and V_j are here; the places of the step before the last are free.
            int j = j0 + TileList.tile(tile, atList, t, steps) * blockK;
            int atK = atStages + t % STAGES * 2 * tileBytes;
            context.asyncCopyWaitGroup(0);
            WarpGroup.fenceLocalMemory();
            context.localBarrier();
            if (t + 1 < steps) {
                int step = TileList.distance(tile, atList, t + 1, steps) * blockK;
                int next = keyValueBase + (j + step) * headDim;
                int count = length - j - step;
                int at = atStages + (t + 1) % STAGES * 2 * tileBytes;
                WarpTiles.load(tile, at, blockK, key, next, count, headDim, item, items);
                WarpTiles.load(tile, at + tileBytes, blockK, value, next, count, headDim, item, items);
            }
            context.asyncCopyCommit();

            // Start S = Q_i K_j^T and dP = dO_i V_j^T.
            WarpGroup.fence();
            WarpTiles.startProduct(type, s, tile, rows, blockQ, atK, blockK, paddedDim);
            WarpGroup.commit();
            WarpTiles.startProduct(type, dp, tile, atGradient + rows, blockQ, atK + tileBytes, blockK, paddedDim);
            WarpGroup.commit();

            // When S is there: P = 2^(S - L); of functions that change scores, P times their derivative. Biases are
            // read before.
            // spotless:off: calls in rows
            int whole = TileList.isWhole(tile, atList, t);
            int inner = 0;
            if (Functions.changeScores()) {
                inner = WarpScores.isInner(
                        1, blockK, false, i0 + item / 32 * 16 + 7, j, seqQ, length, everyLeft, everyRight, whole);
            }
            if (Functions.addBiases()) {
                inner = TornadoMath.min(eights, inner);
                int ahead = j + 2 * blockK <= length ? blockK : 0;
                WarpScores.loadBiases(biases, blockK, batch, head, i0 + row, j, lane, ahead, inner);
            }
            WarpGroup.await(1, s, blockK / 2);
            if (Functions.addBiases()) {
                WarpScores.arrive(biases, blockK, lane);
                if (inner > 0) {
                    WarpScores.weigh(
                            type, s, ds, lse, tile, 0, ds, 1f, biases, true, blockK, false, batch, head, i0 + row,
                            j + column, seqQ, offset, length, windowLeft, windowRight, scale, softcap, slope, features,
                            false);
                } else {
                    WarpScores.weigh(
                            type, s, ds, lse, tile, 0, ds, 1f, biases, false, blockK, false, batch, head, i0 + row,
                            j + column, seqQ, offset, length, windowLeft, windowRight, scale, softcap, slope, features,
                            true);
                }
            } else if (Functions.changeScores()) {
                if (inner > 0) {
                    WarpScores.weigh(
                            type, s, ds, lse, tile, 0, ds, 1f, biases, false, blockK, false, batch, head, i0 + row,
                            j + column, seqQ, offset, length, windowLeft, windowRight, scale, softcap, slope, features,
                            false);
                } else {
                    WarpScores.weigh(
                            type, s, ds, lse, tile, 0, ds, 1f, biases, false, blockK, false, batch, head, i0 + row,
                            j + column, seqQ, offset, length, windowLeft, windowRight, scale, softcap, slope, features,
                            true);
                }
            } else {
                WarpScores.derivatives(s, capSlope, blockK, scale, softcap);
                WarpScores.maskedScores(
                        s, 1, blockK, false, batch, head, i0 + row, j, column, seqQ, offset, length, everyLeft,
                        everyRight, windowLeft, windowRight, scale, softcap, slope, features, whole);
                for (int r = 0; r < 2; r++) {
                    for (int n = 0; n < blockK / 8; n++) {
                        float even = s[4 * n + 2 * r] * factor - lse[r];
                        float odd = s[4 * n + 2 * r + 1] * factor - lse[r];
                        s[4 * n + 2 * r] = Warp.exp2(LargeScores.exponent(even, features));
                        s[4 * n + 2 * r + 1] = Warp.exp2(LargeScores.exponent(odd, features));
                    }
                }
            }
            // spotless:on

            // When dP is: dS = P (dP - D), and dQ = dQ + dS K_j.
            WarpGroup.await(0, dp, blockK / 2);
            WarpScores.drop(dp, 1, blockK, keyLengths, batchHead, i0 + row, j + column, features);
            float still = Functions.changeScores() ? 0f : softcap;
            for (int at = 0; at < blockK / 2; at++) {
                s[at] *= dp[at] - d[at / 2 % 2];
                if (still > 0f) {
                    s[at] *= capSlope[at];
                }
            }
            WarpScores.pack(type, s, ds, 1, blockK);
            WarpGroup.fence();
            WarpTiles.startSum(type, dq, ds, tile, atK, blockK, paddedDim);
            WarpGroup.commit();
        }

        WarpGroup.await(0, dq, (headDim + 15) / 16 * 16 / 2);
        for (int r = 0; r < 2; r++) {
            if (i0 + row + 8 * r < seqQ) {
                int first = queryBase + (row + 8 * r) * headDim;
                WarpTiles.store(queryGradient, first, headDim, type, dq, r, column, scale);
            }
        }

        // Rows that are not finite, once more from the keys that they see.
        if (Mending.isNeeded(windowLeft, windowRight) > 0) {
            float[] mended = new float[(headDim + 15) / 16 * 16 / 2];
            int unfinished = Mending.bit(dq, 0, paddedDim) | Mending.bit(dq, 1, paddedDim);
            // spotless:off: calls in rows
            for (int r = 0; unfinished >> r != 0; r++) {
                int i = i0 + row + 8 * r;
                int mends = i < seqQ ? unfinished >> r & 1 : 0;
                if (mends != 0) {
                    Mending.queryGradient(
                            mended, query, key, value, outputGradient, rowTerms, batchHead * seqQ + i, keyValueBase,
                            keyLengths, type, headDim, 0, headDim, column, batchHead, batch, head, i, i + offset,
                            Window.firstKey(i + offset, windowLeft), Window.lastKey(i + offset, length, windowRight),
                            scale, softcap, slope, features);
                    int first = queryBase + (row + 8 * r) * headDim;
                    WarpTiles.store(queryGradient, first, headDim, type, mended, 0, column, scale);
                }
            }
            // spotless:on
        }
    }
}
