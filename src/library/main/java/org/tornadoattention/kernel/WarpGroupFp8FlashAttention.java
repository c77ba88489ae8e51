package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.WarpGroups.BARRIER_BYTES;
import static org.tornadoattention.kernel.parts.WarpGroups.WARPS;
import static org.tornadoattention.kernel.parts.WarpGroups.computingRegisters;
import static org.tornadoattention.kernel.parts.WarpGroups.copyingRegisters;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Storage;
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
 * Attention's forward pass with 8-bit products (E4M3) on Hopper's asynchronous tensor cores:
 * {@link WarpGroupFlashAttention}'s order, on what {@link QuantizeTiles} made of Q, K and V. What two warps of a
 * scheduler have to execute bounds it, neither products nor exponentials, so what can be spared in a step is.
 *
 * <p>Source: Shah et al., <i>FlashAttention-3</i> (2024), section 3.3. Scores get their tiles' scales in the
 * exponential's factor. A tile of V has the scale 2^σ, so its P is 2^(S + σ - m) with m the maximum of S + σ - 8: the
 * largest P of a row is 2⁸, in the middle of what E4M3 holds, and small ones survive down to 2⁻¹⁷ of it. The sum l is
 * of P · 2^-σ, so neither P nor O is ever scaled apart. P is rounded after it was added to l.
 *
 * <p><b>Arrays.</b> query, key, value and their scales as {@link QuantizeTiles} writes them, with tiles of
 * {@code blockQ = 16 · warps} and {@code blockK} rows: queryScales {@code [batch, heads, tiles]}, which include the
 * factor of q·k, keyValueScales {@code [batch, kvHeads, tiles, 2]}, for K as a factor and for V as an exponent of 2;
 * output {@code [batch, heads, seqQ, headDim]}; the rest as {@link TiledFlashAttention}.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@link #groupSize} work-items;
 * {@code warps} is a multiple of 4, {@code blockK} of 32.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of Q, two of K, two of V, barriers.
 *
 * <p><b>Not done here.</b> Dropout. ∞ anywhere gives NaN. Values above 2⁸⁸, which BF16 can hold, count as 2⁸⁸. Tensor
 * cores add E4M3 products with some 14 bits: O is not summed apart for each tile, since the registers for that are not
 * there.
 *
 * <p><b>Device.</b> Compute capability 9.0, through TornadoVM's CUDA backend with this project's intrinsics; the
 * simulator.
 */
public final class WarpGroupFp8FlashAttention {

    /** The largest P is 2 to the power of this. */
    private static final float LARGEST_P = 8f;

    /** Tiles of K, and of V, that local memory holds at a time. */
    private static final int PLACES = 2;

    private static final int BARRIERS = 16;

    private WarpGroupFp8FlashAttention() {}

    /** Work-items of a group: those that compute, and a warp group that copies. */
    public static int groupSize(int blockQ) {
        return WarpGroups.groupSize(blockQ);
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        int paddedDim = QuantizeTiles.paddedDim(headDim);
        int ofRows = (paddedDim + 127) / 128 * (blockQ + PLACES * blockK);
        int ofColumns = (blockK + 127) / 128 * PLACES * paddedDim;
        return WarpGroup.ROW_BYTES * (ofRows + ofColumns) + BARRIER_BYTES;
    }

    // spotless:off: parameters and calls in rows
    /** Leaves the tiles K_t and V_t to others. */
    private static void leaveOut(int[] barriers, int fullK, int freeK, int fullV, int freeV, int t) {
        WarpBarrier.await(barriers, fullK + t % PLACES * 2, t / PLACES);
        WarpBarrier.arrive(barriers, freeK + t % PLACES * 2);
        WarpBarrier.await(barriers, fullV + t % PLACES * 2, t / PLACES);
        WarpBarrier.arrive(barriers, freeV + t % PLACES * 2);
    }

    /** Copies K_t and V_t-1 as places become free. */
    @Phase
    private static void copyTiles(
            int[] tile, int[] barriers, IntArray key, IntArray value, int atK, int atV, int keyBytes, int valueBytes,
            int fullK, int freeK, int fullV, int freeV, int tiles, int ofK, int ofV, int tilesK, int blockK,
            int paddedDim, int lane) {
        for (int t = 0; t <= tiles; t++) {
            if (t < tiles) {
                int place = t % PLACES;
                if (t >= PLACES) {
                    WarpBarrier.await(barriers, freeK + 2 * place, t / PLACES - 1);
                }
                int from = ofK + t * blockK * (paddedDim / 4);
                load(tile, atK + place * keyBytes, blockK, paddedDim, key, from, paddedDim, lane, WarpGroup.LANES);
                WarpBarrier.arriveWithCopies(barriers, fullK + 2 * place);
            }
            if (t > 0) {
                int place = (t - 1) % PLACES;
                if (t > PLACES) {
                    WarpBarrier.await(barriers, freeV + 2 * place, (t - 1) / PLACES - 1);
                }
                int from = ofV + (t - 1) * (blockK / 4);
                load(
                        tile, atV + place * valueBytes, paddedDim, blockK, value, from, tilesK * blockK, lane,
                        WarpGroup.LANES);
                WarpBarrier.arriveWithCopies(barriers, fullV + 2 * place);
            }
        }
    }

    /** Starts S = Q_i K_j^T. */
    @Phase
    private static void startScores(
            float[] s, int[] tile, int atQ, int atK, int blockQ, int blockK, int paddedDim) {
        WarpGroup.fence();
        startProduct(s, tile, atQ, blockQ, atK, blockK, paddedDim);
        WarpGroup.commit();
    }

    /** Starts O = correction * O + P V_j. Where no maximum of the warp's rows has grown, O is left as it is. */
    @Phase
    private static void startOutputs(
            float[] o, float[] correction, int[] p, int[] tile, int atV, int blockK, int paddedDim) {
        if (correction[0] * correction[1] != 1f) {
            WarpScores.rescale(o, correction, 1, paddedDim);
        }
        WarpGroup.fence();
        startSum(o, p, tile, atV, blockK, paddedDim);
        WarpGroup.commit();
    }

    /** Scores that are more than a scale, and masks; what is left of {@code unit} is the softmax's. */
    @Phase
    private static void scores(
            float[] s, int row0, int offset, int j, int column, int length, int blockK, int everyLeft, int everyRight,
            int windowLeft, int windowRight, float unit, float softcap, float slope, int features) {
        if (!WarpScores.isScaleOnly(1f, softcap, features)) {
            scale(s, blockK, unit);
        }
        WarpScores.scores(
                s, 1, blockK, row0 + offset, j, column, length, everyLeft, everyRight, windowLeft, windowRight, 1f,
                softcap, slope, features);
    }
    // spotless:on

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS} and {@code F16_BITS} of {@link Features}, and the warps of
     *     {@link Features#warpShape}, added
     */
    public static void attention(
            KernelContext context,
            IntArray query,
            IntArray key,
            IntArray value,
            @Element HalfFloatArray output,
            FloatArray logSumExp,
            FloatArray queryScales,
            FloatArray keyValueScales,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int blockK,
            int windowLeft,
            int windowRight,
            float softcap,
            int features) {
        int warps = Features.warps(features);
        int blockQ = 16 * warps;
        int groups = warps / 4;
        int items = 32 * warps;
        Warp.requireGroupSize(items + WarpGroup.LANES);
        int paddedDim = (headDim + 31) / 32 * 32;
        int type = WarpTiles.type(output, features);
        float factor = WarpScores.factor(1f, softcap, features);

        // One array: Q, the places of K, those of V, which lies transposed.
        int atK = (paddedDim + 127) / 128 * WarpGroup.ROW_BYTES * blockQ;
        int keyBytes = (paddedDim + 127) / 128 * WarpGroup.ROW_BYTES * blockK;
        int atV = atK + PLACES * keyBytes;
        int valueBytes = (blockK + 127) / 128 * WarpGroup.ROW_BYTES * paddedDim;
        int[] tile =
                context.allocateIntLocalArray(((headDim + 31) / 32 * 32 + 127) / 128 * 32 * (blockQ + PLACES * blockK)
                        + (blockK + 127) / 128 * 32 * PLACES * ((headDim + 31) / 32 * 32));

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
        int tilesQ = (seqQ + blockQ - 1) / blockQ;
        int tilesK = (seqK + blockK - 1) / blockK;
        int batchHead = context.groupIdx / tilesQ;
        int tileQ = tilesQ - 1 - context.groupIdx % tilesQ;
        int i0 = tileQ * blockQ;
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int kvHead = Placement.keyValueHead(batchHead, heads, kvHeads);
        int rows = TornadoMath.min(blockQ, seqQ - i0);
        int length = Window.length(keyLengths, batch, seqK, features);

        // Query i stands at key position i + offset (bottom-right alignment). The tile sees keys firstKey ... lastKey.
        int offset = length - seqQ;
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
        int firstTile = firstKey / blockK;
        int j0 = firstTile * blockK;
        int tiles = Window.tiles(firstKey, lastKey, j0, blockK);

        // Where the first tiles lie, in ints.
        int ofQ = (batchHead * tilesQ + tileQ) * blockQ * (paddedDim / 4);

        if (item >= items) {
            // The group that copies: Q_i, then K_t and V_t-1 as places become free.
            if (groups > 1) {
                WarpGroup.giveRegisters(copyingRegisters(groups, computingRegisters(groups)));
            }
            int lane = item - items;
            load(tile, 0, blockQ, paddedDim, query, ofQ, paddedDim, lane, WarpGroup.LANES);
            WarpBarrier.arriveWithCopies(barriers, fullQ);
            int ofK = (kvHead * tilesK + firstTile) * blockK * (paddedDim / 4);
            int ofV = (kvHead * paddedDim * tilesK + firstTile) * (blockK / 4);
            // spotless:off: a call in rows
            copyTiles(
                    tile, barriers, key, value, atK, atV, keyBytes, valueBytes, fullK, freeK, fullV, freeV, tiles, ofK,
                    ofV, tilesK, blockK, paddedDim, lane);
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
            int ofScales = 2 * (kvHead * tilesK + firstTile);
            float queryScale = queryScales.get(batchHead * tilesQ + tileQ);

            // Its queries see the tiles from ... to - 1, and each of them the keys everyLeft ... everyRight.
            int position = i0 + 64 * group + offset;
            int lastTile = rows > 64 * group ? tiles : 0;
            int from = Window.firstTile(position, j0, tiles, blockK, windowLeft);
            int to = Window.endTile(position + 63, j0, lastTile, blockK, windowRight);
            int everyLeft = Window.everyLeft(position + 63, windowLeft);
            int everyRight = Window.everyRight(position, length, windowRight);

            // m = -inf, l = 0, O = 0.
            float[] s = new float[blockK / 2];
            int[] p = new int[blockK / 8];
            float[] o = new float[(headDim + 31) / 32 * 32 / 2];
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
                m[r] = Score.NO_SCORE;
                l[r] = 0f;
                correction[r] = 1f;
            }

            // spotless:off: calls in rows
            for (int t = 0; t < from; t++) {
                leaveOut(barriers, fullK, freeK, fullV, freeV, t);
            }
            if (from < to) {
                // S = Q_i K_j^T and P for the first j
                WarpBarrier.await(barriers, fullQ, 0);
                WarpBarrier.await(barriers, fullK + from % PLACES * 2, from / PLACES);
                WarpGroup.fenceLocalMemory();
                startScores(s, tile, atQ, atK + from % PLACES * keyBytes, blockQ, blockK, paddedDim);
                float unit = queryScale * keyValueScales.get(ofScales + 2 * from);
                float shift = keyValueScales.get(ofScales + 2 * from + 1);
                WarpGroup.await(0, s, blockK / 2);
                WarpBarrier.arrive(barriers, freeK + from % PLACES * 2);
                int j = j0 + from * blockK;
                scores(
                        s, i0 + row, offset, j, column, length, blockK, everyLeft, everyRight, windowLeft, windowRight,
                        unit, softcap, slope, features);
                if (!WarpScores.isScaleOnly(1f, softcap, features)) {
                    unit = 1f;
                }
                softmax(s, m, l, correction, blockK, factor * unit, shift);
                pack(s, p, blockK);

                for (int t = from + 1; t < to; t++) {
                    j = j0 + t * blockK;

                    // Start S = Q_i K_j^T and O = correction * O + P V_j-1.
                    WarpBarrier.await(barriers, fullV + (t - 1) % PLACES * 2, (t - 1) / PLACES);
                    WarpBarrier.await(barriers, fullK + t % PLACES * 2, t / PLACES);
                    WarpGroup.fenceLocalMemory();
                    startScores(s, tile, atQ, atK + t % PLACES * keyBytes, blockQ, blockK, paddedDim);
                    unit = queryScale * keyValueScales.get(ofScales + 2 * t);
                    shift = keyValueScales.get(ofScales + 2 * t + 1);
                    startOutputs(o, correction, p, tile, atV + (t - 1) % PLACES * valueBytes, blockK, paddedDim);

                    // When S is there: P = 2^(S - m) and l.
                    WarpGroup.await(1, s, blockK / 2);
                    WarpBarrier.arrive(barriers, freeK + t % PLACES * 2);
                    scores(
                            s, i0 + row, offset, j, column, length, blockK, everyLeft, everyRight, windowLeft,
                            windowRight, unit, softcap, slope, features);
                    if (!WarpScores.isScaleOnly(1f, softcap, features)) {
                        unit = 1f;
                    }
                    softmax(s, m, l, correction, blockK, factor * unit, shift);
                    WarpGroup.await(0, o, (headDim + 31) / 32 * 32 / 2);
                    WarpBarrier.arrive(barriers, freeV + (t - 1) % PLACES * 2);
                    pack(s, p, blockK);
                }

                // O = correction * O + P V_j for the last j
                WarpBarrier.await(barriers, fullV + (to - 1) % PLACES * 2, (to - 1) / PLACES);
                WarpGroup.fenceLocalMemory();
                startOutputs(o, correction, p, tile, atV + (to - 1) % PLACES * valueBytes, blockK, paddedDim);
                WarpGroup.await(0, o, (headDim + 31) / 32 * 32 / 2);
                WarpBarrier.arrive(barriers, freeV + (to - 1) % PLACES * 2);
            }
            for (int t = TornadoMath.max(from, to); t < tiles; t++) {
                leaveOut(barriers, fullK, freeK, fullV, freeV, t);
            }
            // spotless:on

            // O = O / l, L = ln 2 * m + ln l; a query that sees no key gets 0 and -infinity.
            for (int r = 0; r < 2; r++) {
                float sum = RowEnd.sumOfLanes(l[r]);
                if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                    l[r] = sum;
                }
                int i = i0 + row + 8 * r;
                boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
                if (i < seqQ) {
                    int first = (batchHead * seqQ + i) * headDim;
                    WarpTiles.store(
                            output,
                            first,
                            headDim,
                            type,
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
                float[] mended = new float[(headDim + 31) / 32 * 32 / 2];
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
                        int of = i0 + row + 8 * r + offset;
                        mend(
                                mended, ofRow, query, ofQ + (row + 8 * r) * (paddedDim / 4), key,
                                kvHead * tilesK * blockK * (paddedDim / 4), value, kvHead * paddedDim * tilesK * (blockK / 4),
                                queryScale, keyValueScales, 2 * kvHead * tilesK, tilesK, blockK, paddedDim, column, of,
                                Window.firstKey(of, windowLeft), Window.lastKey(of, length, windowRight),
                                softcap, slope, features);
                        int first = (batchHead * seqQ + i0 + row + 8 * r) * headDim;
                        WarpTiles.store(output, first, headDim, type, mended, 0, column, 1f);
                    }
                }
                // spotless:on
            }
        }
    }

    // spotless:off: parameters in rows
    /** What a lane has of a row of the output, as {@link Mending#output}, from the numbers of 8 bits. */
    @Phase
    private static void mend(
            float[] sum, float logSumExp, IntArray query, int queryAt, IntArray key, int keyBase, IntArray value,
            int valueBase, float queryScale, FloatArray keyValueScales, int ofScales, int tilesK, int blockK,
            int paddedDim, int column, int position, int first, int last,
            float softcap, float slope, int features) {
        for (int at = 0; at < paddedDim / 4; at++) {
            sum[2 * at] = 0f;
            sum[2 * at + 1] = 0f;
        }
        for (int j = first; j <= last; j++) {
            float dot = 0f;
            for (int x = 0; x < paddedDim; x++) {
                dot += element(query, queryAt + x / 4, x % 4)
                        * element(key, keyBase + j * (paddedDim / 4) + x / 4, x % 4);
            }
            float unit = queryScale * keyValueScales.get(ofScales + j / blockK * 2);
            float score = Score.of(unit * dot, softcap, slope, position - j, features);
            int hidden = score < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                float p = Warp.exp2((score - logSumExp) * WarpScores.LOG2_E);
                p *= Warp.exp2(keyValueScales.get(ofScales + j / blockK * 2 + 1));
                // Of each 16 keys, those at 4t to 4t + 3 are 2t, 2t + 1, 2t + 8 and 2t + 9.
                int at = valueBase + j / blockK * (blockK / 4) + j % blockK / 16 * 4 + j % 8 / 2;
                int place = j % 16 / 8 * 2 + j % 2;
                for (int n = 0; n < paddedDim / 8; n++) {
                    for (int e = 0; e < 2; e++) {
                        int dim = 8 * n + column + e;
                        sum[4 * n + e] += p * element(value, at + dim * tilesK * (blockK / 4), place);
                    }
                }
            }
        }
    }
    // spotless:on

    /** One of the four numbers of an int. */
    private static float element(IntArray array, int at, int place) {
        return Storage.decodeE4M3(array.get(at) >> 8 * place);
    }

    /**
     * Starts the copy of a tile of {@code columns} bytes a row, whose rows are {@code stride} bytes apart at the
     * source: in blocks of chunks that divide the lanes, so that a lane's chunks lie at constant distances.
     */
    private static void load(
            int[] tile, int at, int rows, int columns, IntArray source, int first, int stride, int item, int items) {
        for (int block = 0; block < columns / 128; block++) {
            loadBlock(tile, at, rows, 8 * block, 8, source, first, stride, item, items);
        }
        int c = columns / 128 * 8;
        if (columns % 128 >= 64) {
            loadBlock(tile, at, rows, c, 4, source, first, stride, item, items);
            c += 4;
        }
        if (columns % 64 >= 32) {
            loadBlock(tile, at, rows, c, 2, source, first, stride, item, items);
        }
    }

    // spotless:off: parameters in rows
    /** Of each row, {@code chunks} chunks from chunk {@code c} on. */
    private static void loadBlock(
            int[] tile, int at, int rows, int c, int chunks, IntArray source, int first, int stride, int item,
            int items) {
        for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
            int row = i * (items / chunks) + item / chunks;
            if (rows * chunks % items == 0 || row < rows) {
                int own = c + item % chunks;
                int from = first + row * (stride / 4) + 4 * own;
                Warp.copyAsync(tile, at + WarpTiles.chunk(rows, row, own), source, from, 16);
            }
        }
    }
    // spotless:on

    /** Starts C = A Bᵀ for 64 rows of a warp group, A and B tiles of {@code rowsA} and {@code rowsB} rows. */
    private static void startProduct(float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int depth) {
        for (int x = 0; x < depth / 32; x++) {
            int a = atA + x / 4 * rowsA * WarpGroup.ROW_BYTES + x % 4 * 32;
            int b = atB + x / 4 * rowsB * WarpGroup.ROW_BYTES + x % 4 * 32;
            WarpGroup.multiply(Warp.E4M3, c, rowsB, tile, a, b, x);
        }
    }

    /** Starts C = C + A Bᵀ for 64 rows of a warp group: A in registers, B a tile of {@code rowsB} rows. */
    private static void startSum(float[] c, int[] a, int[] tile, int atB, int depth, int rowsB) {
        for (int x = 0; x < depth / 32; x++) {
            int b = atB + x / 4 * rowsB * WarpGroup.ROW_BYTES + x % 4 * 32;
            WarpGroup.multiplyTransposed(Warp.E4M3, c, rowsB, a, 4 * x, tile, b, 1);
        }
    }

    /** S = unit * S. */
    private static void scale(float[] s, int columns, float unit) {
        for (int at = 0; at < columns / 2; at++) {
            s[at] *= unit;
        }
    }

    /**
     * One step of the online softmax on a tile whose V has the scale 2^shift: m = max(m, rowmax S + shift - 8), P =
     * 2^(S + shift - m) over S, correction = 2^(old m - m), l = correction * l + rowsum P * 2^-shift.
     */
    private static void softmax(
            float[] s, float[] m, float[] l, float[] correction, int columns, float factor, float shift) {
        float unshifted = Warp.exp2(-shift);
        for (int r = 0; r < 2; r++) {
            float even = s[2 * r];
            float odd = s[2 * r + 1];
            float even2 = s[2 * r + 4];
            float odd2 = s[2 * r + 4 + 1];
            for (int n = 2; n < columns / 8; n += 2) {
                even = TornadoMath.max(even, s[2 * r + 4 * n]);
                odd = TornadoMath.max(odd, s[2 * r + 4 * n + 1]);
                even2 = TornadoMath.max(even2, s[2 * r + 4 * n + 4]);
                odd2 = TornadoMath.max(odd2, s[2 * r + 4 * n + 5]);
            }
            float top = TornadoMath.max(TornadoMath.max(even, even2), TornadoMath.max(odd, odd2));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 1));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 2)) * factor + (shift - LARGEST_P);
            float now = top > m[r] ? top : m[r];
            correction[r] = Warp.exp2(m[r] - now);
            m[r] = now;
            float base = now - shift;
            even = 0f;
            odd = 0f;
            for (int n = 0; n < columns / 8; n++) {
                float p0 = Warp.exp2(s[2 * r + 4 * n] * factor - base);
                float p1 = Warp.exp2(s[2 * r + 4 * n + 1] * factor - base);
                even += p0;
                odd += p1;
                s[2 * r + 4 * n] = p0;
                s[2 * r + 4 * n + 1] = p1;
            }
            l[r] = l[r] * correction[r] + (even + odd) * unshifted;
        }
    }

    /** Two neighbouring accumulators of P, packed, are half of an operand A, for keys in the order of V's columns. */
    private static void pack(float[] s, int[] p, int columns) {
        for (int r = 0; r < 2; r++) {
            for (int n = 0; n < columns / 16; n++) {
                int at = 8 * n + 2 * r;
                p[2 * n + r] = Warp.packE4M3(s[at], s[at + 1], s[at + 4], s[at + 5]);
            }
        }
    }
}
