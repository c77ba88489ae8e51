package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.TileList;
import org.tornadoattention.kernel.parts.WarpScores;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradients of attention with respect to keys and values on Hopper's asynchronous tensor cores: warp groups, 64
 * keys each, share the tiles of Q and dO that all query heads of theirs see. {@link WarpGroupQueryGradient} is the
 * other half.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2, transposed: S = K Qᵀ and dP = V dOᵀ have keys for rows,
 * so that P and dS leave their accumulators as the operands of dV = dV + P dO and dK = dK + dS Q, without a way through
 * local memory. dP is under way while the warps turn S into P, and P dO while they turn dP into dS; three places for
 * the tiles of Q and dO make one barrier a step enough. The heads of a group are summed one after the other in
 * registers: no atomics, and the same bits in every run.
 *
 * <p><b>Arrays.</b> As {@link TiledKeyValueGradients}, in F16.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * kvHeads * ceil(seqK / blockK)} groups of {@code 2 * blockK} work-items;
 * {@code blockK} is a multiple of 64, {@code blockQ} of 16.
 *
 * <p><b>Registers.</b> Both gradients of a head dimension above 128 do not fit: the kernel then runs once for each.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of K, one of V, three of Q and dO. <b>Device.</b> As
 * {@link WarpGroupFlashAttention}.
 */
public final class WarpGroupKeyValueGradients {

    /** Set in {@code blocks} to compute dK. */
    public static final int OF_KEYS = 1 << 24;

    /** Set in {@code blocks} to compute dV. */
    public static final int OF_VALUES = 1 << 25;

    private static final int STAGES = 3;

    private WarpGroupKeyValueGradients() {}

    /** The argument {@code blocks}, to which {@link #OF_KEYS} and {@link #OF_VALUES} are added. */
    public static int blocks(int blockQ, int blockK) {
        return blockQ | blockK << 12;
    }

    /** Work-items of a group. */
    public static int groupSize(int blockK) {
        return 2 * blockK;
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return 2 * WarpTiles.tileBytes(blockK, headDim)
                + STAGES * (2 * WarpTiles.tileBytes(blockQ, headDim) + 8 * blockQ);
    }

    /**
     * Computes one tile of dK, dV or both; see the class for arrays, grid and memory.
     *
     * @param blocks {@link #blocks}, and which gradients are wanted
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of {@link Features},
     *     added
     */
    public static void keyValueGradients(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray outputGradient,
            FloatArray rowTerms,
            @Element HalfFloatArray keyGradient,
            @Element HalfFloatArray valueGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            @Constant int kvHeads,
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
        int items = 2 * blockK;
        Warp.requireGroupSize(items);
        int paddedDim = (headDim + 15) / 16 * 16;
        int type = WarpTiles.type(query, features);
        float factor = WarpScores.factor(scale, softcap, features);

        // One array: K, V, then three places of Q and dO, then three of the rows' L and D, then the list of tiles.
        int atV = WarpTiles.tileBytes(blockK, headDim);
        int tileBytes = WarpTiles.tileBytes(blockQ, headDim);
        int atStages = 2 * atV;
        int atTerms = atStages + STAGES * 2 * tileBytes;
        int atList = atTerms + STAGES * 8 * blockQ;
        int[] tile =
                context.allocateIntLocalArray((headDim + 63) / 64 * 64 * ((blocks >> 12 & 0xfff) + 3 * (blocks & 0xfff))
                        + 6 * (blocks & 0xfff)
                        + TileList.ints(heads / kvHeads * ((seqQ + (blocks & 0xfff) - 1) / (blocks & 0xfff))));

        // Which tile of keys: the first tiles first, since under a causal mask the most queries see them.
        int item = context.localIdx;
        int lane = item % 32;
        int tilesK = (seqK + blockK - 1) / blockK;
        int keyValueHead = context.groupIdx / tilesK;
        int j0 = context.groupIdx % tilesK * blockK;
        int group = query.getSize() / seqQ / (key.getSize() / seqK); // query heads that read this key/value head
        int firstHead = keyValueHead * group; // batch * heads + the first of them
        int batch = firstHead / heads;
        int keyValueBase = (keyValueHead * seqK + j0) * headDim;

        int length = Window.length(keyLengths, batch, seqK, features);

        float keptFactor = DropoutMask.keptFactor(keyLengths, features);

        // Query i stands at key position i + offset (bottom-right alignment). Queries firstQuery ... lastQuery see keys
        // of the tile; queries everyFirst ... everyLast see all of them.
        int offset = length - seqQ;
        int firstQuery = Window.firstQuery(j0, offset, windowRight);
        int lastQuery = Window.lastQuery(j0 + blockK - 1, j0, offset, seqQ, length, windowLeft);
        int everyFirst = Window.everyFirst(j0 + blockK - 1, offset, windowRight);
        int everyLast = Window.everyLast(j0, offset, seqQ, windowLeft);
        int i0 = firstQuery / blockQ * blockQ;
        int tilesQ = lastQuery < firstQuery ? 0 : (lastQuery - i0) / blockQ + 1;
        int inWindow = group * tilesQ;
        // spotless:off: calls in rows
        int found = TileList.count(
                tile, atList, inWindow, item, items, tilesQ, firstHead, heads, i0, blockQ, blockQ, j0, blockK, 0);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        int ofList = TileList.list(
                tile, atList, inWindow, item, items, tilesQ, firstHead, heads, i0, blockQ, blockQ, j0, blockK, 0, found);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        // spotless:on

        int steps = Warp.uniform(ofList); // The assembler would find it anew in each step.

        // This lane's rows and columns of an accumulator, and its warp group's rows of K and V.
        int row = item / 32 * 16 + lane / 4;
        int column = lane % 4 * 2;
        int rows = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;

        // Load K_j and V_j, the first Q_i and dO_i; dK = dV = 0.
        WarpTiles.load(tile, 0, blockK, key, keyValueBase, length - j0, headDim, item, items);
        WarpTiles.load(tile, atV, blockK, value, keyValueBase, length - j0, headDim, item, items);
        if (steps > 0) {
            int seen = Functions.leaveTilesOut() ? TileList.tile(tile, atList, 0, steps) : 0;
            int i = Functions.leaveTilesOut() ? i0 + seen % tilesQ * blockQ : i0;
            int first = (Functions.leaveTilesOut() ? firstHead + seen / tilesQ : firstHead) * seqQ + i;
            int at = atStages + tileBytes;
            WarpTiles.load(tile, atStages, blockQ, query, first * headDim, seqQ - i, headDim, item, items);
            WarpTiles.load(tile, at, blockQ, outputGradient, first * headDim, seqQ - i, headDim, item, items);
            RowTerms.startCopy(tile, atTerms, blockQ, rowTerms, first, seqQ - i, seqQ, item);
        }
        context.asyncCopyCommit();
        float[] s = new float[blockQ / 2];
        float[] dp = new float[blockQ / 2];
        float[] capSlope = new float[blockQ / 2];
        float[] dropped = new float[blockQ / 2];
        int[] kept = new int[(blockQ + 63) / 64];
        int[] p = new int[blockQ / 4];
        int[] ds = new int[blockQ / 4];
        float[] dk = new float[(headDim + 15) / 16 * 16 / 2];
        float[] dv = new float[(headDim + 15) / 16 * 16 / 2];
        for (int at = 0; at < blockQ / 2; at++) {
            s[at] = 0f;
            dp[at] = 0f;
        }
        for (int at = 0; at < paddedDim / 2; at++) {
            dk[at] = 0f;
            dv[at] = 0f;
        }

        int ofHead = 0; // which tile of queries of its head
        int head = firstHead;
        for (int t = 0; t < steps; t++) {
            // Q_i and dO_i are here; the places of the step before the last are free.
            if (Functions.leaveTilesOut()) {
                int seen = TileList.tile(tile, atList, t, steps);
                ofHead = seen % tilesQ;
                head = firstHead + seen / tilesQ;
            }
            int i = i0 + ofHead * blockQ;
            int stage = t % STAGES;
            int atQ = atStages + stage * 2 * tileBytes;
            int terms = atTerms + stage * 8 * blockQ;
            context.asyncCopyWaitGroup(0);
            WarpGroup.fenceLocalMemory();
            context.localBarrier();
            if (t + 1 < steps) {
                int after = ofHead + 1 < tilesQ ? ofHead + 1 : 0;
                int headAfter = ofHead + 1 < tilesQ ? head : head + 1;
                if (Functions.leaveTilesOut()) {
                    int seen = TileList.tile(tile, atList, t + 1, steps);
                    after = seen % tilesQ;
                    headAfter = firstHead + seen / tilesQ;
                }
                int next = i0 + after * blockQ;
                int first = headAfter * seqQ + next;
                int place = (t + 1) % STAGES;
                int at = atStages + place * 2 * tileBytes;
                int atGradient = at + tileBytes;
                WarpTiles.load(tile, at, blockQ, query, first * headDim, seqQ - next, headDim, item, items);
                WarpTiles.load(
                        tile, atGradient, blockQ, outputGradient, first * headDim, seqQ - next, headDim, item, items);
                RowTerms.startCopy(
                        tile, atTerms + place * 8 * blockQ, blockQ, rowTerms, first, seqQ - next, seqQ, item);
            }
            context.asyncCopyCommit();

            // Start S = K_j Q_i^T and dP = V_j dO_i^T.
            WarpGroup.fence();
            WarpTiles.startProduct(type, s, tile, rows, blockK, atQ, blockQ, paddedDim);
            WarpGroup.commit();
            if ((blocks & OF_KEYS) != 0) {
                WarpTiles.startProduct(type, dp, tile, atV + rows, blockK, atQ + tileBytes, blockQ, paddedDim);
                WarpGroup.commit();
                WarpGroup.await(1, s, blockQ / 2);
            } else {
                WarpGroup.await(0, s, blockQ / 2);
            }

            // P = 2^(S - L), and dV = dV + P dO_i.
            float slope = HeadTerms.slope(headTerms, head % heads, features);
            // spotless:off: calls in rows
            int whole = TileList.isWhole(tile, atList, t);
            if (Functions.changeScores()) {
                if ((features & Features.DROPOUT) != 0) {
                    WarpScores.keptTransposed(kept, blockQ, keyLengths, head, i + column, j0 + row, features);
                }
                int inner = WarpScores.isInner(
                        1, blockQ, true, j0 + row, i, seqQ, length, everyFirst, everyLast, whole);
                if (inner > 0) {
                    WarpScores.weigh(
                            type, s, p, dp, tile, terms + 8 * column, kept, keptFactor, p, false, blockQ, true, batch,
                            head % heads, j0 + row, i + column, seqQ, offset, length, windowLeft, windowRight, scale,
                            softcap, slope, features, false);
                } else {
                    WarpScores.weigh(
                            type, s, p, dp, tile, terms + 8 * column, kept, keptFactor, p, false, blockQ, true, batch,
                            head % heads, j0 + row, i + column, seqQ, offset, length, windowLeft, windowRight, scale,
                            softcap, slope, features, true);
                }
            } else {
                WarpScores.derivatives(s, capSlope, blockQ, scale, softcap);
                WarpScores.maskedScores(
                        s, 1, blockQ, true, batch, head % heads, j0 + row, i, column, seqQ, offset, length,
                        everyFirst, everyLast, windowLeft, windowRight, scale, softcap, slope, features, whole);
                probabilities(s, tile, terms + 8 * column, blockQ, factor, features);
                if ((features & Features.DROPOUT) != 0) {
                    WarpScores.keptTransposed(kept, blockQ, keyLengths, head, i + column, j0 + row, features);
                }
                if ((blocks & OF_VALUES) != 0) {
                    if ((features & Features.DROPOUT) != 0) {
                        WarpScores.keep(dropped, s, kept, blockQ, keptFactor);
                        WarpScores.pack(type, dropped, p, 1, blockQ);
                    } else {
                        WarpScores.pack(type, s, p, 1, blockQ);
                    }
                }
            }
            // spotless:on
            if ((blocks & OF_VALUES) != 0) {
                WarpGroup.fence();
                WarpTiles.startSum(type, dv, p, tile, atQ + tileBytes, blockQ, paddedDim);
                WarpGroup.commit();
            }

            // dS = P (dP - D), and dK = dK + dS Q_i.
            if ((blocks & OF_KEYS) != 0) {
                if ((blocks & OF_VALUES) != 0) {
                    WarpGroup.await(1, dp, blockQ / 2);
                } else {
                    WarpGroup.await(0, dp, blockQ / 2);
                }
                if ((features & Features.DROPOUT) != 0) {
                    WarpScores.keep(dp, dp, kept, blockQ, keptFactor);
                }
                float still = Functions.changeScores() ? 0f : softcap;
                scoreGradients(s, dp, capSlope, tile, terms + 8 * column, blockQ, still);
                WarpScores.pack(type, s, ds, 1, blockQ);
                WarpGroup.fence();
                WarpTiles.startSum(type, dk, ds, tile, atQ, blockQ, paddedDim);
                WarpGroup.commit();
            }
            ofHead += 1;
            if (ofHead == tilesQ) {
                ofHead = 0;
                head += 1;
            }
        }

        // Keys past the last of their sequence have gradients of 0.
        if ((blocks & OF_VALUES) != 0) {
            WarpGroup.await(0, dv, (headDim + 15) / 16 * 16 / 2);
        }
        if ((blocks & OF_KEYS) != 0) {
            WarpGroup.await(0, dk, (headDim + 15) / 16 * 16 / 2);
        }
        for (int r = 0; r < 2; r++) {
            int j = j0 + row + 8 * r;
            int first = keyValueBase + (row + 8 * r) * headDim;
            if (j < seqK) {
                if ((blocks & OF_VALUES) != 0) {
                    WarpScores.clearRow(dv, r, paddedDim, j < length);
                    WarpTiles.store(valueGradient, first, headDim, type, dv, r, column, 1f);
                }
                if ((blocks & OF_KEYS) != 0) {
                    WarpScores.clearRow(dk, r, paddedDim, j < length);
                    WarpTiles.store(keyGradient, first, headDim, type, dk, r, column, scale);
                }
            }
        }

        // Keys whose gradients are not finite, once more from the queries that see them.
        if (Mending.isNeeded(windowLeft, windowRight) > 0) {
            // spotless:off: a call in rows
            mend(
                    dk, dv, query, key, value, outputGradient, rowTerms, keyGradient, valueGradient, headTerms,
                    keyLengths, type, headDim, blocks, keyValueBase, column, firstHead, group, heads, j0, row, seqQ,
                    offset, length, windowLeft, windowRight, scale, softcap, features);
            // spotless:on
        }
    }

    // spotless:off: parameters and calls in rows
    /** What a lane has of dK and dV that is not finite, once more from the queries that see these keys. */
    @Phase
    private static void mend(
            float[] dk, float[] dv, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            HalfFloatArray outputGradient, FloatArray rowTerms, HalfFloatArray keyGradient,
            HalfFloatArray valueGradient, FloatArray headTerms, IntArray keyLengths, int type, int headDim, int blocks,
            int keyValueBase, int column, int firstHead, int group, int heads, int j0, int row, int seqQ,
            int offset, int length, int windowLeft, int windowRight, float scale, float softcap, int features) {
        int paddedDim = (headDim + 15) / 16 * 16;
        float[] mendedKeys = new float[(headDim + 15) / 16 * 16 / 2];
        float[] mendedValues = new float[(headDim + 15) / 16 * 16 / 2];
        int unfinished = Mending.bit(dk, 0, paddedDim)
                | Mending.bit(dk, 1, paddedDim)
                | Mending.bit(dv, 0, paddedDim)
                | Mending.bit(dv, 1, paddedDim);
        for (int r = 0; unfinished >> r != 0; r++) {
            int j = j0 + row + 8 * r;
            int mends = j < length ? unfinished >> r & 1 : 0;
            if (mends != 0) {
                int first = keyValueBase + (row + 8 * r) * headDim;
                Mending.keyValueGradients(
                        mendedKeys, mendedValues, query, key, value, outputGradient, rowTerms, first, headTerms,
                        keyLengths, type, headDim, column, firstHead, group, heads, j, seqQ, offset,
                        Window.firstQuery(j, offset, windowRight),
                        Window.lastQuery(j, j, offset, seqQ, length, windowLeft), scale, softcap, features);
                if ((blocks & OF_VALUES) != 0) {
                    WarpTiles.store(valueGradient, first, headDim, type, mendedValues, 0, column, 1f);
                }
                if ((blocks & OF_KEYS) != 0) {
                    WarpTiles.store(keyGradient, first, headDim, type, mendedKeys, 0, column, scale);
                }
            }
        }
    }
    // spotless:on

    /** S = 2^(S - L), where columns are queries whose terms lie in local memory. */
    private static void probabilities(float[] s, int[] tile, int terms, int columns, float factor, int features) {
        for (int n = 0; n < columns / 8; n++) {
            for (int e = 0; e < 2; e++) {
                float lse =
                        LargeScores.lowered(Warp.element(tile, terms + 64 * n + 8 * e), features) * WarpScores.LOG2_E;
                for (int r = 0; r < 2; r++) {
                    float exponent = s[4 * n + 2 * r + e] * factor - lse;
                    s[4 * n + 2 * r + e] = Warp.exp2(LargeScores.exponent(exponent, features));
                }
            }
        }
    }

    /** S = S (dP - D), and the slope of the softcap where there is one. */
    private static void scoreGradients(
            float[] s, float[] dp, float[] capSlope, int[] tile, int terms, int columns, float softcap) {
        for (int n = 0; n < columns / 8; n++) {
            for (int e = 0; e < 2; e++) {
                float d = Warp.element(tile, terms + 64 * n + 8 * e + 4);
                for (int r = 0; r < 2; r++) {
                    int at = 4 * n + 2 * r + e;
                    float ds = s[at] * (dp[at] - d);
                    if (softcap > 0f) {
                        ds *= capSlope[at];
                    }
                    s[at] = ds;
                }
            }
        }
    }
}
