package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.WarpScores;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * FlashAttention-2's forward pass for F32 on tensor cores: every operand is split into the TF32 number nearest to it
 * and what is left, and three products restore nearly all of F32: A·B = Aᵇ·Bᵇ + Aᵇ·Bˢ + Aˢ·Bᵇ.
 *
 * <p>Source: Ootomo and Yokota, <i>Recovering single precision accuracy from Tensor Cores</i> (2022), and
 * {@link WarpFlashAttention}, whose structure it is: 16 rows of Q a warp. A TF32 operand's layout differs from an
 * accumulator's only in which keys its columns stand for, so P becomes an operand where it lies, and V is read to
 * match.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key and value {@code [batch, kvHeads, seqK, headDim]},
 * output like query, logSumExp {@code [batch, heads, seqQ]} (natural logarithm), headTerms of {@link HeadTerms},
 * keyLengths {@code [batch]} (keys).
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of 2 · blockQ work-items;
 * {@code blockQ} and {@code blockK} are multiples of 16.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: tiles of Q, K and V.
 *
 * <p><b>Not done here.</b> ∞ in an input gives NaN, since its product with the rest of another operand, 0, does.
 *
 * <p><b>Device.</b> Compute capability 8.0, through TornadoVM's CUDA backend with this project's intrinsics; the
 * simulator.
 */
public final class WarpTf32FlashAttention {

    private WarpTf32FlashAttention() {}

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return (headDim + 31) / 32 * WarpGroup.ROW_BYTES * (blockQ + 2 * blockK);
    }

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI} and {@code KEY_LENGTHS} of {@link Features}, and the threshold of
     *     {@link Features#warpShape}, added
     */
    public static void attention(
            KernelContext context,
            FloatArray query,
            FloatArray key,
            FloatArray value,
            FloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int blockQ,
            int blockK,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int threshold = Features.threshold(features);
        int items = 2 * blockQ;
        Warp.requireGroupSize(items);
        int paddedDim = (headDim + 7) / 8 * 8;
        float factor = WarpScores.factor(scale, softcap, features);

        int[] queryTile = context.allocateIntLocalArray((headDim + 31) / 32 * blockQ * 32);
        int[] keyTile = context.allocateIntLocalArray((headDim + 31) / 32 * blockK * 32);
        int[] valueTile = context.allocateIntLocalArray((headDim + 31) / 32 * blockK * 32);

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int lane = item % 32;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int keyValueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
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
        int tiles = Window.tiles(firstKey, lastKey, j0, blockK);

        // This lane's rows and columns of an accumulator, and the rows that it names in loads of matrices.
        int row = item / 32 * 16 + lane / 4;
        int column = lane % 4 * 2;
        int rowOfQ = item / 32 * 16 + lane % 16;
        int rowOfK = lane % 8 + lane / 16 * 8;

        // Load Q_i and the first K_j; m = -inf, l = 0, O = 0.
        WarpTiles.load(queryTile, 0, blockQ, query, queryBase, rows, headDim, item, items);
        if (tiles > 0) {
            WarpTiles.load(keyTile, 0, blockK, key, keyValueBase + j0 * headDim, length - j0, headDim, item, items);
        }
        context.asyncCopyCommit();
        float[] s = new float[blockK / 2];
        float[] o = new float[(headDim + 7) / 8 * 8 / 2];
        float[] m = new float[2];
        float[] l = new float[2];
        float[] correction = new float[2];
        float[] part = new float[4];
        int[] a = new int[4];
        int[] small = new int[4];
        int[] b = new int[4];
        int[] smallB = new int[4];
        for (int at = 0; at < paddedDim / 2; at++) {
            o[at] = 0f;
        }
        for (int r = 0; r < 2; r++) {
            m[r] = Score.NO_SCORE;
            l[r] = 0f;
        }

        for (int t = 0; t < tiles; t++) {
            int j = j0 + t * blockK;
            context.asyncCopyWaitGroup(0);
            context.localBarrier();
            WarpTiles.load(valueTile, 0, blockK, value, keyValueBase + j * headDim, length - j, headDim, item, items);
            context.asyncCopyCommit();

            // S = Q_i K_j^T
            for (int at = 0; at < blockK / 2; at++) {
                s[at] = 0f;
            }
            for (int x = 0; x < paddedDim / 8; x++) {
                Warp.loadMatrices(a, 0, queryTile, WarpTiles.chunk(blockQ, rowOfQ, 2 * x + lane / 16));
                split(a, small, 4);
                for (int n = 0; n < blockK / 16; n++) {
                    Warp.loadMatrices(b, 0, keyTile, WarpTiles.chunk(blockK, rowOfK + 16 * n, 2 * x + lane / 8 % 2));
                    split(b, smallB, 4);
                    multiply(s, 8 * n, a, small, b, smallB, 0);
                    multiply(s, 8 * n + 4, a, small, b, smallB, 2);
                }
            }
            context.asyncCopyWaitGroup(0);
            context.localBarrier();
            if (t + 1 < tiles) {
                int next = j + blockK;
                WarpTiles.load(
                        keyTile, 0, blockK, key, keyValueBase + next * headDim, length - next, headDim, item, items);
            }
            context.asyncCopyCommit();

            // P = 2^(S - m), l, O = correction * O
            WarpScores.scores(
                    s,
                    1,
                    blockK,
                    i0 + row + offset,
                    j,
                    column,
                    length,
                    everyLeft,
                    everyRight,
                    windowLeft,
                    windowRight,
                    scale,
                    softcap,
                    slope,
                    features);
            WarpScores.softmax(s, m, l, correction, 1, blockK, factor, threshold);
            WarpScores.rescale(o, correction, 1, paddedDim);

            // O = O + P V_j: depth t and t + 4 of an operand A stand for keys 2t and 2t + 1. The sums over many keys
            // are made
            // here, since tensor cores cut theirs off instead of rounding them, always in the same direction.
            for (int n = 0; n < blockK / 8; n++) {
                a[0] = Reinterpret.asInt(s[4 * n]);
                a[1] = Reinterpret.asInt(s[4 * n + 2]);
                a[2] = Reinterpret.asInt(s[4 * n + 1]);
                a[3] = Reinterpret.asInt(s[4 * n + 3]);
                split(a, small, 4);
                for (int x = 0; x < paddedDim / 8; x++) {
                    int dim = 8 * x + lane / 4;
                    int at = WarpTiles.chunk(blockK, 8 * n + column, dim / 4) + dim % 4 * Float.BYTES;
                    int next = WarpTiles.chunk(blockK, 8 * n + column + 1, dim / 4) + dim % 4 * Float.BYTES;
                    b[0] = Reinterpret.asInt(Warp.element(valueTile, at));
                    b[1] = Reinterpret.asInt(Warp.element(valueTile, next));
                    split(b, smallB, 2);
                    for (int e = 0; e < 4; e++) {
                        part[e] = 0f;
                    }
                    multiply(part, 0, a, small, b, smallB, 0);
                    for (int e = 0; e < 4; e++) {
                        o[4 * x + e] += part[e];
                    }
                }
            }
        }

        // O = O / l, L = ln 2 * m + ln l; a query that sees no key gets 0 and -infinity.
        for (int r = 0; r < 2; r++) {
            float sum = RowEnd.sumOfLanes(l[r]);
            if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                l[r] = sum;
            }
            int i = i0 + row + 8 * r;
            boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
            if (i < seqQ) {
                int first = queryBase + (row + 8 * r) * headDim;
                WarpTiles.store(
                        output,
                        first,
                        headDim,
                        o,
                        r,
                        column,
                        RowEnd.inverseOfWarp(masked, m[r], sum, headTerms, head, features));
                if (lane % 4 == 0) {
                    float lse = RowEnd.logSumExpOfWarp(masked, m[r], sum, headTerms, head, features);
                    Warp.store(logSumExp, batchHead * seqQ + i, lse);
                }
            }
        }

        // Rows that are not finite, once more from the keys that they see.
        if (Mending.isNeeded(windowLeft, windowRight) > 0) {
            float[] mended = new float[(headDim + 15) / 16 * 16 / 2];
            // spotless:off: calls in rows
            int unfinished = Mending.rowsOfOutput(o, 2, paddedDim, i0 + row, seqQ);
            for (int r = 0; unfinished >> r != 0; r++) {
                int mends = unfinished >> r & 1;
                float ofRow = 0f;
                if (mends != 0) {
                    ofRow = Mending.logSumExp(
                            Mending.pick(m, r, 2), Mending.pick(l, r, 2), i0 + row + 8 * r, offset, length, windowLeft,
                            windowRight, 0, headTerms, head, features);
                }
                mends = ofRow == ofRow ? mends : 0;
                if (mends != 0) {
                    int i = i0 + row + 8 * r;
                    int from = queryBase + (row + 8 * r) * headDim;
                    Mending.output(
                            mended, ofRow, query, from, key, value, keyValueBase, headDim, column, i + offset,
                            Window.firstKey(i + offset, windowLeft), Window.lastKey(i + offset, length, windowRight),
                            scale, softcap, slope, features);
                    WarpTiles.store(output, from, headDim, mended, 0, column, 1f);
                }
            }
            // spotless:on
        }
    }

    /** Splits what F32 bits mean into the nearest TF32 number, in their place, and that of the rest. */
    private static void split(int[] big, int[] small, int count) {
        for (int i = 0; i < count; i++) {
            float value = Reinterpret.asFloat(big[i]);
            float rounded = Warp.roundToTF32(value);
            big[i] = Reinterpret.asInt(rounded);
            small[i] = Reinterpret.asInt(value == rounded ? 0f : value - rounded);
        }
    }

    /** C = C + A B in three products, the small ones first. */
    private static void multiply(float[] c, int atC, int[] a, int[] smallA, int[] b, int[] smallB, int atB) {
        Warp.multiply(Warp.TF32, c, atC, smallA, 0, b, atB);
        Warp.multiply(Warp.TF32, c, atC, a, 0, smallB, atB);
        Warp.multiply(Warp.TF32, c, atC, a, 0, b, atB);
    }
}
