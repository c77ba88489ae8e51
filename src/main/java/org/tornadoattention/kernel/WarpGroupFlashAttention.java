package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Attention's forward pass on Hopper's asynchronous tensor cores: two or three warp groups, 64 queries each, share tiles of
 * K and V; while the tensor cores multiply P_j-1 by V_j-1, the warps turn S_j into P_j.
 *
 * <p>Source: Shah et al., <i>FlashAttention-3</i> (2024), algorithm 2 (products and softmax of one warp group overlap),
 * with the intrinsics of {@link WarpGroup}. K and V have two places each in local memory, so that every copy has a whole
 * step to arrive, and one barrier a step is enough. Not done here: a warp that only copies, and turns for the groups.
 *
 * <p><b>Arrays, arithmetic.</b> As {@link WarpFlashAttention}.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@code 2 * blockQ} work-items;
 * {@code blockQ} is a multiple of 64, {@code blockK} of 16.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of Q, two of K, two of V: more than the 48 KiB that CUDA gives
 * without being asked; this project's own assembly of kernels asks.
 *
 * <p><b>Device.</b> Compute capability 9.0, through TornadoVM's CUDA backend with this project's intrinsics; the simulator.
 *
 * <p>{@code WarpGroupFlashAttentionBits} is this text with ShortArrays, which the build derives, for BF16.
 */
public final class WarpGroupFlashAttention {

    private WarpGroupFlashAttention() {}

    /** Work-items of a group. */
    public static int groupSize(int blockQ) {
        return 2 * blockQ;
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return WarpTiles.tileBytes(blockQ, headDim) + 4 * WarpTiles.tileBytes(blockK, headDim);
    }

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of {@link TiledFlashAttention}, and the
     *     threshold of {@link WarpFlashAttention#shape}, added
     */
    public static void attention(
            KernelContext context,
            HalfFloatArray query,
            HalfFloatArray key,
            HalfFloatArray value,
            HalfFloatArray output,
            FloatArray logSumExp,
            FloatArray alibiSlopes,
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
        int threshold = features >> 16 & 0xff;
        int items = 2 * blockQ;
        Warp.requireGroupSize(items);
        int paddedDim = (headDim + 15) / 16 * 16;
        int type = WarpTiles.type(query, features);
        float factor = WarpTiles.factor(scale, softcap, features);

        // One array: Q, two places of K, two of V.
        int atK = WarpTiles.tileBytes(blockQ, headDim);
        int tileBytes = WarpTiles.tileBytes(blockK, headDim);
        int atV = atK + 2 * tileBytes;
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 32 * (blockQ + 4 * blockK));

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int lane = item % 32;
        int tilesQ = (seqQ + blockQ - 1) / blockQ;
        int batchHead = context.groupIdx / tilesQ;
        int i0 = (tilesQ - 1 - context.groupIdx % tilesQ) * blockQ;
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int keyValueBase = (batch * kvHeads + head / (heads / kvHeads)) * seqK * headDim;
        int rows = TornadoMath.min(blockQ, seqQ - i0);

        int length = seqK;
        if ((features & TiledFlashAttention.KEY_LENGTHS) != 0) {
            length = keyLengths.get(batch);
        }
        float slope = 0f;
        if ((features & TiledFlashAttention.ALIBI) != 0) {
            slope = alibiSlopes.get(head);
        }

        // Query i stands at key position i + offset (bottom-right alignment). The tile sees keys firstKey ... lastKey;
        // all of its queries see keys everyLeft ... everyRight.
        int offset = length - seqQ;
        int firstKey = 0;
        int lastKey = length - 1;
        int everyLeft = 0;
        int everyRight = length - 1;
        if (windowLeft >= 0) {
            firstKey = TornadoMath.max(0, i0 + offset - windowLeft);
            everyLeft = i0 + rows - 1 + offset - windowLeft;
        }
        if (windowRight >= 0) {
            lastKey = TornadoMath.min(lastKey, i0 + rows - 1 + offset + windowRight);
            everyRight = TornadoMath.min(everyRight, i0 + offset + windowRight);
        }
        int j0 = firstKey / blockK * blockK;
        int tiles = lastKey < firstKey ? 0 : (lastKey - j0) / blockK + 1;

        // This lane's rows and columns of an accumulator, and its warp group's rows of Q.
        int row = item / 32 * 16 + lane / 4;
        int column = lane % 4 * 2;
        int atQ = item / WarpGroup.LANES * 64 * WarpGroup.ROW_BYTES;

        // Load Q_i, the first two K_j and the first V_j; m = -inf, l = 0, O = 0.
        int from = keyValueBase + j0 * headDim;
        WarpTiles.load(tile, 0, blockQ, query, queryBase, rows, headDim, item, items);
        if (tiles > 0) {
            WarpTiles.load(tile, atK, blockK, key, from, length - j0, headDim, item, items);
        }
        context.asyncCopyCommit();
        if (tiles > 0) {
            WarpTiles.load(tile, atV, blockK, value, from, length - j0, headDim, item, items);
        }
        if (tiles > 1) {
            int next = j0 + blockK;
            WarpTiles.load(
                    tile, atK + tileBytes, blockK, key, from + blockK * headDim, length - next, headDim, item, items);
        }
        context.asyncCopyCommit();
        float[] s = new float[blockK / 2];
        int[] p = new int[blockK / 4];
        float[] o = new float[(headDim + 15) / 16 * 16 / 2];
        float[] m = new float[2];
        float[] l = new float[2];
        float[] correction = new float[2];
        for (int at = 0; at < blockK / 2; at++) {
            s[at] = 0f;
        }
        for (int at = 0; at < paddedDim / 2; at++) {
            o[at] = 0f;
        }
        for (int r = 0; r < 2; r++) {
            m[r] = WarpTiles.NO_SCORE;
            l[r] = 0f;
        }

        if (tiles > 0) {
            // S = Q_i K_j^T and P for the first j
            context.asyncCopyWaitGroup(1);
            WarpGroup.fenceLocalMemory();
            context.localBarrier();
            WarpGroup.fence();
            WarpTiles.startProduct(type, s, tile, atQ, blockQ, atK, blockK, paddedDim);
            WarpGroup.commit();
            WarpGroup.await(0, s, blockK / 2);
            int j = j0;
            WarpTiles.bend(s, 1, blockK, i0 + row + offset - j - column, scale, softcap, slope, features);
            if (TornadoMath.max(everyLeft - j, j + blockK - 1 - everyRight) > 0) {
                int first = i0 + row + offset - windowLeft - j - column;
                int last = i0 + row + offset + windowRight - j - column;
                WarpTiles.mask(s, 1, blockK, first, last, length - j - column, windowLeft, windowRight);
            }
            WarpTiles.softmax(s, m, l, correction, 1, blockK, factor, threshold);
            if ((features & DropoutMask.DROPOUT) != 0) {
                WarpTiles.drop(s, 1, blockK, keyLengths, batchHead, i0 + row, j + column);
            }
            WarpTiles.pack(type, s, p, 1, blockK);

            for (int t = 1; t < tiles; t++) {
                // K_j and V_j-1 are here; the places of K_j-1 and V_j-2 are free.
                int odd = t % 2;
                int even = 1 - odd;
                j = j0 + t * blockK;
                context.asyncCopyWaitGroup(0);
                WarpGroup.fenceLocalMemory();
                context.localBarrier();
                from = keyValueBase + j * headDim;
                if (t + 1 < tiles) {
                    int next = from + blockK * headDim;
                    int count = length - j - blockK;
                    WarpTiles.load(tile, atK + even * tileBytes, blockK, key, next, count, headDim, item, items);
                }
                WarpTiles.load(tile, atV + odd * tileBytes, blockK, value, from, length - j, headDim, item, items);
                context.asyncCopyCommit();

                // Start S = Q_i K_j^T and O = O + P V_j-1.
                WarpGroup.fence();
                WarpTiles.startProduct(type, s, tile, atQ, blockQ, atK + odd * tileBytes, blockK, paddedDim);
                WarpGroup.commit();
                WarpTiles.startSum(type, o, p, tile, atV + even * tileBytes, blockK, paddedDim);
                WarpGroup.commit();

                // When S is there: P = 2^(S - m) and l; when O is: O = correction * O.
                WarpGroup.await(1, s, blockK / 2);
                WarpTiles.bend(s, 1, blockK, i0 + row + offset - j - column, scale, softcap, slope, features);
                if (TornadoMath.max(everyLeft - j, j + blockK - 1 - everyRight) > 0) {
                    int first = i0 + row + offset - windowLeft - j - column;
                    int last = i0 + row + offset + windowRight - j - column;
                    WarpTiles.mask(s, 1, blockK, first, last, length - j - column, windowLeft, windowRight);
                }
                WarpTiles.softmax(s, m, l, correction, 1, blockK, factor, threshold);
                WarpGroup.await(0, o, (headDim + 15) / 16 * 16 / 2);
                WarpTiles.rescale(o, correction, 1, paddedDim);
                if ((features & DropoutMask.DROPOUT) != 0) {
                    WarpTiles.drop(s, 1, blockK, keyLengths, batchHead, i0 + row, j + column);
                }
                WarpTiles.pack(type, s, p, 1, blockK);
            }

            // O = O + P V_j for the last j
            context.asyncCopyWaitGroup(0);
            WarpGroup.fenceLocalMemory();
            context.localBarrier();
            WarpGroup.fence();
            WarpTiles.startSum(type, o, p, tile, atV + (tiles - 1) % 2 * tileBytes, blockK, paddedDim);
            WarpGroup.commit();
            WarpGroup.await(0, o, (headDim + 15) / 16 * 16 / 2);
        }

        // O = O / l, L = ln 2 * m + ln l; a query that sees no key gets 0 and -infinity.
        for (int r = 0; r < 2 * 1; r++) {
            float sum = l[r];
            sum += Warp.shuffleXor(sum, 1);
            sum += Warp.shuffleXor(sum, 2);
            int i = i0 + row + 8 * r;
            int left = windowLeft < 0 ? 0 : TornadoMath.max(0, i + offset - windowLeft);
            int right = windowRight < 0 ? length - 1 : TornadoMath.min(length - 1, i + offset + windowRight);
            boolean blind = right < left;
            if (i < seqQ) {
                int first = queryBase + (row + 8 * r) * headDim;
                WarpTiles.store(output, first, headDim, type, o, r, column, blind ? 0f : 1f / sum);
                if (lane % 4 == 0) {
                    float lse = WarpTiles.LN_2 * m[r] + TornadoMath.log(sum);
                    Warp.store(logSumExp, batchHead * seqQ + i, blind ? WarpTiles.negativeInfinity() : lse);
                }
            }
        }
    }
}
