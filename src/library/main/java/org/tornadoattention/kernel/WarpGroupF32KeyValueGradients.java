package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.WarpGroups.BARRIER_BYTES;
import static org.tornadoattention.kernel.parts.WarpGroups.WARPS;
import static org.tornadoattention.kernel.parts.WarpGroups.computingRegisters;
import static org.tornadoattention.kernel.parts.WarpGroups.copyingRegisters;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.NaturalScores;
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
 * The gradients of attention with respect to keys and values for F32 on Hopper's asynchronous tensor cores:
 * {@link WarpGroupKeyValueGradients}' order, with three products of 16-bit numbers for one of F32, as in
 * {@link WarpGroupF32FlashAttention}. {@link WarpGroupF32QueryGradient} is the other half.
 *
 * <p>dS has a scale for each warp's keys of a tile. P dO and dS Q are computed apart, 64 columns at a time, and added
 * to dV and dK.
 *
 * <p><b>Arrays.</b> query, key, value and outputGradient in F32, which only rows that are computed once more read
 * ({@link Mending}); their parts as {@link SplitRows} writes them, scales those of Q, K, V and dO one behind the other;
 * the rest as {@link TiledKeyValueGradients}.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * kvHeads * ceil(seqK / blockK)} groups of {@link #groupSize} work-items;
 * {@code blockK} is a multiple of 64, {@code blockQ} 16, 32 or 64.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of K, one of V, three of Q and dO, barriers. <b>Device.</b>
 * As {@link WarpGroupFlashAttention}. Head dimensions up to 128.
 */
public final class WarpGroupF32KeyValueGradients {

    private static final int STAGES = 3;
    private static final int BARRIERS = 8;

    /** Columns that are summed apart at a time. */
    private static final int COLUMNS = 64;

    private WarpGroupF32KeyValueGradients() {}

    /** Work-items of a group: those that compute, and a warp group that copies. */
    public static int groupSize(int blockK) {
        return WarpGroups.groupSize(blockK);
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return 2 * SplitTiles.tileBytes(blockK, headDim)
                + STAGES * (2 * SplitTiles.tileBytes(blockQ, headDim) + 8 * blockQ)
                + BARRIER_BYTES;
    }

    /**
     * Computes one tile of dK and dV; see the class for arrays, grid and memory.
     *
     * @param blocks {@link WarpGroupKeyValueGradients#blocks}
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI} and {@code KEY_LENGTHS} of {@link org.tornadoattention.kernel.parts.Features},
     *     added
     */
    public static void keyValueGradients(
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
            FloatArray keyGradient,
            FloatArray valueGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
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
        int groups = blockK / 64;
        int items = WarpGroup.LANES * groups;
        Warp.requireGroupSize(items + WarpGroup.LANES);
        WarpGroup.requireMultiprocessor();
        int paddedDim = (headDim + 15) / 16 * 16;

        // One array: K, V, then the stages of Q and dO, then those of the rows' L and D.
        int atV = SplitTiles.tileBytes(blockK, headDim);
        int tileBytes = SplitTiles.tileBytes(blockQ, headDim);
        int atStages = 2 * atV;
        int atTerms = atStages + STAGES * 2 * tileBytes;
        int[] tile = context.allocateIntLocalArray(
                (headDim + 63) / 64 * 128 * (blockK + STAGES * blockQ) + STAGES * 2 * blockQ);

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

        // Which tile of keys: the first tiles first, since under a causal mask the most queries see them.
        int tilesK = (seqK + blockK - 1) / blockK;
        int keyValueHead = context.groupIdx / tilesK;
        int j0 = context.groupIdx % tilesK * blockK;
        int group =
                queryParts.getSize() / seqQ / (keyParts.getSize() / seqK); // query heads that read this key/value head
        int firstHead = keyValueHead * group; // batch * heads + the first of them
        int batch = firstHead / heads;
        int keyRow = keyValueHead * seqK + j0;
        int length = Window.length(keyLengths, batch, seqK, features);

        // Query i stands at key position i + offset (bottom-right alignment). Queries firstQuery ... lastQuery see keys
        // of the tile; queries everyFirst ... everyLast see all of them.
        int offset = length - seqQ;
        int firstQuery = Window.firstQuery(j0, offset, windowRight);
        int lastQuery = Window.lastQuery(j0 + blockK - 1, j0, offset, seqQ, length, windowLeft);
        int everyFirst = Window.everyFirst(j0 + blockK - 1, offset, windowRight);
        int everyLast = Window.everyLast(j0, offset, seqQ, windowLeft);
        int i0 = firstQuery / blockQ * blockQ;
        int tilesQ = lastQuery < firstQuery ? 0 : (lastQuery - i0) / blockQ + 1;
        int steps = group * tilesQ;

        if (item >= items) {
            // The group that copies: K_j and V_j, then Q_i and dO_i as stages become free.
            if (groups > 1) {
                WarpGroup.giveRegisters(copyingRegisters(groups, computingRegisters(groups)));
            }
            int own = item - items;
            SplitTiles.load(tile, 0, blockK, keyParts, keyRow, length - j0, headDim, own, WarpGroup.LANES);
            SplitTiles.load(tile, atV, blockK, valueParts, keyRow, length - j0, headDim, own, WarpGroup.LANES);
            for (int t = 0; t < steps; t++) {
                int stage = t % STAGES;
                int i = i0 + t % tilesQ * blockQ;
                int first = (firstHead + t / tilesQ) * seqQ + i;
                int at = atStages + stage * 2 * tileBytes;
                if (t >= STAGES) {
                    WarpBarrier.await(barriers, free + 2 * stage, t / STAGES - 1);
                }
                SplitTiles.load(tile, at, blockQ, queryParts, first, seqQ - i, headDim, own, WarpGroup.LANES);
                SplitTiles.load(
                        tile,
                        at + tileBytes,
                        blockQ,
                        outputGradientParts,
                        first,
                        seqQ - i,
                        headDim,
                        own,
                        WarpGroup.LANES);
                RowTerms.startCopy(tile, atTerms + stage * 8 * blockQ, blockQ, rowTerms, first, seqQ - i, seqQ, own);
                WarpBarrier.arriveWithCopies(barriers, full + 2 * stage);
            }
        } else {
            if (groups > 1) {
                WarpGroup.takeRegisters(computingRegisters(groups));
            }

            // This lane's rows and columns of an accumulator, and its warp group's rows of K and V.
            int lane = item % 32;
            int row = item / 32 * 16 + lane / 4;
            int column = lane % 4 * 2;
            int rows = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;

            // The scales: of this warp group's keys and values, of all queries and gradients.
            int blocksOfHead = SplitTiles.blocks(seqQ);
            int blocksOfKeys = SplitTiles.blocks(seqK);
            int ofQueries = queryParts.getSize() / paddedDim / seqQ * blocksOfHead;
            int ofAllKeys = keyParts.getSize() / paddedDim / seqK * blocksOfKeys;
            int ofGradients = ofQueries + 2 * ofAllKeys;
            int own = TornadoMath.min(j0 + item / WarpGroup.LANES * 64, seqK - 1) / SplitTiles.BLOCK;
            float keyScale = scales.get(ofQueries + keyValueHead * blocksOfKeys + own);
            float valueScale = scales.get(ofQueries + ofAllKeys + keyValueHead * blocksOfKeys + own);

            float[] s = new float[blockQ / 2];
            float[] dp = new float[blockQ / 2];
            float[] capSlope = new float[blockQ / 2];
            float[] terms = new float[4];
            int[] p = new int[blockQ / 4];
            int[] restOfP = new int[blockQ / 4];
            int[] ds = new int[blockQ / 4];
            int[] restOfDs = new int[blockQ / 4];
            float[] part = new float[COLUMNS / 2];
            float[] dk = new float[(headDim + 15) / 16 * 16 / 2];
            float[] dv = new float[(headDim + 15) / 16 * 16 / 2];
            for (int at = 0; at < blockQ / 2; at++) {
                s[at] = 0f;
                dp[at] = 0f;
            }
            for (int at = 0; at < COLUMNS / 2; at++) {
                part[at] = 0f;
            }
            for (int at = 0; at < paddedDim / 2; at++) {
                dk[at] = 0f;
                dv[at] = 0f;
            }

            for (int t = 0; t < steps; t++) {
                int i = i0 + t % tilesQ * blockQ;
                int head = firstHead + t / tilesQ;
                int stage = t % STAGES;
                int atQ = atStages + stage * 2 * tileBytes;
                int atLane = atTerms + stage * 8 * blockQ + 8 * column;

                // Start S = K_j Q_i^T and dP = V_j dO_i^T.
                WarpBarrier.await(barriers, full + 2 * stage, t / STAGES);
                WarpGroup.fenceLocalMemory();
                WarpGroup.fence();
                SplitTiles.startTransposed(s, tile, rows, blockK, atQ, blockQ, headDim);
                WarpGroup.commit();
                SplitTiles.startTransposed(dp, tile, atV + rows, blockK, atQ + tileBytes, blockQ, headDim);
                WarpGroup.commit();
                float slope = HeadTerms.slope(headTerms, head % heads, features);
                float queryScale = scales.get(head * blocksOfHead + i / SplitTiles.BLOCK);
                float gradientScale = scales.get(ofGradients + head * blocksOfHead + i / SplitTiles.BLOCK);
                float unit = scale * (queryScale * keyScale);
                float ofProducts = valueScale * gradientScale;

                // When S is there: P = e^(S - L), 0 of keys past the last of their sequence.
                WarpGroup.await(1, s, blockQ / 2);
                WarpScores.derivatives(s, capSlope, blockQ, unit, softcap);
                // spotless:off: calls in rows
                NaturalScores.scores(
                        s, blockQ, j0 + row - offset, i, column, seqQ, everyFirst, everyLast, windowRight, windowLeft,
                        unit, softcap, slope, features);
                // spotless:on
                for (int n = 0; n < blockQ / 8; n++) {
                    Warp.elements(terms, 0, tile, atLane + 64 * n);
                    for (int e = 0; e < 2; e++) {
                        for (int r = 0; r < 2; r++) {
                            float p0 = NaturalScores.exp(s[4 * n + 2 * r + e] - terms[2 * e]);
                            s[4 * n + 2 * r + e] = j0 + row + 8 * r < length ? p0 : 0f;
                        }
                    }
                }
                SplitTiles.split(s, p, restOfP, blockQ, SplitTiles.OF_ONE);

                // dV = dV + P dO_i; under its first product, dS = P (dP - D).
                for (int x = 0; x < (paddedDim + COLUMNS - 1) / COLUMNS; x++) {
                    int columns = TornadoMath.min(COLUMNS, paddedDim - COLUMNS * x);
                    int block = atQ + tileBytes + x * blockQ * WarpGroup.ROW_BYTES;
                    WarpGroup.fence();
                    SplitTiles.startSum(part, columns, p, restOfP, tile, block, blockQ, headDim);
                    WarpGroup.commit();
                    if (x == 0) {
                        WarpGroup.await(1, dp, blockQ / 2);
                        for (int n = 0; n < blockQ / 8; n++) {
                            Warp.elements(terms, 0, tile, atLane + 64 * n);
                            for (int e = 0; e < 2; e++) {
                                for (int r = 0; r < 2; r++) {
                                    int at = 4 * n + 2 * r + e;
                                    s[at] *= dp[at] * ofProducts - terms[2 * e + 1];
                                    if (softcap > 0f) {
                                        s[at] *= capSlope[at];
                                    }
                                }
                            }
                        }
                    }
                    WarpGroup.await(0, part, COLUMNS / 2);
                    SplitTiles.add(dv, part, COLUMNS * x, columns, gradientScale / SplitTiles.OF_ONE);
                }

                // dK = dK + dS Q_i.
                float largest = 0f;
                for (int at = 0; at < blockQ / 2; at++) {
                    largest = TornadoMath.max(largest, SplitTiles.finiteMagnitude(s[at]));
                }
                int exponent = SplitTiles.exponent(SplitTiles.largestOfWarp(largest));
                float ofPart = SplitTiles.power(exponent) * queryScale;
                SplitTiles.split(s, ds, restOfDs, blockQ, SplitTiles.power(0 - exponent));
                for (int x = 0; x < (paddedDim + COLUMNS - 1) / COLUMNS; x++) {
                    int columns = TornadoMath.min(COLUMNS, paddedDim - COLUMNS * x);
                    WarpGroup.fence();
                    SplitTiles.startSum(
                            part, columns, ds, restOfDs, tile, atQ + x * blockQ * WarpGroup.ROW_BYTES, blockQ, headDim);
                    WarpGroup.commit();
                    WarpGroup.await(0, part, COLUMNS / 2);
                    SplitTiles.add(dk, part, COLUMNS * x, columns, ofPart);
                }
                WarpBarrier.arrive(barriers, free + 2 * stage);
            }

            // Keys past the last of their sequence have gradients of 0.
            for (int r = 0; r < 2; r++) {
                int j = j0 + row + 8 * r;
                int first = (keyRow + row + 8 * r) * headDim;
                if (j < seqK) {
                    WarpScores.clearRow(dv, r, paddedDim, j < length);
                    WarpTiles.store(valueGradient, first, headDim, dv, r, column, 1f);
                    WarpScores.clearRow(dk, r, paddedDim, j < length);
                    WarpTiles.store(keyGradient, first, headDim, dk, r, column, scale);
                }
            }

            // Keys whose gradients are not finite, once more from the queries that see them.
            if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                float[] mendedKeys = new float[(headDim + 15) / 16 * 16 / 2];
                float[] mendedValues = new float[(headDim + 15) / 16 * 16 / 2];
                // spotless:off: calls in rows
                int unfinished = Mending.rows(dk, 2, paddedDim, j0 + row, length)
                        | Mending.rows(dv, 2, paddedDim, j0 + row, length);
                for (int r = 0; unfinished >> r != 0; r++) {
                    int j = j0 + row + 8 * r;
                    int mends = unfinished >> r & 1;
                    if (mends != 0) {
                        int first = (keyRow + row + 8 * r) * headDim;
                        Mending.keyValueGradients(
                                mendedKeys, mendedValues, query, key, value, outputGradient, rowTerms, first, headTerms,
                                keyLengths, 0, headDim, column, firstHead, group, heads, j, seqQ, offset,
                                Window.firstQuery(j, offset, windowRight),
                                Window.lastQuery(j, j, offset, seqQ, length, windowLeft), scale, softcap, features);
                        WarpTiles.store(valueGradient, first, headDim, mendedValues, 0, column, 1f);
                        WarpTiles.store(keyGradient, first, headDim, mendedKeys, 0, column, scale);
                    }
                }
                // spotless:on
            }
        }
    }
}
