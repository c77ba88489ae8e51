package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.WarpGroups.BARRIER_BYTES;
import static org.tornadoattention.kernel.parts.WarpGroups.WARPS;
import static org.tornadoattention.kernel.parts.WarpGroups.copyingRegisters;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.NaturalScores;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.SplitTiles;
import org.tornadoattention.kernel.parts.WarpGroups;
import org.tornadoattention.kernel.parts.WarpScores;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradient of attention with respect to queries for F32 on Hopper's asynchronous tensor cores:
 * {@link WarpGroupQueryGradient}'s order, with three products of 16-bit numbers for one of F32, as in
 * {@link WarpGroupF32FlashAttention}. {@link WarpGroupF32KeyValueGradients} is the other half of the backward pass.
 *
 * <p>dS has a scale for each warp's rows of a tile, and dS K_j is computed apart and added to dQ.
 *
 * <p><b>Arrays.</b> query, key, value and outputGradient in F32, which only rows that are computed once more read
 * ({@link Mending}); their parts as {@link SplitRows} writes them, scales those of Q, K, V and dO one behind the other;
 * the rest as {@link TiledQueryGradient}.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@link #groupSize} work-items;
 * {@code blockQ} is a multiple of 64, {@code blockK} 16, 32 or 64.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of Q, one of dO, three of K and V, barriers. <b>Device.</b>
 * As {@link WarpGroupFlashAttention}. Head dimensions up to 128.
 */
public final class WarpGroupF32QueryGradient {

    private static final int STAGES = 3;
    private static final int BARRIERS = 8;

    private WarpGroupF32QueryGradient() {}

    /** Work-items of a group: those that compute, and a warp group that copies. */
    public static int groupSize(int blockQ) {
        return WarpGroups.groupSize(blockQ);
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return 2 * SplitTiles.tileBytes(blockQ, headDim)
                + STAGES * 2 * SplitTiles.tileBytes(blockK, headDim)
                + BARRIER_BYTES;
    }

    /** Registers of a lane that computes: of the rest, addresses of copies want many. */
    private static int computingRegisters(int groups) {
        return groups == 2 ? 208 : 168;
    }

    /**
     * Computes one tile of dQ; see the class for arrays, grid and memory.
     *
     * @param blocks {@link WarpGroupKeyValueGradients#blocks}
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI} and {@code KEY_LENGTHS} of {@link org.tornadoattention.kernel.parts.Features},
     *     added
     */
    public static void queryGradient(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray outputGradient,
            IntArray queryParts,
            IntArray keyParts,
            IntArray valueParts,
            IntArray outputGradientParts,
            FloatArray scales,
            FloatArray rowTerms,
            FloatArray queryGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            @Constant int headDim,
            @Constant int blocks,
            @Constant int windowLeft,
            @Constant int windowRight,
            float scale,
            @Constant float softcap,
            @Constant int features) {
        int blockQ = blocks & 0xfff;
        int blockK = blocks >> 12 & 0xfff;
        int groups = blockQ / 64;
        int items = WarpGroup.LANES * groups;
        Warp.requireGroupSize(items + WarpGroup.LANES);
        WarpGroup.requireMultiprocessor();
        int paddedDim = (headDim + 15) / 16 * 16;

        // One array: Q, dO, then the stages of K and V.
        int atGradient = SplitTiles.tileBytes(blockQ, headDim);
        int tileBytes = SplitTiles.tileBytes(blockK, headDim);
        int atStages = 2 * atGradient;
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 128 * (blockQ + STAGES * blockK));

        // Barriers: a stage is full, is free.
        int full = 0;
        int free = full + WarpBarrier.INTS * STAGES;
        int[] barriers = context.allocateIntLocalArray(BARRIERS * WarpBarrier.INTS);
        int item = context.localIdx;
        if (item == 0) {
            for (int stage = 0; stage < STAGES; stage++) {
                WarpBarrier.initForCopies(barriers, full + 2 * stage, WARPS);
                WarpBarrier.init(barriers, free + 2 * stage, WARPS * groups);
            }
        }
        context.localBarrier();

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int kvHead = Placement.keyValueHead(batchHead, heads, kvHeads);
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
        int steps = Window.tiles(firstKey, lastKey, j0, blockK);

        if (item >= items) {
            // The group that copies: Q_i and dO_i, then K_j and V_j as stages become free.
            if (groups > 1) {
                WarpGroup.giveRegisters(copyingRegisters(groups, computingRegisters(groups)));
            }
            int own = item - items;
            int firstRow = batchHead * seqQ + i0;
            SplitTiles.load(tile, 0, blockQ, queryParts, firstRow, queries, headDim, own, WarpGroup.LANES);
            SplitTiles.load(
                    tile, atGradient, blockQ, outputGradientParts, firstRow, queries, headDim, own, WarpGroup.LANES);
            for (int t = 0; t < steps; t++) {
                int stage = t % STAGES;
                int j = j0 + t * blockK;
                int first = kvHead * seqK + j;
                int at = atStages + stage * 2 * tileBytes;
                if (t >= STAGES) {
                    WarpBarrier.await(barriers, free + 2 * stage, t / STAGES - 1);
                }
                SplitTiles.load(tile, at, blockK, keyParts, first, length - j, headDim, own, WarpGroup.LANES);
                SplitTiles.load(
                        tile, at + tileBytes, blockK, valueParts, first, length - j, headDim, own, WarpGroup.LANES);
                WarpBarrier.arriveWithCopies(barriers, full + 2 * stage);
            }
        } else {
            if (groups > 1) {
                WarpGroup.takeRegisters(computingRegisters(groups));
            }

            // This lane's rows and columns of an accumulator, and its warp group's rows of Q and dO.
            int lane = item % 32;
            int row = item / 32 * 16 + lane / 4;
            int column = lane % 4 * 2;
            int rows = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;

            // The scales: of this warp group's queries, of the first keys and values.
            int blocksOfHead = SplitTiles.blocks(seqQ);
            int blocksOfKeys = SplitTiles.blocks(seqK);
            int ofQueries = queryParts.getSize() / paddedDim / seqQ * blocksOfHead;
            int ofAllKeys = keyParts.getSize() / paddedDim / seqK * blocksOfKeys;
            int ofKeys = ofQueries + kvHead * blocksOfKeys;
            int ofValues = ofKeys + ofAllKeys;
            int own = TornadoMath.min(i0 + item / WarpGroup.LANES * 64, seqQ - 1) / SplitTiles.BLOCK;
            float queryScale = scales.get(batchHead * blocksOfHead + own);
            float gradientScale = scales.get(ofQueries + 2 * ofAllKeys + batchHead * blocksOfHead + own);

            float[] s = new float[blockK / 2];
            float[] dp = new float[blockK / 2];
            float[] capSlope = new float[blockK / 2];
            int[] ds = new int[blockK / 4];
            int[] rest = new int[blockK / 4];
            float[] dq = new float[(headDim + 15) / 16 * 16 / 2];
            float[] part = new float[(headDim + 15) / 16 * 16 / 2];
            float[] lse = new float[2];
            float[] d = new float[2];
            for (int at = 0; at < blockK / 2; at++) {
                s[at] = 0f;
                dp[at] = 0f;
            }
            for (int at = 0; at < paddedDim / 2; at++) {
                dq[at] = 0f;
                part[at] = 0f;
            }
            for (int r = 0; r < 2; r++) {
                int i = TornadoMath.min(i0 + row + 8 * r, seqQ - 1);
                lse[r] = RowTerms.logSumExp(rowTerms, batchHead * seqQ + i);
                d[r] = RowTerms.d(rowTerms, batchHead * seqQ + i);
            }

            for (int t = 0; t < steps; t++) {
                int j = j0 + t * blockK;
                int stage = t % STAGES;
                int atK = atStages + stage * 2 * tileBytes;

                // Start S = Q_i K_j^T and dP = dO_i V_j^T.
                WarpBarrier.await(barriers, full + 2 * stage, t / STAGES);
                WarpGroup.fenceLocalMemory();
                WarpGroup.fence();
                SplitTiles.startProduct(s, tile, rows, blockQ, atK, blockK, headDim);
                WarpGroup.commit();
                SplitTiles.startProduct(dp, tile, atGradient + rows, blockQ, atK + tileBytes, blockK, headDim);
                WarpGroup.commit();
                float keyScale = scales.get(ofKeys + j / SplitTiles.BLOCK);
                float unit = scale * (queryScale * keyScale);
                float ofProducts = gradientScale * scales.get(ofValues + j / SplitTiles.BLOCK);

                // When S is there: P = e^(S - L).
                WarpGroup.await(1, s, blockK / 2);
                WarpScores.derivatives(s, capSlope, blockK, unit, softcap);
                // spotless:off: calls in rows
                NaturalScores.scores(
                        s, blockK, i0 + row + offset, j, column, length, everyLeft, everyRight, windowLeft, windowRight,
                        unit, softcap, slope, features);
                // spotless:on
                for (int at = 0; at < blockK / 2; at++) {
                    s[at] = NaturalScores.exp(s[at] - lse[at / 2 % 2]);
                }

                // When dP is: dS = P (dP - D), and dQ = dQ + dS K_j.
                WarpGroup.await(0, dp, blockK / 2);
                float largest = 0f;
                for (int at = 0; at < blockK / 2; at++) {
                    s[at] *= dp[at] * ofProducts - d[at / 2 % 2];
                    if (softcap > 0f) {
                        s[at] *= capSlope[at];
                    }
                    largest = TornadoMath.max(largest, SplitTiles.finiteMagnitude(s[at]));
                }
                int exponent = SplitTiles.exponent(SplitTiles.largestOfWarp(largest));
                float ofPart = SplitTiles.power(exponent) * keyScale;
                SplitTiles.split(s, ds, rest, blockK, SplitTiles.power(0 - exponent));
                WarpGroup.fence();
                SplitTiles.startSum(part, paddedDim, ds, rest, tile, atK, blockK, headDim);
                WarpGroup.commit();
                WarpGroup.await(0, part, (headDim + 15) / 16 * 16 / 2);
                SplitTiles.add(dq, part, 0, paddedDim, ofPart);
                WarpBarrier.arrive(barriers, free + 2 * stage);
            }

            for (int r = 0; r < 2; r++) {
                int i = i0 + row + 8 * r;
                if (i < seqQ) {
                    WarpTiles.store(queryGradient, (batchHead * seqQ + i) * headDim, headDim, dq, r, column, scale);
                }
            }

            // Rows that are not finite, once more from the keys that they see.
            if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                float[] mended = new float[(headDim + 15) / 16 * 16 / 2];
                // spotless:off: calls in rows
                int unfinished = Mending.rows(dq, 2, paddedDim, i0 + row, seqQ);
                for (int r = 0; unfinished >> r != 0; r++) {
                    int i = i0 + row + 8 * r;
                    int mends = unfinished >> r & 1;
                    if (mends != 0) {
                        int ofRow = batchHead * seqQ + i;
                        Mending.queryGradient(
                                mended, query, key, value, outputGradient, rowTerms, ofRow, kvHead * seqK * headDim,
                                keyLengths, 0, headDim, 0, headDim, column, batchHead, batch, head, i, i + offset,
                                Window.firstKey(i + offset, windowLeft), Window.lastKey(i + offset, length, windowRight),
                                scale, softcap, slope, features);
                        WarpTiles.store(queryGradient, ofRow * headDim, headDim, mended, 0, column, scale);
                    }
                }
                // spotless:on
            }
        }
    }
}
