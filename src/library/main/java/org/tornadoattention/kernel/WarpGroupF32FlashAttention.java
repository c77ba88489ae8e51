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
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
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
 * Attention's forward pass for F32 on Hopper's asynchronous tensor cores: {@link WarpGroupFlashAttention}'s order, with
 * three products of 16-bit numbers for one of F32, on what {@link SplitRows} made of Q, K and V.
 *
 * <p>Source: Ootomo and Yokota, <i>Recovering single precision accuracy from Tensor Cores</i> (2022), with scales,
 * since F16's exponents do not reach far; Shah et al., <i>FlashAttention-3</i> (2024). Tensor cores cut sums off
 * instead of rounding them, always in the same direction: P V_j is computed apart for each tile and added to O here.
 *
 * <p><b>Arrays.</b> query, key and value in F32, which only rows that are computed once more read ({@link Mending});
 * queryParts, keyParts and valueParts as {@link SplitRows} writes them, scales those of Q, K and V one behind the
 * other; the rest as {@link TiledFlashAttention}.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@link #groupSize} work-items;
 * {@code blockQ} is a multiple of 64, {@code blockK} 16, 32 or 64.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of Q, two of K and V, barriers.
 *
 * <p><b>Not done here.</b> Dropout. Where a mask hides nothing, ∞ in an input gives NaN.
 *
 * <p><b>Device.</b> As {@link WarpGroupFlashAttention}. Head dimensions up to 128.
 */
public final class WarpGroupF32FlashAttention {

    /** Tiles of K and of V that local memory holds at a time. */
    private static final int PLACES = 2;

    private static final int BARRIERS = 16;

    private WarpGroupF32FlashAttention() {}

    /** Work-items of a group: those that compute, and a warp group that copies. */
    public static int groupSize(int blockQ) {
        return WarpGroups.groupSize(blockQ);
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return SplitTiles.tileBytes(blockQ, headDim)
                + 2 * PLACES * SplitTiles.tileBytes(blockK, headDim)
                + BARRIER_BYTES;
    }

    // spotless:off: parameters and calls in rows
    /** Copies K_t and V_t-1 as places become free. */
    @Phase
    private static void copyTiles(
            int[] tile, int[] barriers, IntArray keyParts, IntArray valueParts, int atK, int atV, int tileBytes,
            int fullK, int freeK, int fullV, int freeV, int tiles, int j0, int firstRow, int length, int blockK,
            int headDim, int lane) {
        for (int t = 0; t <= tiles; t++) {
            int j = j0 + t * blockK;
            if (t < tiles) {
                int place = t % PLACES;
                if (t >= PLACES) {
                    WarpBarrier.await(barriers, freeK + 2 * place, t / PLACES - 1);
                }
                SplitTiles.load(
                        tile, atK + place * tileBytes, blockK, keyParts, firstRow + j, length - j, headDim, lane,
                        WarpGroup.LANES);
                WarpBarrier.arriveWithCopies(barriers, fullK + 2 * place);
            }
            if (t > 0) {
                int place = (t - 1) % PLACES;
                if (t > PLACES) {
                    WarpBarrier.await(barriers, freeV + 2 * place, (t - 1) / PLACES - 1);
                }
                int before = j - blockK;
                SplitTiles.load(
                        tile, atV + place * tileBytes, blockK, valueParts, firstRow + before, length - before, headDim,
                        lane, WarpGroup.LANES);
                WarpBarrier.arriveWithCopies(barriers, fullV + 2 * place);
            }
        }
    }
    // spotless:on

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI} and {@code KEY_LENGTHS} of {@link org.tornadoattention.kernel.parts.Features},
     *     added
     */
    public static void attention(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            IntArray queryParts,
            IntArray keyParts,
            IntArray valueParts,
            FloatArray scales,
            FloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            @Constant int headDim,
            @Constant int blockQ,
            @Constant int blockK,
            @Constant int windowLeft,
            @Constant int windowRight,
            float scale,
            @Constant float softcap,
            @Constant int features) {
        int groups = blockQ / 64;
        int items = WarpGroup.LANES * groups;
        Warp.requireGroupSize(items + WarpGroup.LANES);
        int paddedDim = (headDim + 15) / 16 * 16;

        // One array: Q, the places of K, those of V.
        int tileBytes = SplitTiles.tileBytes(blockK, headDim);
        int atK = SplitTiles.tileBytes(blockQ, headDim);
        int atV = atK + PLACES * tileBytes;
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 64 * (blockQ + 2 * PLACES * blockK));

        // Barriers: Q is there; a place of K, of V is full, is free.
        int fullQ = 0;
        int fullK = WarpBarrier.INTS;
        int freeK = fullK + WarpBarrier.INTS * PLACES;
        int fullV = freeK + WarpBarrier.INTS * PLACES;
        int freeV = fullV + WarpBarrier.INTS * PLACES;
        int[] barriers = context.allocateIntLocalArray(BARRIERS * WarpBarrier.INTS);
        int item = context.localIdx;
        if (item == 0) {
            WarpBarrier.initForCopies(barriers, fullQ, WARPS);
            for (int place = 0; place < PLACES; place++) {
                WarpBarrier.initForCopies(barriers, fullK + 2 * place, WARPS);
                WarpBarrier.init(barriers, freeK + 2 * place, WARPS * groups);
                WarpBarrier.initForCopies(barriers, fullV + 2 * place, WARPS);
                WarpBarrier.init(barriers, freeV + 2 * place, WARPS * groups);
            }
        }
        context.localBarrier();

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int kvHead = Placement.keyValueHead(batchHead, heads, kvHeads);
        int rows = TornadoMath.min(blockQ, seqQ - i0);
        int length = Window.length(keyLengths, batch, seqK, features);

        // Query i stands at key position i + offset (bottom-right alignment). The tile sees keys firstKey ... lastKey.
        int offset = length - seqQ;
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
        int j0 = firstKey / blockK * blockK;
        int tiles = Window.tiles(firstKey, lastKey, j0, blockK);

        if (item >= items) {
            // The group that copies: Q_i, then K_t and V_t-1 as places become free.
            if (groups > 1) {
                WarpGroup.giveRegisters(copyingRegisters(groups, computingRegisters(groups)));
            }
            int lane = item - items;
            SplitTiles.load(tile, 0, blockQ, queryParts, batchHead * seqQ + i0, rows, headDim, lane, WarpGroup.LANES);
            WarpBarrier.arriveWithCopies(barriers, fullQ);
            // spotless:off: a call in rows
            copyTiles(
                    tile, barriers, keyParts, valueParts, atK, atV, tileBytes, fullK, freeK, fullV, freeV, tiles, j0,
                    kvHead * seqK, length, blockK, headDim, lane);
            // spotless:on
        } else {
            // A group that computes: this lane's rows and columns of an accumulator, and its group's rows of Q.
            if (groups > 1) {
                WarpGroup.takeRegisters(computingRegisters(groups));
            }
            int group = Warp.uniform(item / WarpGroup.LANES);
            int lane = item % 32;
            int row = item / 32 * 16 + lane / 4;
            int column = lane % 4 * 2;
            int atQ = group * 64 * WarpGroup.ROW_BYTES;
            float slope = HeadTerms.slope(headTerms, head, features);

            // The scales: of these queries, of the first tile of keys, of the first of values.
            int blocksOfHead = SplitTiles.blocks(seqQ);
            int blocksOfKeys = SplitTiles.blocks(seqK);
            int ofKeys = queryParts.getSize() / paddedDim / seqQ * blocksOfHead;
            int ofValues = ofKeys + keyParts.getSize() / paddedDim / seqK * blocksOfKeys + kvHead * blocksOfKeys;
            ofKeys += kvHead * blocksOfKeys;
            float queryScale = 1f;
            if (i0 + 64 * group < seqQ) {
                queryScale = scales.get(batchHead * blocksOfHead + (i0 + 64 * group) / SplitTiles.BLOCK);
            }

            // Of the tiles, its queries see those from ... to - 1, and each of its queries the keys everyLeft ...
            // everyRight.
            int position = i0 + 64 * group + offset;
            int lastTile = rows > 64 * group ? tiles : 0;
            int from = Window.firstTile(position, j0, tiles, blockK, windowLeft);
            int to = Window.endTile(position + 63, j0, lastTile, blockK, windowRight);
            int everyLeft = Window.everyLeft(position + 63, windowLeft);
            int everyRight = Window.everyRight(position, length, windowRight);

            // m = -inf, l = 0, O = 0.
            float[] s = new float[blockK / 2];
            int[] p = new int[blockK / 4];
            int[] rest = new int[blockK / 4];
            float[] o = new float[(headDim + 15) / 16 * 16 / 2];
            float[] part = new float[(headDim + 15) / 16 * 16 / 2];
            float[] m = new float[2];
            float[] l = new float[2];
            float[] correction = new float[2];
            float[] before = new float[2];
            for (int at = 0; at < blockK / 2; at++) {
                s[at] = 0f;
            }
            for (int at = 0; at < paddedDim / 2; at++) {
                o[at] = 0f;
                part[at] = 0f;
            }
            for (int r = 0; r < 2; r++) {
                m[r] = Score.NO_SCORE;
                l[r] = 0f;
                before[r] = 1f;
            }

            for (int t = 0; t < from; t++) {
                leaveOut(barriers, fullK, freeK, fullV, freeV, t);
            }
            if (from < to) {
                // S = Q_i K_j^T and P for the first j
                int place = from % PLACES;
                WarpBarrier.await(barriers, fullQ, 0);
                WarpBarrier.await(barriers, fullK + 2 * place, from / PLACES);
                WarpGroup.fenceLocalMemory();
                WarpGroup.fence();
                SplitTiles.startProduct(s, tile, atQ, blockQ, atK + place * tileBytes, blockK, headDim);
                WarpGroup.commit();
                WarpGroup.await(0, s, blockK / 2);
                WarpBarrier.arrive(barriers, freeK + 2 * place);
                int j = j0 + from * blockK;
                float unit = scale * (queryScale * scales.get(ofKeys + j / SplitTiles.BLOCK));
                // spotless:off: calls in rows
                NaturalScores.scores(
                        s, blockK, i0 + row + offset, j, column, length, everyLeft, everyRight, windowLeft,
                        windowRight, unit, softcap, slope, features);
                NaturalScores.softmax(s, m, l, before, blockK);
                // spotless:on
                SplitTiles.split(s, p, rest, blockK, SplitTiles.OF_ONE);

                for (int t = from + 1; t < to; t++) {
                    j = j0 + t * blockK;
                    place = t % PLACES;
                    int last = (t - 1) % PLACES;

                    // Start S = Q_i K_j^T and P V_j-1.
                    WarpBarrier.await(barriers, fullK + 2 * place, t / PLACES);
                    WarpGroup.fenceLocalMemory();
                    WarpGroup.fence();
                    SplitTiles.startProduct(s, tile, atQ, blockQ, atK + place * tileBytes, blockK, headDim);
                    WarpGroup.commit();
                    WarpBarrier.await(barriers, fullV + 2 * last, (t - 1) / PLACES);
                    WarpGroup.fenceLocalMemory();
                    WarpGroup.fence();
                    SplitTiles.startSum(part, paddedDim, p, rest, tile, atV + last * tileBytes, blockK, headDim);
                    WarpGroup.commit();
                    unit = scale * (queryScale * scales.get(ofKeys + j / SplitTiles.BLOCK));
                    float ofPart = scales.get(ofValues + (j - blockK) / SplitTiles.BLOCK) / SplitTiles.OF_ONE;

                    // When S is there: P = e^(S - m) and l; when P V_j-1 is: O = correction * O + P V_j-1.
                    WarpGroup.await(1, s, blockK / 2);
                    WarpBarrier.arrive(barriers, freeK + 2 * place);
                    // spotless:off: calls in rows
                    NaturalScores.scores(
                            s, blockK, i0 + row + offset, j, column, length, everyLeft, everyRight, windowLeft,
                            windowRight, unit, softcap, slope, features);
                    NaturalScores.softmax(s, m, l, correction, blockK);
                    // spotless:on
                    WarpGroup.await(0, part, (headDim + 15) / 16 * 16 / 2);
                    WarpBarrier.arrive(barriers, freeV + 2 * last);
                    WarpScores.rescale(o, before, 1, paddedDim);
                    SplitTiles.add(o, part, 0, paddedDim, ofPart);
                    before[0] = correction[0];
                    before[1] = correction[1];
                    SplitTiles.split(s, p, rest, blockK, SplitTiles.OF_ONE);
                }

                // O = correction * O + P V_j for the last j
                int last = (to - 1) % PLACES;
                WarpBarrier.await(barriers, fullV + 2 * last, (to - 1) / PLACES);
                WarpGroup.fenceLocalMemory();
                WarpGroup.fence();
                SplitTiles.startSum(part, paddedDim, p, rest, tile, atV + last * tileBytes, blockK, headDim);
                WarpGroup.commit();
                WarpGroup.await(0, part, (headDim + 15) / 16 * 16 / 2);
                WarpBarrier.arrive(barriers, freeV + 2 * last);
                float ofPart = scales.get(ofValues + (j0 + (to - 1) * blockK) / SplitTiles.BLOCK) / SplitTiles.OF_ONE;
                WarpScores.rescale(o, before, 1, paddedDim);
                SplitTiles.add(o, part, 0, paddedDim, ofPart);
            }
            for (int t = TornadoMath.max(from, to); t < tiles; t++) {
                leaveOut(barriers, fullK, freeK, fullV, freeV, t);
            }

            // O = O / l, L = m + ln l; a query that sees no key gets 0 and -infinity.
            for (int r = 0; r < 2; r++) {
                float sum = RowEnd.sumOfLanes(l[r]);
                int i = i0 + row + 8 * r;
                boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
                if (i < seqQ) {
                    float inverse = RowEnd.inverseOfWarp(masked, m[r], sum, headTerms, head, features);
                    WarpTiles.store(output, (batchHead * seqQ + i) * headDim, headDim, o, r, column, inverse);
                    if (lane % 4 == 0) {
                        float lse = masked ? RowEnd.negativeInfinity() : m[r] + TornadoMath.log(sum);
                        Warp.store(logSumExp, batchHead * seqQ + i, lse);
                    }
                }
                l[r] = sum;
            }

            // Rows that are not finite, once more from the keys that they see.
            if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                float[] mended = new float[(headDim + 15) / 16 * 16 / 2];
                // spotless:off: calls in rows
                int unfinished = Mending.rowsOfOutput(o, 2, paddedDim, i0 + row, seqQ);
                for (int r = 0; unfinished >> r != 0; r++) {
                    float ofRow = Mending.pick(m, r, 2) + TornadoMath.log(Mending.pick(l, r, 2));
                    int mends = ofRow == ofRow ? unfinished >> r & 1 : 0;
                    if (mends != 0) {
                        int i = i0 + row + 8 * r;
                        int at = (batchHead * seqQ + i) * headDim;
                        int last = Window.lastKey(i + offset, length, windowRight);
                        Mending.output(
                                mended, ofRow, query, at, key, value, kvHead * seqK * headDim, keyLengths, 0, 0, 0,
                                headDim, 0, 0, column, batchHead, batch, head, kvHead, i,
                                i + offset, Window.firstKey(i + offset, windowLeft), last, scale, softcap, slope,
                                features);
                        WarpTiles.store(output, at, headDim, mended, 0, column, 1f);
                    }
                }
                // spotless:on
            }
        }
    }

    /** Leaves the tiles K_t and V_t to others. */
    private static void leaveOut(int[] barriers, int fullK, int freeK, int fullV, int freeV, int t) {
        WarpBarrier.await(barriers, fullK + t % PLACES * 2, t / PLACES);
        WarpBarrier.arrive(barriers, freeK + t % PLACES * 2);
        WarpBarrier.await(barriers, fullV + t % PLACES * 2, t / PLACES);
        WarpBarrier.arrive(barriers, freeV + t % PLACES * 2);
    }
}
