package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.BlockTiles;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.SharedBias;
import org.tornadoattention.kernel.parts.WarpScores;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradient of attention with respect to a dense bias on Hopper's asynchronous tensor cores: each group has a tile
 * of queries by keys, and goes over the heads that share the bias there.
 *
 * <p>{@code P ∘ (dP - D)} of a head, times the derivative of the functions, is added to the tile's sums in registers,
 * in the order of the heads: no atomics, and the same bits in every run. S and dP are computed once more, two of the
 * five products of a backward pass; nothing but the sums is written. Where there are too few tiles for a device,
 * several groups divide the heads of one, and {@link BiasGradient#sum} adds theirs.
 *
 * <p><b>Arrays.</b> As {@link WarpGroupQueryGradient}, and biasParts F32 {@code [parts, biasBatch, biasHeads, seqQ,
 * seqK]}.
 *
 * <p><b>Grid.</b> One dimension, {@code parts * biasBatch * biasHeads * ceil(seqQ / blockQ) * ceil(seqK / blockK)}
 * groups of {@link #groupSize} work-items; {@code blockQ} is a multiple of 64, {@code blockK} of 32.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: two places for tiles of Q, dO, K and V, and for L and D.
 * <b>Device.</b> As {@link WarpGroupFlashAttention}.
 *
 * <p><b>Not done here.</b> Heads of which a mask hides the whole tile are loaded like others, except where a window
 * does so in all.
 */
public final class WarpGroupBiasGradient {

    private static final int STAGES = 2;

    private WarpGroupBiasGradient() {}

    /** Work-items of a group. */
    public static int groupSize(int blockQ) {
        return 2 * blockQ;
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return STAGES
                * (2 * WarpTiles.tileBytes(blockQ, headDim) + 2 * WarpTiles.tileBytes(blockK, headDim) + 8 * blockQ);
    }

    /**
     * Computes one tile of a part; see the class for arrays, grid and memory.
     *
     * @param biasBatch batch entries of the bias, 1 where all share one
     * @param biasHeads heads of the bias, 1 where all share one
     * @param shared how many heads of batch entries share each of its elements
     * @param parts how many groups divide them
     * @param blocks {@link WarpGroupKeyValueGradients#blocks}
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of {@link Features},
     *     added
     */
    public static void biasGradient(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray outputGradient,
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

        // One array: two places of Q, dO, K and V, then two of L and D.
        int queryBytes = WarpTiles.tileBytes(blockQ, headDim);
        int keyBytes = WarpTiles.tileBytes(blockK, headDim);
        int stageBytes = 2 * (queryBytes + keyBytes);
        int atTerms = STAGES * stageBytes;
        int[] tile = context.allocateIntLocalArray(
                (headDim + 63) / 64 * 64 * 2 * ((blocks & 0xfff) + (blocks >> 12 & 0xfff)) + 4 * (blocks & 0xfff));

        // Which tile, of which entry and head of the bias, and which of the heads that share it.
        int item = context.localIdx;
        int lane = item % 32;
        int tilesQ = Placement.tiles(seqQ, blockQ);
        int tilesK = Placement.tiles(seqK, blockK);
        int j0 = context.groupIdx % tilesK * blockK;
        int i0 = context.groupIdx / tilesK % tilesQ * blockQ;
        int ofBias = context.groupIdx / tilesK / tilesQ % (biasBatch * biasHeads);
        int part = context.groupIdx / tilesK / tilesQ / (biasBatch * biasHeads);
        int from = part * shared / parts;
        int steps = (part + 1) * shared / parts - from;
        int queries = TornadoMath.min(blockQ, seqQ - i0);
        if ((features & Features.KEY_LENGTHS) == 0) {
            if (SharedBias.tileIsHidden(i0, queries, j0, blockK, seqK - seqQ, seqK, windowLeft, windowRight) > 0) {
                steps = 0;
            }
        }

        // This lane's rows and columns of an accumulator, and its warp group's rows of Q and dO.
        int row = item / 32 * 16 + lane / 4;
        int column = lane % 4 * 2;
        int rows = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;

        // The biases of the tile, where a warp can read them by eights: they are those of all its heads.
        int[] biases = new int[blockK / 4];
        int areEights = 0;
        if (Functions.addBiases()) {
            areEights = TornadoMath.min(
                    Functions.areEights(),
                    WarpScores.isInner(1, blockK, false, i0 + item / 32 * 16 + 7, j0, seqQ, seqK, 0, seqK - 1, 1));
            int batch = SharedBias.batch(ofBias, 0, biasBatch, biasHeads, heads);
            int head = SharedBias.head(ofBias, 0, biasHeads, heads);
            WarpScores.loadBiases(biases, blockK, batch, head, i0 + row, j0, lane, 0, areEights);
            WarpScores.arrive(biases, blockK, lane);
        }

        // Load Q_i, dO_i, K_j, V_j, L_i and D_i of the first head; dB = 0.
        if (steps > 0) {
            int batch = SharedBias.batch(ofBias, from, biasBatch, biasHeads, heads);
            int batchHead = batch * heads + SharedBias.head(ofBias, from, biasHeads, heads);
            int queryBase = (batchHead * seqQ + i0) * headDim;
            int keyBase = (Placement.keyValueHead(batchHead, heads, kvHeads) * seqK + j0) * headDim;
            int count = Window.length(keyLengths, batch, seqK, features) - j0;
            int atK = 2 * queryBytes;
            WarpTiles.load(tile, 0, blockQ, query, queryBase, queries, headDim, item, items);
            WarpTiles.load(tile, queryBytes, blockQ, outputGradient, queryBase, queries, headDim, item, items);
            WarpTiles.load(tile, atK, blockK, key, keyBase, count, headDim, item, items);
            WarpTiles.load(tile, atK + keyBytes, blockK, value, keyBase, count, headDim, item, items);
            RowTerms.startCopy(tile, atTerms, blockQ, rowTerms, batchHead * seqQ + i0, queries, seqQ, item);
        }
        context.asyncCopyCommit();
        float[] s = new float[blockK / 2];
        float[] dp = new float[blockK / 2];
        float[] sums = new float[blockK / 2];
        float[] lse = new float[2];
        float[] d = new float[2];
        for (int at = 0; at < blockK / 2; at++) {
            s[at] = 0f;
            dp[at] = 0f;
            sums[at] = 0f;
        }

        for (int t = 0; t < steps; t++) {
            // What this head has is here; the place of the head before is free.
            int batch = SharedBias.batch(ofBias, from + t, biasBatch, biasHeads, heads);
            int head = SharedBias.head(ofBias, from + t, biasHeads, heads);
            int stage = t % STAGES * stageBytes;
            int terms = atTerms + t % STAGES * 8 * blockQ;
            context.asyncCopyWaitGroup(0);
            WarpGroup.fenceLocalMemory();
            context.localBarrier();
            if (t + 1 < steps) {
                int next = SharedBias.batch(ofBias, from + t + 1, biasBatch, biasHeads, heads);
                int nextHead = next * heads + SharedBias.head(ofBias, from + t + 1, biasHeads, heads);
                int queryBase = (nextHead * seqQ + i0) * headDim;
                int keyBase = (Placement.keyValueHead(nextHead, heads, kvHeads) * seqK + j0) * headDim;
                int count = Window.length(keyLengths, next, seqK, features) - j0;
                int at = (t + 1) % STAGES * stageBytes;
                int atK = at + 2 * queryBytes;
                int atNext = atTerms + (t + 1) % STAGES * 8 * blockQ;
                WarpTiles.load(tile, at, blockQ, query, queryBase, queries, headDim, item, items);
                WarpTiles.load(tile, at + queryBytes, blockQ, outputGradient, queryBase, queries, headDim, item, items);
                WarpTiles.load(tile, atK, blockK, key, keyBase, count, headDim, item, items);
                WarpTiles.load(tile, atK + keyBytes, blockK, value, keyBase, count, headDim, item, items);
                RowTerms.startCopy(tile, atNext, blockQ, rowTerms, nextHead * seqQ + i0, queries, seqQ, item);
            }
            context.asyncCopyCommit();

            // S = Q_i K_j^T and dP = dO_i V_j^T.
            int atQ = stage + rows;
            int atK = stage + 2 * queryBytes;
            WarpGroup.fence();
            WarpTiles.startProduct(type, s, tile, atQ, blockQ, atK, blockK, paddedDim);
            WarpGroup.commit();
            WarpTiles.startProduct(type, dp, tile, atQ + queryBytes, blockQ, atK + keyBytes, blockK, paddedDim);
            WarpGroup.commit();

            // What is hidden of the tile.
            int length = Window.length(keyLengths, batch, seqK, features);
            int offset = length - seqQ;
            float slope = HeadTerms.slope(headTerms, head, features);
            int state = Functions.hideKeys() ? BlockTiles.PARTIAL : BlockTiles.FULL;
            if (Functions.leaveTilesOut()) {
                state = Functions.stateOfTile(batch, head, i0, queries, j0, TornadoMath.min(blockK, seqK - j0));
            }
            int hidden = SharedBias.tileIsHidden(i0, queries, j0, blockK, offset, length, windowLeft, windowRight);
            int seen = state == BlockTiles.EMPTY ? 0 : 1 - TornadoMath.min(1, TornadoMath.max(0, hidden));
            int inner = WarpScores.isInner(
                    1,
                    blockK,
                    false,
                    i0 + item / 32 * 16 + 7,
                    j0,
                    seqQ,
                    length,
                    Window.everyLeft(i0 + queries - 1 + offset, windowLeft),
                    Window.everyRight(i0 + offset, length, windowRight),
                    state == BlockTiles.FULL ? 1 : 0);
            if (Functions.addBiases()) {
                inner = TornadoMath.min(areEights, inner);
            }
            for (int r = 0; r < 2; r++) {
                lse[r] = Warp.element(tile, terms + 8 * (row + 8 * r)) * WarpScores.LOG2_E;
                d[r] = Warp.element(tile, terms + 8 * (row + 8 * r) + 4);
            }

            // dB = dB + P (dP - D) times the derivative of the functions.
            WarpGroup.await(1, s, blockK / 2);
            WarpGroup.await(0, dp, blockK / 2);
            WarpScores.drop(dp, 1, blockK, keyLengths, batch * heads + head, i0 + row, j0 + column, features);
            // spotless:off: calls in rows
            if (seen > 0) {
                if (inner > 0) {
                    WarpScores.addBiasGradients(
                            sums, s, dp, lse, d, biases, Functions.addBiases(), blockK, batch, head, i0 + row,
                            j0 + column, seqQ, offset, length, windowLeft, windowRight, scale, softcap, slope, features,
                            false);
                } else {
                    WarpScores.addBiasGradients(
                            sums, s, dp, lse, d, biases, false, blockK, batch, head, i0 + row, j0 + column, seqQ,
                            offset, length, windowLeft, windowRight, scale, softcap, slope, features, true);
                }
            }
            // spotless:on
        }

        for (int r = 0; r < 2; r++) {
            if (i0 + row + 8 * r < seqQ) {
                int first = ((part * biasBatch * biasHeads + ofBias) * seqQ + i0 + row + 8 * r) * seqK + j0 + column;
                for (int n = 0; n < blockK / 8; n++) {
                    for (int e = 0; e < 2; e++) {
                        if (j0 + column + 8 * n + e < seqK) {
                            Warp.store(biasParts, first + 8 * n + e, sums[4 * n + 2 * r + e]);
                        }
                    }
                }
            }
        }
    }
}
