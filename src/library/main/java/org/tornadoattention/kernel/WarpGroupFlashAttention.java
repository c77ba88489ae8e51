package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.WarpGroups.BARRIER_BYTES;
import static org.tornadoattention.kernel.parts.WarpGroups.WARPS;
import static org.tornadoattention.kernel.parts.WarpGroups.computingRegisters;
import static org.tornadoattention.kernel.parts.WarpGroups.copyingRegisters;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.BiasTiles;
import org.tornadoattention.kernel.parts.CachedKeys;
import org.tornadoattention.kernel.parts.DividedTiles;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.StayingGroups;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.kernel.parts.TileList;
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
 * Attention's forward pass on Hopper's asynchronous tensor cores: warp groups of 64 queries each compute, at their own
 * pace, from tiles of K and V that one more warp group copies; while the tensor cores multiply P_j-1 by V_j-1, a
 * group's warps turn S_j into P_j.
 *
 * <p>Source: Shah et al., <i>FlashAttention-3</i> (2024), algorithms 1 and 2 (a warp group that only copies, products
 * and softmax of one warp group overlap, and turns), with the intrinsics of {@link WarpGroup} and {@link WarpBarrier}.
 * K and V have two places each in local memory. A place is full when its copies are there, which nobody waits for but
 * who computes, and free when all groups have read it. A group leaves out the tiles that its own queries do not see.
 * The groups that compute take registers over from the one that copies.
 *
 * <p><b>Arrays, arithmetic.</b> As {@link WarpFlashAttention}; rows of views lie where {@link Layout} finds them.
 *
 * <p><b>Over a cache.</b> In forms where {@link CachedKeys#arePresent}, queries are chunks of sequences whose keys lie
 * in the pages of a cache: keyLengths and step are the arrays {@code sequences} and {@code step} of {@link StepLayout},
 * which are read when the kernel runs, and rows lie where {@link Layout} finds them. Where
 * {@link CachedKeys#arePlacesRead}, a caller's {@code positions}, {@code validRows}, {@code lengths} and, as
 * keyLengths, {@code blockTable} of {@link ReadPositions} take their place. With several parts of the keys there is no
 * output, and logSumExp is the partials of {@link SplitKeyAttention}. Where {@link CachedKeys#areStepsRead}, step has
 * the windows too, and headTerms is {@code numbers}, which has the scale beside the terms. Functions are asked about
 * queries by their places in the sequence.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@link #groupSize} work-items,
 * times the parts of a cache's keys; {@code blockQ} is a multiple of 64, {@code blockK} of 16. Or {@code staying}
 * groups, as many as the device runs at once, which compute all tiles of queries, one after the other as
 * {@link StayingGroups} says: the next tile's Q, K and V are on their way while a tile's last product runs and its rows
 * are written. Where block masks leave tiles of keys out, the warps that copy list those of the next tile of queries.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of Q, two of K, two of V, and barriers: more than the 48
 * KiB that CUDA gives without being asked; this project's own assembly of kernels asks. A dense bias of 16 bits, whose
 * tiles come with those of K, takes {@link #biasBytes} more, and groups that stay {@link #stayingBytes}.
 *
 * <p><b>Device.</b> Compute capability 9.0, through TornadoVM's CUDA backend with this project's intrinsics; the
 * simulator.
 */
public final class WarpGroupFlashAttention {

    /** Tiles of K, and of V, that local memory holds at a time. */
    private static final int PLACES = 2;

    /** Nine, and one for each warp group that computes. */
    private static final int BARRIERS = 16;

    /** Three more, where groups list tiles of several rounds; local arrays are multiples of 16 bytes. */
    private static final int BARRIERS_WITH_LISTS = 20;

    /**
     * The widest head whose exponentials take as long as its products: up to it, warp groups take turns with the
     * products.
     */
    private static final int TURNS_UP_TO = 64;

    /** Warp groups whose products fill the tensor cores while one of them has none under way. */
    private static final int GROUPS_THAT_FILL = 3;

    /** What is known of a tile of queries where groups stay: elements of an array of so many. */
    private static final int PLACE = 10;

    private static final int BATCH_HEAD = 0;
    private static final int FIRST_QUERY = 1;
    private static final int LENGTH = 2;
    private static final int FIRST_KEY = 3;
    private static final int TILES = 4;
    private static final int FROM = 5;
    private static final int TO = 6;
    private static final int OFFSET = 7;
    private static final int END = 8;
    private static final int TABLE = 9;

    private WarpGroupFlashAttention() {}

    /** Work-items of a group: those that compute, and a warp group that copies. */
    public static int groupSize(int blockQ) {
        return WarpGroups.groupSize(blockQ);
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return WarpTiles.tileBytes(blockQ, headDim) + 2 * PLACES * WarpTiles.tileBytes(blockK, headDim) + BARRIER_BYTES;
    }

    /** Further bytes where groups stay: the next tile of queries. */
    public static int stayingBytes(int headDim, int blockQ) {
        return WarpTiles.tileBytes(blockQ, headDim);
    }

    /** Further bytes where a dense bias of 16 bits is copied. */
    public static int biasBytes(int blockQ, int blockK) {
        return PLACES * BiasTiles.bytes(blockQ, blockK);
    }

    /**
     * Whether maxima are raised seldom, where P shows that they are too low: with biases, and where three warp groups
     * compute, whose products leave the tensor cores nothing to wait for while one of them turns S into P.
     */
    private static boolean isRaisedSeldom(int blockQ) {
        boolean seldom = Functions.addBiases();
        if (blockQ / 64 >= GROUPS_THAT_FILL) {
            seldom = true;
        }
        return seldom;
    }

    /** O times the factors of its rows, most often 1 where maxima are raised seldom. */
    private static void rescale(float[] o, float[] correction, int blockQ, int paddedValueDim) {
        if (isRaisedSeldom(blockQ)) {
            if (correction[0] * correction[1] != 1f) {
                WarpScores.rescale(o, correction, 1, paddedValueDim);
            }
        } else {
            WarpScores.rescale(o, correction, 1, paddedValueDim);
        }
    }

    private static int barrierInts() {
        return (Functions.leaveTilesOut() ? BARRIERS_WITH_LISTS : BARRIERS) * WarpBarrier.INTS;
    }

    /** What is said of queries where functions are asked about those of a sequence, of which a chunk has some. */
    private static int asked(int ofSequence, int ofChunk) {
        return CachedKeys.arePresent() && Functions.arePresent() ? ofSequence : ofChunk;
    }

    /** Waits until the warp groups before this one have started their products of step {@code t}. */
    private static void awaitTurn(int headDim, int[] barriers, int turn, int group, int t) {
        if (headDim <= TURNS_UP_TO) {
            if (group > 0) {
                WarpBarrier.await(barriers, turn + 2 * group, t);
            } else if (t > 0) {
                WarpBarrier.await(barriers, turn, t - 1);
            }
        }
    }

    /** It is the next warp group's turn. */
    private static void passTurn(int headDim, int[] barriers, int turn, int group, int groups) {
        if (headDim <= TURNS_UP_TO) {
            WarpBarrier.arrive(barriers, turn + (group + 1) % groups * 2);
        }
    }

    /** Waits until a place is free for tile {@code t - behind}. */
    private static void awaitFree(int[] barriers, int free, int t, int behind) {
        if (t >= PLACES + behind) {
            WarpBarrier.await(barriers, free, (t - behind) / PLACES - 1);
        }
    }

    /** Leaves the tiles K_t and V_t to others. */
    private static void leaveOut(
            int headDim,
            int[] barriers,
            int turn,
            int group,
            int groups,
            int fullK,
            int freeK,
            int fullV,
            int freeV,
            int t) {
        awaitTurn(headDim, barriers, turn, group, t);
        passTurn(headDim, barriers, turn, group, groups);
        WarpBarrier.await(barriers, fullK + t % PLACES * 2, t / PLACES);
        WarpBarrier.arrive(barriers, freeK + t % PLACES * 2);
        WarpBarrier.await(barriers, fullV + t % PLACES * 2, t / PLACES);
        WarpBarrier.arrive(barriers, freeV + t % PLACES * 2);
    }

    /** Copies the tile of Q. */
    private static void loadQueries(
            int[] tile,
            int at,
            int[] barriers,
            int fullQ,
            @Element HalfFloatArray query,
            int queryBase,
            int blockQ,
            int rows,
            int headDim,
            int lane) {
        if (CachedKeys.arePresent() && CachedKeys.areAhead() && CachedKeys.pagesOfWarp() > 1) {
            // Numbers of rows would take registers from several pages.
            CachedKeys.loadQueries(tile, at, query, queryBase, blockQ, rows, headDim, lane);
        } else if (CachedKeys.arePresent() || Layout.isStrided()) {
            int apart = Layout.queryRow();
            WarpTiles.load(tile, at, blockQ, query, queryBase, apart, rows, headDim, lane, WarpGroup.LANES);
        } else {
            WarpTiles.load(tile, at, blockQ, query, queryBase, rows, headDim, lane, WarpGroup.LANES);
        }
        WarpBarrier.arriveWithCopies(barriers, fullQ);
    }

    // spotless:off: parameters and calls in rows
    /** Readies the barriers. */
    @Phase
    private static void initBarriers(
            int[] barriers, int fullQ, int freeQ, int fullK, int freeK, int fullV, int freeV, int turn, int groups,
            int staying) {
        WarpBarrier.initForCopies(barriers, fullQ, WARPS);
        if (staying > 0) {
            for (int place = 0; place < PLACES; place++) {
                WarpBarrier.init(barriers, freeQ + 2 * place, WARPS * groups);
            }
            WarpBarrier.initForCopies(barriers, freeQ + 2 * PLACES, WARPS);
            if (Functions.leaveTilesOut()) {
                // A list of a place is there; the warps that copy have counted.
                for (int place = 0; place <= PLACES; place++) {
                    WarpBarrier.init(barriers, freeQ + 2 * (PLACES + 1 + place), WARPS);
                }
            }
        }
        for (int place = 0; place < PLACES; place++) {
            WarpBarrier.initForCopies(barriers, fullK + 2 * place, WARPS);
            WarpBarrier.init(barriers, freeK + 2 * place, WARPS * groups);
            WarpBarrier.initForCopies(barriers, fullV + 2 * place, WARPS);
            WarpBarrier.init(barriers, freeV + 2 * place, WARPS * groups);
        }
        for (int group = 0; group < groups; group++) {
            WarpBarrier.init(barriers, turn + 2 * group, WARPS);
        }
    }

    /** Copies K_t, with the biases of its keys, and V_t-1 as places become free. */
    @Phase
    private static void copyTiles(
            int[] tile, int[] barriers, HalfFloatArray key, HalfFloatArray value, IntArray keyLengths, int atList,
            int atK, int atV, int atBiases, int keyBytes, int valueBytes, int fullK, int freeK, int fullV, int freeV,
            int tiles, int j0, int batch, int head, int kvHead, int keyBase, int i0, int rows, int length,
            int padding, int table, int blockQ, int blockK, int headDim, int addedValueDim, int lane) {
        int biasBase = 0;
        int biasStep = 0;
        int biasRows = 0;
        if (Functions.addBiases()) {
            if (BiasTiles.areCopied(blockK) > 0) {
                biasBase = Functions.elementOfBias(batch, head, i0, 0);
                biasStep = Functions.elementOfBias(batch, head, i0 + 1, 0) - biasBase;
                biasRows = rows;
            }
        }
        for (int t = 0; t <= tiles; t++) {
            int j = j0 + TileList.tile(tile, atList, t, tiles) * blockK;
            int from = keyBase + j * headDim;
            if (t < tiles) {
                int place = t % PLACES;
                int at = atK + place * keyBytes;
                if (CachedKeys.arePresent()) {
                    // Pages are looked up while the place may still be taken.
                    int[] starts = new int[(blockK * ((headDim + 15) / 16) + 63) / 64];
                    CachedKeys.find(
                            starts, false, keyLengths, table, kvHead, j, length, padding, blockK, headDim, lane);
                    awaitFree(barriers, freeK + 2 * place, t, 0);
                    CachedKeys.load(tile, at, starts, Layout.keyRow(), key, blockK, length - j, headDim, lane);
                } else {
                    awaitFree(barriers, freeK + 2 * place, t, 0);
                    if (Layout.isStrided()) {
                        int first = Layout.key(batch, kvHead, j);
                        int apart = Layout.keyRow();
                        int count = length - j;
                        WarpTiles.load(tile, at, blockK, key, first, apart, count, headDim, lane, WarpGroup.LANES);
                    } else if (Functions.addBiases()) {
                        if (length - j >= blockK) {
                            WarpTiles.loadAll(tile, at, blockK, key, from, headDim, lane, WarpGroup.LANES);
                        } else {
                            WarpTiles.load(tile, at, blockK, key, from, length - j, headDim, lane, WarpGroup.LANES);
                        }
                    } else {
                        WarpTiles.load(tile, at, blockK, key, from, length - j, headDim, lane, WarpGroup.LANES);
                    }
                    if (Functions.addBiases()) {
                        int atBias = atBiases + place * BiasTiles.bytes(blockQ, blockK);
                        int first = biasRows > 0 ? biasBase + j : 0;
                        if (TornadoMath.min(biasRows - blockQ, length - j - blockK) >= 0) {
                            BiasTiles.loadAll(tile, atBias, blockQ, blockK, first, biasStep, lane, WarpGroup.LANES);
                        } else {
                            BiasTiles.load(
                                    tile, atBias, blockQ, blockK, first, biasStep, biasRows, length - j, lane,
                                    WarpGroup.LANES);
                        }
                    }
                }
                WarpBarrier.arriveWithCopies(barriers, fullK + 2 * place);
            }
            if (t > 0) {
                int place = (t - 1) % PLACES;
                int at = atV + place * valueBytes;
                int back = TileList.distance(tile, atList, t, tiles) * blockK;
                int count = length - j + back;
                if (CachedKeys.arePresent()) {
                    int[] starts = new int[(blockK * ((headDim + 15) / 16) + 63) / 64];
                    int first = j - back;
                    CachedKeys.find(
                            starts, true, keyLengths, table, kvHead, first, length, padding, blockK, headDim, lane);
                    awaitFree(barriers, freeV + 2 * place, t, 1);
                    CachedKeys.load(tile, at, starts, Layout.valueRow(), value, blockK, count, headDim, lane);
                } else {
                    awaitFree(barriers, freeV + 2 * place, t, 1);
                    if (Layout.isStrided()) {
                        int first = Layout.value(batch, kvHead, j - back);
                        int apart = Layout.valueRow();
                        WarpTiles.load(
                                tile, at, blockK, value, first, apart, count, headDim + addedValueDim, lane,
                                WarpGroup.LANES);
                    } else {
                        int before = from - back * headDim;
                        before += before / headDim * addedValueDim;
                        if (Functions.addBiases()) {
                            if (count >= blockK) {
                                WarpTiles.loadAll(
                                        tile, at, blockK, value, before, headDim + addedValueDim, lane,
                                        WarpGroup.LANES);
                            } else {
                                WarpTiles.load(
                                        tile, at, blockK, value, before, count, headDim + addedValueDim, lane,
                                        WarpGroup.LANES);
                            }
                        } else {
                            WarpTiles.load(
                                    tile, at, blockK, value, before, count, headDim + addedValueDim, lane,
                                    WarpGroup.LANES);
                        }
                    }
                }
                WarpBarrier.arriveWithCopies(barriers, fullV + 2 * place);
            }
        }
    }

    /**
     * Copies K_t and V_t-1 of a tile of queries from the pages of a cache as places become free; V of its last step is
     * left to who comes next. Pages are looked up while the places of the tile before are still taken, and serve keys
     * and values.
     *
     * @param ahead the pages of the first keys
     * @param behind where V of the step before is, and how many rows it has; gets the same of the last step
     * @param before steps of the tiles of queries before
     * @param values those of them whose V was copied
     */
    @Phase
    private static void copyPages(
            int[] tile, int[] barriers, HalfFloatArray key, HalfFloatArray value, IntArray keyLengths, int[] ahead,
            int[] behind, int atK, int atV, int keyBytes, int valueBytes, int fullK, int freeK, int fullV, int freeV,
            int before, int values, int tiles, int j0, int kvHead, int length, int padding, int table, int blockK,
            int headDim, int lane) {
        for (int t = 0; t < tiles; t++) {
            int j = j0 + t * blockK;
            int step = before + t;
            int place = step % PLACES;
            awaitFree(barriers, freeK + 2 * place, step, 0);
            CachedKeys.loadKeys(
                    tile, atK + place * keyBytes, ahead, key, kvHead, j, padding, blockK, length - j, headDim, lane);
            WarpBarrier.arriveWithCopies(barriers, fullK + 2 * place);
            if (t > 0 || before > values) {
                copyPagedValues(
                        tile, barriers, value, behind, atV, valueBytes, fullV, freeV, step, blockK, headDim, lane);
            }
            CachedKeys.findValues(behind, ahead, kvHead, j, padding, blockK, length - j, lane);
            CachedKeys.lookUp(ahead, keyLengths, table, j + blockK, length, padding, blockK, lane);
        }
    }

    /** Copies V of the step before from pages, when its place is free. */
    @Phase
    private static void copyPagedValues(
            int[] tile, int[] barriers, HalfFloatArray value, int[] behind, int atV, int valueBytes, int fullV,
            int freeV, int step, int blockK, int headDim, int lane) {
        int place = (step - 1) % PLACES;
        awaitFree(barriers, freeV + 2 * place, step, 1);
        CachedKeys.loadValues(tile, atV + place * valueBytes, behind, value, blockK, headDim, lane);
        WarpBarrier.arriveWithCopies(barriers, fullV + 2 * place);
    }

    /** m = -inf, l = 0, O = 0. */
    @Phase
    private static void clear(
            float[] s, float[] o, float[] m, float[] l, float[] correction, int blockK, int paddedDim) {
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
    }

    /** Starts S = Q_i K_j^T for tile {@code t}, when it is there, if that is not known, and this warp group's turn. */
    @Phase
    private static void startScores(
            int type, float[] s, int[] tile, int[] barriers, int fullK, int turn, int group, int atQ, int atK,
            int tileBytes, int blockQ, int blockK, int headDim, boolean there, int t) {
        if (!there) {
            WarpBarrier.await(barriers, fullK + t % PLACES * 2, t / PLACES);
        }
        awaitTurn(headDim, barriers, turn, group, t);
        WarpGroup.fenceLocalMemory();
        WarpGroup.fence();
        int paddedDim = (headDim + 15) / 16 * 16;
        WarpTiles.startProduct(type, s, tile, atQ, blockQ, atK + t % PLACES * tileBytes, blockK, paddedDim);
        WarpGroup.commit();
    }

    /** The scores of the first tile. */
    @Phase
    private static void firstScores(
            float[] s, int[] biases, int[] tile, int atList, int t, int copied, int batch, int head, int i0, int row,
            int item, int j, int column, int seqQ, int offset, int length, int blockK, int everyLeft, int everyRight,
            int windowLeft, int windowRight, float scale, float softcap, float slope, int features) {
        if (Functions.addBiases()) {
            askWithBiases(
                    s, biases, TileList.isWhole(tile, atList, t), copied, batch, head, i0, row, item, j, column, seqQ,
                    offset, length, blockK, everyLeft, everyRight, windowLeft, windowRight, scale, softcap, slope,
                    features);
        } else if (Functions.changeScores()) {
            WarpScores.ask(
                    s, 1, blockK, batch, head, i0 + row, j + column, seqQ, offset, length, windowLeft,
                    windowRight, scale, softcap, slope, features, true);
        } else {
            WarpScores.maskedScores(
                    s, 1, blockK, false, batch, head, i0 + row, j, column, seqQ, offset, length, everyLeft,
                    everyRight, windowLeft, windowRight, scale, softcap, slope, features,
                    TileList.isWhole(tile, atList, t));
        }
    }

    /** Starts O = O + P V_j for tile {@code t}, when it is there. */
    @Phase
    private static void startOutputs(
            int type, float[] o, int[] p, int[] tile, int[] barriers, int fullV, int atV, int tileBytes, int blockK,
            int paddedDim, int t) {
        WarpBarrier.await(barriers, fullV + t % PLACES * 2, t / PLACES);
        WarpGroup.fenceLocalMemory();
        WarpGroup.fence();
        WarpTiles.startSum(type, o, p, tile, atV + t % PLACES * tileBytes, blockK, paddedDim);
        WarpGroup.commit();
    }

    /** The scores of a tile whose biases are in registers, if they were copied and nothing is hidden of it. */
    @Phase
    private static void askWithBiases(
            float[] s, int[] biases, int whole, int copied, int batch, int head, int i0, int row, int item, int j,
            int column, int seqQ, int offset, int length, int blockK, int everyLeft, int everyRight, int windowLeft,
            int windowRight, float scale, float softcap, float slope, int features) {
        int inner = WarpScores.isInner(
                1, blockK, false, i0 + item / 32 * 16 + 7, j, seqQ, length, everyLeft, everyRight, whole);
        if (TornadoMath.min(copied, inner) > 0) {
            WarpScores.askWithBiases(
                    s, biases, 1, blockK, batch, head, i0 + row, j + column, offset, scale, softcap, slope, features);
        } else {
            WarpScores.ask(
                    s, 1, blockK, batch, head, i0 + row, j + column, seqQ, offset, length, windowLeft,
                    windowRight, scale, softcap, slope, features, true);
        }
    }

    /** The scores of a tile, when S is there; what functions add to it is read before. */
    @Phase
    private static void scores(
            float[] s, int[] biases, int[] barriers, int free, int whole, int copied, int batch, int head, int i0,
            int row, int item, int j, int column, int seqQ, int offset, int length, int blockK, int everyLeft,
            int everyRight, int windowLeft, int windowRight, float scale, float softcap, float slope, int features) {
        int inner = 0;
        if (Functions.changeScores() && !Functions.addBiases()) {
            inner = WarpScores.isInner(
                    1, blockK, false, i0 + item / 32 * 16 + 7, j, seqQ, length, everyLeft, everyRight, whole);
        }
        WarpGroup.await(1, s, blockK / 2);
        WarpBarrier.arrive(barriers, free);
        if (Functions.addBiases()) {
            askWithBiases(
                    s, biases, whole, copied, batch, head, i0, row, item, j, column, seqQ, offset, length, blockK,
                    everyLeft, everyRight, windowLeft, windowRight, scale, softcap, slope, features);
        } else if (Functions.changeScores()) {
            if (inner > 0) {
                WarpScores.ask(
                        s, 1, blockK, batch, head, i0 + row, j + column, seqQ, offset, length, windowLeft,
                        windowRight, scale, softcap, slope, features, false);
            } else {
                WarpScores.ask(
                        s, 1, blockK, batch, head, i0 + row, j + column, seqQ, offset, length, windowLeft,
                        windowRight, scale, softcap, slope, features, true);
            }
        } else {
            WarpScores.maskedScores(
                    s, 1, blockK, false, batch, head, i0 + row, j, column, seqQ, offset, length,
                    everyLeft, everyRight, windowLeft, windowRight, scale, softcap, slope, features,
                    whole);
        }
    }

    /**
     * P of a tile and l where {@link #isRaisedSeldom}. Nearly always m can stay as it is, which P shows when it is there; otherwise it
     * is computed once more, from the maxima of S.
     */
    @Phase
    private static void weigh(
            int type, float[] s, int[] p, float[] m, float[] l, float[] correction, IntArray keyLengths, int batchHead,
            int query, int key, int blockK, float factor, int features) {
        int grown = 1;
        if ((features & Features.DROPOUT) == 0) {
            float[] sums = new float[2];
            grown = Warp.any(WarpScores.weigh(type, s, p, m, sums, blockK, factor));
            if (grown == 0) {
                l[0] += sums[0];
                l[1] += sums[1];
                correction[0] = 1f;
                correction[1] = 1f;
            }
        }
        if (grown > 0) {
            WarpScores.softmaxWithRoom(s, m, l, correction, blockK, factor);
            WarpScores.drop(s, 1, blockK, keyLengths, batchHead, query, key, features);
            WarpScores.pack(type, s, p, 1, blockK);
        }
    }

    /**
     * All that a warp group computes of a tile of queries, before O / l.
     *
     * @param ofQ the phase of the barrier {@code fullQ} in which Q comes
     * @param freeQ the barrier that says when Q is no longer read, where groups stay, otherwise 0
     * @param before steps of the tiles before, where groups stay
     */
    @Phase
    private static void attend(
            int type, float[] s, int[] p, float[] o, float[] m, float[] l, float[] correction, int[] biases, int[] tile,
            int[] barriers, IntArray keyLengths, int atList, int fullQ, int ofQ, int freeQ, int fullK, int freeK,
            int fullV,
            int freeV, int turn, int atQ, int atK, int atV, int atBiases, int keyBytes, int valueBytes, int group,
            int groups, int before, int from, int to, int tiles, int copied, int batchHead, int batch, int head, int i0,
            int row, int item, int column, int seqQ, int offset, int length, int j0, int blockQ, int blockK,
            int headDim, int addedValueDim, int everyLeft, int everyRight, int windowLeft, int windowRight, float scale,
            float softcap, float factor, float slope, int threshold, int features) {
        int paddedValueDim = (headDim + addedValueDim + 15) / 16 * 16;
        for (int t = 0; t < from; t++) {
            leaveOut(headDim, barriers, turn, group, groups, fullK, freeK, fullV, freeV, before + t);
        }
        if (from < to) {
            // S = Q_i K_j^T and P for the first j
            WarpBarrier.await(barriers, fullQ, ofQ);
            startScores(
                    type, s, tile, barriers, fullK, turn, group, atQ, atK, keyBytes, blockQ, blockK, headDim, false,
                    before + from);
            passTurn(headDim, barriers, turn, group, groups);
            if (Functions.addBiases()) {
                int atBias = atBiases + (before + from) % PLACES * BiasTiles.bytes(blockQ, blockK);
                BiasTiles.read(biases, tile, atBias, blockQ, blockK, item);
            }
            WarpGroup.await(0, s, blockK / 2);
            WarpBarrier.arrive(barriers, freeK + (before + from) % PLACES * 2);
            int j = j0 + TileList.tile(tile, atList, from, tiles) * blockK;
            firstScores(
                    s, biases, tile, atList, from, copied, batch, head, i0, row, item, j, column, seqQ, offset, length,
                    blockK, everyLeft, everyRight, windowLeft, windowRight, scale, softcap, slope, features);
            if (isRaisedSeldom(blockQ)) {
                WarpScores.softmaxWithRoom(s, m, l, correction, blockK, factor);
            } else {
                WarpScores.softmax(s, m, l, correction, 1, blockK, factor, threshold);
            }
            WarpScores.drop(s, 1, blockK, keyLengths, batchHead, i0 + row, j + column, features);
            WarpScores.pack(type, s, p, 1, blockK);

            for (int t = from + 1; t < to; t++) {
                j = j0 + TileList.tile(tile, atList, t, tiles) * blockK;
                int step = before + t;
                int place = step % PLACES;

                // Start S = Q_i K_j^T and O = correction * O + P V_j-1.
                if (Functions.addBiases()) {
                    // Instructions of these warps bind: one wait and one fence for both products, since K_j is there
                    // where V_j-1, whose copies follow it, is; and O as it is while no maximum grew.
                    WarpBarrier.await(barriers, fullV + (step - 1) % PLACES * 2, (step - 1) / PLACES);
                }
                startScores(
                        type, s, tile, barriers, fullK, turn, group, atQ, atK, keyBytes, blockQ, blockK, headDim,
                        Functions.addBiases(), step);
                if (Functions.addBiases()) {
                    BiasTiles.read(
                            biases, tile, atBiases + place * BiasTiles.bytes(blockQ, blockK), blockQ, blockK, item);
                    rescale(o, correction, blockQ, paddedValueDim);
                    WarpGroup.fence();
                    WarpTiles.startSum(
                            type, o, p, tile, atV + (step - 1) % PLACES * valueBytes, blockK, paddedValueDim);
                    WarpGroup.commit();
                } else {
                    rescale(o, correction, blockQ, paddedValueDim);
                    startOutputs(
                            type, o, p, tile, barriers, fullV, atV, valueBytes, blockK, paddedValueDim, step - 1);
                }
                passTurn(headDim, barriers, turn, group, groups);

                // P = 2^(S - m) and l.
                scores(
                        s, biases, barriers, freeK + 2 * place, TileList.isWhole(tile, atList, t), copied, batch, head,
                        i0, row, item, j, column, seqQ, offset, length, blockK, everyLeft, everyRight, windowLeft,
                        windowRight, scale, softcap, slope, features);
                if (!isRaisedSeldom(blockQ)) {
                    WarpScores.softmax(s, m, l, correction, 1, blockK, factor, threshold);
                }
                WarpGroup.await(0, o, paddedValueDim / 2);
                WarpBarrier.arrive(barriers, freeV + (step - 1) % PLACES * 2);
                if (isRaisedSeldom(blockQ)) {
                    weigh(
                            type, s, p, m, l, correction, keyLengths, batchHead, i0 + row, j + column, blockK, factor,
                            features);
                } else {
                    WarpScores.drop(s, 1, blockK, keyLengths, batchHead, i0 + row, j + column, features);
                    WarpScores.pack(type, s, p, 1, blockK);
                }
            }

            if (freeQ > 0) {
                // Who copies brings the next tile but one before the last V, where the next one has no keys.
                WarpBarrier.arrive(barriers, freeQ);
            }

            // O = correction * O + P V_j for the last j
            WarpScores.rescale(o, correction, 1, paddedValueDim);
            startOutputs(
                    type, o, p, tile, barriers, fullV, atV, valueBytes, blockK, paddedValueDim, before + to - 1);
            WarpGroup.await(0, o, (headDim + addedValueDim + 15) / 16 * 16 / 2);
            WarpBarrier.arrive(barriers, freeV + (before + to - 1) % PLACES * 2);
        }
        for (int t = TornadoMath.max(from, to); t < tiles; t++) {
            leaveOut(headDim, barriers, turn, group, groups, fullK, freeK, fullV, freeV, before + t);
        }
    }

    /** O = O / l, L = ln 2 * m + ln l for this lane's rows; a query that sees no key gets 0 and -infinity. */
    @Phase
    private static void storeRows(
            HalfFloatArray output, FloatArray logSumExp, FloatArray headTerms, float[] o, float[] m, float[] l,
            int batchHead, int batch, int head, int heads, int outputBase, int i0, int row, int column, int lane,
            int seqQ, int valueDim, int end, int offset, int length, int part, int outputType, int staying,
            int windowLeft, int windowRight, int features) {
        int turned = valueDim % 32 == 0 ? 1 : 0;
        if (!Functions.leaveTilesOut() && staying == 0) {
            turned = 0;
        }
        if (CachedKeys.arePresent() || Layout.isStrided()) {
            turned = 0;
        }
        for (int r = 0; r < 2; r++) {
            float sum = RowEnd.sumOfLanes(l[r]);
            if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                l[r] = sum;
            }
            int i = i0 + row + 8 * r;
            boolean masked = Window.isFullyMasked(i + offset, length, windowLeft, windowRight);
            if (turned > 0) {
                // Rows of few tiles feel what their end takes.
                int first = outputBase + (row + 8 * r) * valueDim;
                float inverse = RowEnd.inverseOfWarp(masked, m[r], sum, headTerms, head, features);
                int seen = i < end ? 1 : 0;
                WarpTiles.storeTurned(output, first, valueDim, outputType, o, r, lane, inverse, seen);
            }
            if (i < end) {
                if (CachedKeys.areDivided()) {
                    int of = ((batch * seqQ + i) * heads + head) * CachedKeys.allParts() + part;
                    float inverse = RowEnd.inverseOfPart(part, m[r], sum, headTerms, head, features);
                    WarpTiles.store(logSumExp, of * valueDim, valueDim, o, r, column, inverse);
                    if (lane % 4 == 0) {
                        int logSumExps = logSumExp.getSize() / (valueDim + 1) * valueDim;
                        float lse = RowEnd.logSumExpOfPart(part, m[r], sum, headTerms, head, features);
                        Warp.store(logSumExp, logSumExps + of, lse);
                    }
                } else {
                    if (turned == 0) {
                        int first = outputBase + (row + 8 * r) * valueDim;
                        if (Layout.isStrided()) {
                            first = Layout.output(batch, head, i);
                        }
                        float inverse = RowEnd.inverseOfWarp(masked, m[r], sum, headTerms, head, features);
                        WarpTiles.store(output, first, valueDim, outputType, o, r, column, inverse);
                    }
                    if (lane % 4 == 0) {
                        float lse = RowEnd.logSumExpOfWarp(masked, m[r], sum, headTerms, head, features);
                        Warp.store(logSumExp, batchHead * seqQ + i, lse);
                    }
                }
            }
        }
    }

    /**
     * Where a tile of queries is: batch * heads + head, its first query, the keys of its batch entry, the first key of
     * its first tile of keys, how many tiles of keys there are, and from which to which those of a warp group are.
     */
    @Phase
    private static void find(
            int[] place, IntArray keyLengths, IntArray positions, IntArray validRows, IntArray lengths, int tileOfAll,
            int group, int heads, int seqQ, int seqK, int blockQ, int blockK, int windowLeft, int windowRight,
            int features) {
        int batchHead = Placement.batchHead(tileOfAll, seqQ, blockQ);
        int i0 = Placement.firstQuery(tileOfAll, seqQ, blockQ);
        int end = seqQ;
        int length = Window.length(keyLengths, batchHead / heads, seqK, features);
        int offset = length - seqQ;
        int table = 0;
        if (CachedKeys.arePlacesRead()) {
            int batch = batchHead / heads;
            end = ReadPositions.rows(validRows, batch, seqQ, CachedKeys.given());
            offset = positions.get(batch);
            length = CachedKeys.length(lengths, batch, offset + end, seqK);
            table = CachedKeys.table(batch);
        }
        int rows = TornadoMath.min(blockQ, end - i0);
        int first = i0 + offset;
        int firstKey = Window.firstKey(first, windowLeft);
        int j0 = firstKey / blockK * blockK;
        int tiles = Window.tiles(firstKey, Window.lastKey(first + rows - 1, length, windowRight), j0, blockK);
        if (CachedKeys.arePlacesRead()) {
            tiles = rows > 0 ? tiles : 0;
        }
        place[OFFSET] = offset;
        place[END] = end;
        place[TABLE] = table;
        int position = first + 64 * group;
        int seen = rows > 64 * group ? tiles : 0;
        place[BATCH_HEAD] = batchHead;
        place[FIRST_QUERY] = i0;
        place[LENGTH] = length;
        place[FIRST_KEY] = j0;
        place[TILES] = tiles;
        place[FROM] = Window.firstTile(position, j0, tiles, blockK, windowLeft);
        place[TO] = Window.endTile(position + 63, j0, seen, blockK, windowRight);
    }

    /** The warp group that copies where groups stay: Q, then K_t and V_t-1, of one tile of queries after another. */
    @Phase
    private static void copyOfAll(
            int[] tile, int[] barriers, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            IntArray keyLengths, IntArray positions, IntArray validRows, IntArray lengths, int atList, int fullQ,
            int freeQ, int told, int fullK, int freeK, int fullV, int freeV, int queryBytes, int atK, int atV,
            int keyBytes, int valueBytes, int ofGroup, int staying, int tilesOfAll, int heads,
            int kvHeads, int seqQ, int seqK, int blockQ, int blockK, int headDim, int addedValueDim, int windowLeft,
            int windowRight, int features, int lane) {
        if (!CachedKeys.arePresent() || CachedKeys.arePlacesRead() && CachedKeys.areAhead()) {
            int valueDim = headDim + addedValueDim;
            int[] place = new int[PLACE];
            int[] next = new int[PLACE];
            int[] ahead = new int[CachedKeys.pagesOfWarp()];
            int[] behind = new int[CachedKeys.pagesOfWarp() + 1];
            int step = 0;
            int values = 0;
            int from = 0;
            int count = 0;
            int rounds = StayingGroups.rounds(tilesOfAll, ofGroup, staying);
            for (int round = 0; round < rounds; round++) {
                int tileOfAll = StayingGroups.tile(round, ofGroup, staying);
                find(
                        place, keyLengths, positions, validRows, lengths, tileOfAll, 0, heads, seqQ, seqK, blockQ,
                        blockK, windowLeft, windowRight, features);
                int batchHead = place[BATCH_HEAD];
                int i0 = place[FIRST_QUERY];
                int length = place[LENGTH];
                int j0 = place[FIRST_KEY];
                int slot = round % PLACES;
                int queryBase = (batchHead * seqQ + i0) * headDim;
                int keyValueHead = Placement.keyValueHead(batchHead, heads, kvHeads);
                if (CachedKeys.arePresent()) {
                    CachedKeys.lookUp(ahead, keyLengths, place[TABLE], j0, length, 0, blockK, lane);
                }
                if (CachedKeys.arePresent() || Layout.isStrided()) {
                    queryBase = Layout.query(batchHead / heads, batchHead % heads, i0);
                }
                int atListOfSlot = atList + slot * Integer.BYTES * TileList.ints((seqK + blockK - 1) / blockK);
                int tiles = place[TILES];
                if (Functions.leaveTilesOut()) {
                    tiles = TileList.left(tile, atListOfSlot);
                }
                if (tiles == 0) {
                    if (step > values) {
                        // Those who compute would wait for the last V, and this warp group for them, where the next
                        // tiles have no keys either.
                        copyLast(
                                tile, barriers, value, behind, fullV, freeV, atV, valueBytes, step, from, count, blockK,
                                headDim, valueDim, lane);
                        values = step;
                    }
                }
                if (!Functions.leaveTilesOut()) {
                    if (round >= PLACES) {
                        WarpBarrier.await(barriers, freeQ + 2 * slot, round / PLACES - 1);
                    }
                    loadQueries(
                            tile, slot * queryBytes, barriers, slot == 0 ? fullQ : freeQ + 2 * PLACES, query, queryBase,
                            blockQ, TornadoMath.min(blockQ, place[END] - i0), headDim, lane);
                }
                if (CachedKeys.arePresent()) {
                    int kvHead = batchHead % heads / (heads / kvHeads);
                    copyPages(
                            tile, barriers, key, value, keyLengths, ahead, behind, atK, atV, keyBytes, valueBytes,
                            fullK, freeK, fullV, freeV, step, values, tiles, j0, kvHead, length, 0, place[TABLE],
                            blockK, headDim, lane);
                    step += tiles;
                    values = TornadoMath.max(values, step - 1);
                    tiles = 0;
                }
                if (Functions.leaveTilesOut()) {
                    if (tiles == 0 && round + 1 < rounds) {
                        prepare(
                                tile, barriers, query, next, keyLengths, positions, validRows, lengths, round + 1,
                                StayingGroups.tile(round + 1, ofGroup, staying), atList, fullQ, freeQ, told, queryBytes,
                                heads, seqQ, seqK, blockQ, blockK, headDim, windowLeft, windowRight, features, lane);
                    }
                }
                for (int t = 0; t < tiles; t++) {
                    int j = j0 + TileList.tile(tile, atListOfSlot, t, tiles) * blockK;
                    int at = step % PLACES;
                    awaitFree(barriers, freeK + 2 * at, step, 0);
                    if (Layout.isStrided()) {
                        int first = Layout.key(batchHead / heads, batchHead % heads / (heads / kvHeads), j);
                        WarpTiles.load(
                                tile, atK + at * keyBytes, blockK, key, first, Layout.keyRow(), length - j, headDim,
                                lane,
                                WarpGroup.LANES);
                    } else {
                        int first = (keyValueHead * seqK + j) * headDim;
                        WarpTiles.load(
                                tile, atK + at * keyBytes, blockK, key, first, length - j, headDim, lane,
                                WarpGroup.LANES);
                    }
                    WarpBarrier.arriveWithCopies(barriers, fullK + 2 * at);
                    if (step > values) {
                        copyValues(
                                tile, barriers, value, fullV, freeV, atV, valueBytes, step, from, count, blockK,
                                valueDim,
                                lane);
                        values = step;
                    }
                    step += 1;
                    count = length - j;
                    from = (keyValueHead * seqK + j) * valueDim;
                    if (Layout.isStrided()) {
                        from = Layout.value(batchHead / heads, batchHead % heads / (heads / kvHeads), j);
                    }
                    if (Functions.leaveTilesOut()) {
                        if (t == TornadoMath.min(2, tiles - 1) && round + 1 < rounds) {
                            prepare(
                                    tile, barriers, query, next, keyLengths, positions, validRows, lengths, round + 1,
                                    StayingGroups.tile(round + 1, ofGroup, staying), atList, fullQ, freeQ, told,
                                    queryBytes, heads, seqQ, seqK, blockQ, blockK, headDim, windowLeft, windowRight,
                                    features, lane);
                        }
                    }
                }
            }
            if (step > values) {
                copyLast(
                        tile, barriers, value, behind, fullV, freeV, atV, valueBytes, step, from, count, blockK,
                        headDim,
                        valueDim, lane);
            }
        }
    }

    /**
     * Starts the copy of the Q of a round to come, and lists its tiles, when no one reads those of the round before the
     * last any more: the warps that copy do it while others compute.
     */
    @Phase
    private static void prepare(
            int[] tile, int[] barriers, HalfFloatArray query, int[] next, IntArray keyLengths, IntArray positions,
            IntArray validRows, IntArray lengths, int round, int tileOfAll, int atList, int fullQ, int freeQ, int told,
            int queryBytes, int heads, int seqQ, int seqK, int blockQ, int blockK, int headDim, int windowLeft,
            int windowRight, int features, int lane) {
        int slot = round % PLACES;
        find(
                next, keyLengths, positions, validRows, lengths, tileOfAll, 0, heads, seqQ, seqK, blockQ, blockK,
                windowLeft, windowRight, features);
        int batchHead = next[BATCH_HEAD];
        int i0 = next[FIRST_QUERY];
        int rows = TornadoMath.min(blockQ, next[END] - i0);
        int queryBase = (batchHead * seqQ + i0) * headDim;
        if (Layout.isStrided()) {
            queryBase = Layout.query(batchHead / heads, batchHead % heads, i0);
        }
        if (round >= PLACES) {
            WarpBarrier.await(barriers, freeQ + 2 * slot, round / PLACES - 1);
        }
        loadQueries(
                tile, slot * queryBytes, barriers, slot == 0 ? fullQ : freeQ + 2 * PLACES, query, queryBase, blockQ, rows,
                headDim, lane);
        int at = atList + slot * Integer.BYTES * TileList.ints((seqK + blockK - 1) / blockK);
        int inWindow = next[TILES];
        int found = TileList.count(
                tile, at, inWindow, lane, WarpGroup.LANES, inWindow, batchHead, heads, i0, rows, 0, next[FIRST_KEY],
                blockK, blockK);
        WarpBarrier.arrive(barriers, told + 2 * PLACES);
        WarpBarrier.await(barriers, told + 2 * PLACES, round - 1);
        TileList.list(
                tile, at, inWindow, lane, WarpGroup.LANES, inWindow, batchHead, heads, i0, rows, 0, next[FIRST_KEY],
                blockK, blockK, found);
        WarpBarrier.arrive(barriers, told + 2 * slot);
        WarpBarrier.await(barriers, told + 2 * slot, (round - 1) / PLACES);
    }

    /** Copies V of the last step of a tile of queries. */
    @Phase
    private static void copyLast(
            int[] tile, int[] barriers, HalfFloatArray value, int[] behind, int fullV, int freeV, int atV,
            int valueBytes, int step, int from, int count, int blockK, int headDim, int valueDim, int lane) {
        if (CachedKeys.arePresent()) {
            copyPagedValues(tile, barriers, value, behind, atV, valueBytes, fullV, freeV, step, blockK, headDim, lane);
        } else {
            copyValues(tile, barriers, value, fullV, freeV, atV, valueBytes, step, from, count, blockK, valueDim, lane);
        }
    }

    /** Copies V of the step before, when its place is free. */
    @Phase
    private static void copyValues(
            int[] tile, int[] barriers, HalfFloatArray value, int fullV, int freeV, int atV, int valueBytes, int step,
            int from, int count, int blockK, int valueDim, int lane) {
        int place = (step - 1) % PLACES;
        int at = atV + place * valueBytes;
        awaitFree(barriers, freeV + 2 * place, step, 1);
        if (Layout.isStrided()) {
            WarpTiles.load(
                    tile, at, blockK, value, from, Layout.valueRow(), count, valueDim, lane, WarpGroup.LANES);
        } else {
            WarpTiles.load(tile, at, blockK, value, from, count, valueDim, lane, WarpGroup.LANES);
        }
        WarpBarrier.arriveWithCopies(barriers, fullV + 2 * place);
    }

    /** Ends a tile of queries where groups stay: O, L and rows that are not finite. */
    @Phase
    private static void endTile(
            HalfFloatArray query, HalfFloatArray key, HalfFloatArray value, HalfFloatArray output, FloatArray logSumExp,
            FloatArray headTerms, IntArray keyLengths, float[] o, float[] m, float[] l, int[] place, int heads,
            int kvHeads, int row, int column, int lane, int seqQ, int seqK, int headDim, int addedValueDim, int blockK,
            int type, int outputType, int windowLeft, int windowRight, float scale, float softcap, float slope,
            int features) {
        int batchHead = place[BATCH_HEAD];
        int i0 = place[FIRST_QUERY];
        int length = place[LENGTH];
        int batch = batchHead / heads;
        int head = batchHead % heads;
        int offset = place[OFFSET];
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = queryBase + queryBase / headDim * addedValueDim;
        storeRows(
                output, logSumExp, headTerms, o, m, l, batchHead, batch, head, heads, outputBase, i0, row, column, lane,
                seqQ, headDim + addedValueDim, place[END], offset, length, 0, outputType, 1, windowLeft, windowRight,
                features);
        if (Mending.isNeeded(windowLeft, windowRight) > 0) {
            mend(
                    query, key, value, output, logSumExp, headTerms, keyLengths, o, m, l, batchHead, batch, head, heads,
                    kvHeads, queryBase, outputBase, i0, row, column, seqQ, seqK, headDim, addedValueDim, place[END],
                    offset, length, 0, place[TABLE], 0, type, outputType, 0, length - 1, windowLeft, windowRight,
                    scale, softcap, slope,
                    features);
        }
    }

    /** A warp group that computes, where groups stay: one tile of queries after another. */
    @Phase
    private static void stay(
            HalfFloatArray query, HalfFloatArray key, HalfFloatArray value, HalfFloatArray output, FloatArray logSumExp,
            FloatArray headTerms, IntArray keyLengths, IntArray positions, IntArray validRows, IntArray lengths,
            float[] s, int[] p, float[] o, float[] m, float[] l, float[] correction, int[] biases, int[] tile,
            int[] barriers, int atList, int fullQ, int freeQ, int told, int fullK,
            int freeK, int fullV, int freeV, int turn, int queryBytes, int atK, int atV, int keyBytes, int valueBytes,
            int group, int groups, int ofGroup, int staying, int tilesOfAll, int heads, int kvHeads, int row, int item,
            int lane, int column, int seqQ, int seqK, int blockQ, int blockK, int headDim, int addedValueDim, int type,
            int outputType, int windowLeft, int windowRight, float scale, float softcap, float factor, int threshold,
            int features) {
        if (!CachedKeys.arePresent() || CachedKeys.arePlacesRead() && CachedKeys.areAhead()) {
            int[] place = new int[PLACE];
            int before = 0;
            int rounds = StayingGroups.rounds(tilesOfAll, ofGroup, staying);
            for (int round = 0; round < rounds; round++) {
                int slot = round % PLACES;
                int fullSlot = slot == 0 ? fullQ : freeQ + 2 * PLACES;
                int atQ = slot * queryBytes + group * 64 * WarpGroup.ROW_BYTES;
                find(
                        place, keyLengths, positions, validRows, lengths, StayingGroups.tile(round, ofGroup, staying),
                        group, heads, seqQ, seqK, blockQ, blockK, windowLeft, windowRight, features);
                int batchHead = place[BATCH_HEAD];
                int i0 = place[FIRST_QUERY];
                int length = place[LENGTH];
                int tiles = place[TILES];
                int head = batchHead % heads;
                int offset = place[OFFSET];
                int position = i0 + 64 * group + offset;
                int everyLeft = Window.everyLeft(position + 63, windowLeft);
                int everyRight = Window.everyRight(position, length, windowRight);
                float slope = HeadTerms.slope(headTerms, head, features);
                clear(s, o, m, l, correction, blockK, (headDim + addedValueDim + 15) / 16 * 16);
                int atListOfSlot = atList + slot * Integer.BYTES * TileList.ints((seqK + blockK - 1) / blockK);
                if (Functions.leaveTilesOut()) {
                    if (round > 0) {
                        WarpBarrier.await(barriers, told + 2 * slot, (round - 1) / PLACES);
                    }
                    tiles = TileList.left(tile, atListOfSlot);
                    place[FROM] = 0;
                    place[TO] = place[END] - i0 > 64 * group ? tiles : 0;
                }
                // In every round, whether or not this warp group sees a key: the barrier tells two rounds apart.
                WarpBarrier.await(barriers, fullSlot, round / PLACES);
                if (place[FROM] >= place[TO]) {
                    WarpBarrier.arrive(barriers, freeQ + 2 * slot);
                }
                attend(
                        type, s, p, o, m, l, correction, biases, tile, barriers, keyLengths, atListOfSlot, fullSlot,
                        round / PLACES, freeQ + 2 * slot, fullK, freeK, fullV, freeV, turn, atQ, atK, atV, 0, keyBytes,
                        valueBytes, group, groups, before, place[FROM], place[TO], tiles, 0, batchHead,
                        batchHead / heads, head, i0, row, item,
                        column, seqQ, offset, length, place[FIRST_KEY], blockQ, blockK, headDim, addedValueDim,
                        everyLeft,
                        everyRight, windowLeft, windowRight, scale, softcap, factor, slope, threshold, features);
                endTile(
                        query, key, value, output, logSumExp, headTerms, keyLengths, o, m, l, place, heads, kvHeads,
                        row,
                        column, lane, seqQ, seqK, headDim, addedValueDim, blockK, type, outputType, windowLeft,
                        windowRight,
                        scale, softcap, slope, features);
                before += tiles;
            }
        }
    }

    /** The step is over for the lengths too: what they are now is what they were before the next one. */
    @Phase
    private static void endStep(
            IntArray keyLengths, IntArray step, int item, int tileOfAll, int part, int head, int i0, int table,
            int length, int padding) {
        if (item == 0 && part == 0 && head == 0 && i0 == 0) {
            keyLengths.set(table - StepLayout.SEQUENCE_FIELDS, length + padding);
        }
        if (item == 0 && tileOfAll == 0) {
            StepLayout.setAttended(keyLengths, step);
        }
    }

    /** What a lane has of rows that are not finite, once more from the keys that they see. */
    @Phase
    private static void mend(
            HalfFloatArray query, HalfFloatArray key, HalfFloatArray value, HalfFloatArray output, FloatArray logSumExp,
            FloatArray headTerms, IntArray keyLengths, float[] o, float[] m, float[] l, int batchHead, int batch,
            int head, int heads, int kvHeads, int queryBase, int outputBase, int i0, int row, int column, int seqQ,
            int seqK, int headDim, int addedValueDim, int end, int offset, int length, int padding, int table, int part,
            int type, int outputType, int firstOfPart, int lastOfPart, int windowLeft, int windowRight, float scale,
            float softcap, float slope, int features) {
        float[] mended = new float[(headDim + addedValueDim + 15) / 16 * 16 / 2];
        float ofScores = scale;
        if (CachedKeys.areStepsRead()) {
            ofScores = StepLayout.scale(headTerms);
        }
        int unfinished = Mending.rowsOfOutput(o, 2, (headDim + addedValueDim + 15) / 16 * 16, i0 + row, end);
        for (int r = 0; unfinished >> r != 0; r++) {
            int mends = unfinished >> r & 1;
            float ofRow = 0f;
            if (mends != 0) {
                ofRow = Mending.logSumExp(
                        Mending.pick(m, r, 2), Mending.pick(l, r, 2), i0 + row + 8 * r, offset, length, windowLeft,
                        windowRight, part, headTerms, head, features);
            }
            mends = ofRow == ofRow ? mends : 0;
            if (mends != 0) {
                int i = i0 + row + 8 * r;
                int queryAt = queryBase + (row + 8 * r) * headDim;
                int outputAt = outputBase + (row + 8 * r) * (headDim + addedValueDim);
                int firstSeen = Window.firstKey(i + offset, windowLeft);
                int lastSeen = Window.lastKey(i + offset, length, windowRight);
                if (Layout.isStrided()) {
                    queryAt = Layout.query(batch, head, i);
                    outputAt = Layout.output(batch, head, i);
                }
                if (CachedKeys.arePresent()) {
                    queryAt = Layout.query(batch, head, i);
                    firstSeen = TornadoMath.max(firstSeen, firstOfPart);
                    lastSeen = TornadoMath.min(lastSeen, lastOfPart);
                }
                int keyValueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
                Mending.output(
                        mended, ofRow, query, queryAt, key, value, keyValueBase, keyLengths, table,
                        padding, type, headDim, 0, addedValueDim, column, batchHead,
                        batch, head, head / (heads / kvHeads), asked(i + offset, i), i + offset, firstSeen, lastSeen,
                        ofScores, softcap, slope, features);
                if (CachedKeys.areDivided()) {
                    outputAt = (((batch * seqQ + i) * heads + head) * CachedKeys.allParts() + part) * headDim;
                    WarpTiles.store(logSumExp, outputAt, headDim, mended, 0, column, 1f);
                } else {
                    WarpTiles.store(
                            output, outputAt, headDim + addedValueDim, outputType, mended, 0, column, 1f);
                }
            }
        }

    }
    // spotless:on

    /**
     * Computes one tile of queries, or several; see the class for arrays, grid and memory.
     *
     * @param seqQ queries of a batch entry; of a chunk, those that there is room for
     * @param addedValueDim the values' head dimension, less {@code headDim}
     * @param staying groups, where they stay, otherwise 0
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code SINKS}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of
     *     {@link Features}, and the threshold of {@link Features#warpShape}, added
     */
    public static void attention(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element("keys") HalfFloatArray key,
            @Element("keys") HalfFloatArray value,
            @IfGiven @Element("output") HalfFloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            @IfGiven IntArray step,
            @IfGiven IntArray positions,
            @IfGiven IntArray validRows,
            @IfGiven IntArray lengths,
            @IfGiven FloatArray sums,
            @IfGiven IntArray turns,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int addedValueDim,
            @Constant int staying,
            int blockQ,
            int blockK,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int threshold = Features.threshold(features);
        int groups = blockQ / 64;
        int items = WarpGroup.LANES * groups;
        Warp.requireGroupSize(items + WarpGroup.LANES);
        int valueDim = headDim + addedValueDim;
        int paddedValueDim = (valueDim + 15) / 16 * 16;
        int type = WarpTiles.type(query, features);
        int outputType = WarpTiles.type(output, features);
        float factor = WarpScores.factor(scale, softcap, features);

        // One array: Q, the places of K, those of V, those of the biases, the list of tiles.
        int keyBytes = WarpTiles.tileBytes(blockK, headDim);
        int valueBytes = WarpTiles.tileBytes(blockK, valueDim);
        int queries = staying > 0 ? PLACES : 1;
        int queryBytes = WarpTiles.tileBytes(blockQ, headDim);
        int atK = queries * queryBytes;
        int atV = atK + PLACES * keyBytes;
        int atBiases = atV + PLACES * valueBytes;
        int atList = atBiases + PLACES * Integer.BYTES * BiasTiles.ints(blockQ, blockK);
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 32 * (queries * blockQ + PLACES * blockK)
                + (headDim + addedValueDim + 63) / 64 * 32 * PLACES * blockK
                + PLACES * BiasTiles.ints(blockQ, blockK)
                + queries * TileList.ints((seqK + blockK - 1) / blockK));

        // Barriers: Q is there; a place of K, of V is full, is free; it is a warp group's turn; a list is there.
        int fullQ = 0;
        int fullK = WarpBarrier.INTS;
        int freeK = fullK + WarpBarrier.INTS * PLACES;
        int fullV = freeK + WarpBarrier.INTS * PLACES;
        int freeV = fullV + WarpBarrier.INTS * PLACES;
        int turn = freeV + WarpBarrier.INTS * PLACES;
        int freeQ = turn + WarpBarrier.INTS * groups;
        int told = freeQ + WarpBarrier.INTS * (PLACES + 1);
        int[] barriers = context.allocateIntLocalArray(barrierInts());
        int item = context.localIdx;
        if (item == 0) {
            initBarriers(barriers, fullQ, freeQ, fullK, freeK, fullV, freeV, turn, groups, staying);
        }
        context.localBarrier();

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int ofAll =
                Placement.ofHeadsTogether(DividedTiles.tile(context.groupIdx), BiasTiles.headsTogether(), seqQ, blockQ);
        int batchHead = Placement.batchHead(ofAll, seqQ, blockQ);
        int i0 = Placement.firstQuery(ofAll, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = queryBase + queryBase / headDim * addedValueDim;
        int rows = TornadoMath.min(blockQ, seqQ - i0);
        int length = Window.length(keyLengths, batch, seqK, features);

        // Query i stands at key position i + offset (bottom-right alignment); the tile sees keys from j0 on.
        int offset = length - seqQ;
        if (Layout.isStrided()) {
            queryBase = Layout.query(batch, head, i0);
            outputBase = queryBase;
        }

        // A chunk has as many queries as its step says, and keys count from the end of the padding.
        int part = 0;
        int end = seqQ;
        int table = 0;
        int padding = 0;
        if (CachedKeys.arePresent()) {
            int tileOfAll = context.groupIdx / CachedKeys.parts();
            part = context.groupIdx % CachedKeys.parts();
            batchHead = Placement.batchHead(tileOfAll, seqQ, blockQ);
            i0 = Placement.firstQuery(tileOfAll, seqQ, blockQ);
            head = batchHead % heads;
            batch = batchHead / heads;
            queryBase = Layout.query(batch, head, i0);
            outputBase = queryBase;
            if (CachedKeys.arePlacesRead()) {
                table = CachedKeys.table(batch);
                end = ReadPositions.rows(validRows, batch, seqQ, CachedKeys.given());
                offset = positions.get(batch);
                length = CachedKeys.length(lengths, batch, offset + end, seqK);
            } else {
                int state = StepLayout.state(batch, CachedKeys.pagesPerSequence());
                table = StepLayout.table(state);
                padding = StepLayout.padding(keyLengths, state);
                length = StepLayout.length(keyLengths, state) - padding;
                end = StepLayout.queries(step, batch);
                offset = length - StepLayout.following(step, batch) - end;
            }
            rows = TornadoMath.min(blockQ, end - i0);
        }
        if (CachedKeys.areStepsRead()) {
            windowLeft = StepLayout.windowLeft(step);
            windowRight = StepLayout.windowRight(step);
            if (WarpScores.isScaleOnly(scale, softcap, features)) {
                factor = StepLayout.scale(headTerms) * WarpScores.LOG2_E;
            } else {
                scale = StepLayout.scale(headTerms);
            }
        }
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
        int j0 = firstKey / blockK * blockK;
        int inWindow = Window.tiles(firstKey, lastKey, j0, blockK);
        if (Functions.leaveTilesOut()) {
            // Q is on its way while tiles are looked for.
            if (item >= items) {
                loadQueries(tile, 0, barriers, fullQ, query, queryBase, blockQ, rows, headDim, item - items);
            }
        }
        // spotless:off: calls in rows
        int found = TileList.count(
                tile, atList, inWindow, item, items + WarpGroup.LANES, inWindow, batchHead, heads, i0, rows, 0, j0,
                blockK, blockK);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        int tiles = TileList.list(
                tile, atList, inWindow, item, items + WarpGroup.LANES, inWindow, batchHead, heads, i0, rows, 0, j0,
                blockK, blockK, found);
        if (Functions.leaveTilesOut()) {
            context.localBarrier();
        }
        // spotless:on
        if (CachedKeys.arePresent()) {
            int all = rows > 0 ? tiles : 0;
            int first = j0 / blockK;
            tiles = CachedKeys.tilesOfPart(part, all, first);
            j0 += CachedKeys.tilesBefore(part, all, first) * blockK;
        }
        j0 += DividedTiles.tilesBefore(context.groupIdx, tiles) * blockK;
        tiles = DividedTiles.tilesOfPart(context.groupIdx, tiles);

        if (item >= items) {
            // The group that copies: Q_i, then K_t and V_t-1 as places become free.
            if (groups > 1) {
                WarpGroup.giveRegisters(copyingRegisters(groups, computingRegisters(groups)));
            }
            int lane = item - items;
            if (staying > 0) {
                int tilesOfAll = logSumExp.getSize() / seqQ * Placement.tiles(seqQ, blockQ);
                // spotless:off: a call in rows
                copyOfAll(
                        tile, barriers, query, key, value, keyLengths, positions, validRows, lengths, atList, fullQ,
                        freeQ, told, fullK, freeK, fullV, freeV,
                        queryBytes, atK, atV, keyBytes, valueBytes, context.groupIdx, staying, tilesOfAll, heads,
                        kvHeads, seqQ, seqK, blockQ, blockK, headDim, addedValueDim, windowLeft, windowRight, features,
                        lane);
                // spotless:on
            } else {
                if (!Functions.leaveTilesOut()) {
                    loadQueries(tile, 0, barriers, fullQ, query, queryBase, blockQ, rows, headDim, lane);
                }
                int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
                // spotless:off: calls in rows
                if (CachedKeys.arePresent() && CachedKeys.areAhead()) {
                    int[] ahead = new int[CachedKeys.pagesOfWarp()];
                    int[] behind = new int[CachedKeys.pagesOfWarp() + 1];
                    CachedKeys.lookUp(ahead, keyLengths, table, j0, length, padding, blockK, lane);
                    copyPages(
                            tile, barriers, key, value, keyLengths, ahead, behind, atK, atV, keyBytes, valueBytes,
                            fullK, freeK, fullV, freeV, 0, 0, tiles, j0, head / (heads / kvHeads), length, padding,
                            table, blockK, headDim, lane);
                    if (tiles > 0) {
                        copyPagedValues(
                                tile, barriers, value, behind, atV, valueBytes, fullV, freeV, tiles, blockK, headDim,
                                lane);
                    }
                } else {
                    copyTiles(
                            tile, barriers, key, value, keyLengths, atList, atK, atV, atBiases, keyBytes, valueBytes,
                            fullK, freeK, fullV, freeV, tiles, j0, batch, head, head / (heads / kvHeads), keyBase, i0,
                            rows, length, padding, table, blockQ, blockK, headDim, addedValueDim, lane);
                }
                // spotless:on
            }
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

            // Its queries see the tiles from ... to - 1, and each of them the keys everyLeft ... everyRight.
            int position = i0 + 64 * group + offset;
            int lastTile = rows > 64 * group ? tiles : 0;
            int from = Functions.leaveTilesOut() ? 0 : Window.firstTile(position, j0, tiles, blockK, windowLeft);
            int to = Functions.leaveTilesOut()
                    ? lastTile
                    : Window.endTile(position + 63, j0, lastTile, blockK, windowRight);
            int everyLeft = Window.everyLeft(position + 63, windowLeft);
            int everyRight = Window.everyRight(position, length, windowRight);

            // m = -inf, l = 0, O = 0.
            float[] s = new float[blockK / 2];
            int[] p = new int[blockK / 4];
            float[] o = new float[(headDim + addedValueDim + 15) / 16 * 16 / 2];
            float[] m = new float[2];
            float[] l = new float[2];
            float[] correction = new float[2];
            int[] biases = new int[blockK / 4];
            int copied = BiasTiles.areCopied(blockK);
            if (staying > 0) {
                int tilesOfAll = logSumExp.getSize() / seqQ * Placement.tiles(seqQ, blockQ);
                // spotless:off: a call in rows
                stay(
                        query, key, value, output, logSumExp, headTerms, keyLengths, positions, validRows, lengths, s,
                        p, o, m, l, correction, biases,
                        tile, barriers, atList, fullQ, freeQ, told, fullK, freeK, fullV, freeV, turn, queryBytes, atK, atV,
                        keyBytes, valueBytes, group, groups, context.groupIdx, staying, tilesOfAll, heads, kvHeads, row,
                        item, lane, column, seqQ, seqK, blockQ, blockK, headDim, addedValueDim, type, outputType,
                        windowLeft, windowRight, scale, softcap, factor, threshold, features);
                // spotless:on
            } else {
                clear(s, o, m, l, correction, blockK, paddedValueDim);

                // spotless:off: a call in rows
                attend(
                        type, s, p, o, m, l, correction, biases, tile, barriers, keyLengths, atList, fullQ, 0, 0, fullK,
                        freeK, fullV, freeV, turn, atQ, atK, atV, atBiases, keyBytes, valueBytes, group, groups, 0,
                        from, to, tiles, copied, batchHead, batch, head, asked(i0 + offset, i0), row, item, column,
                        asked(end + offset, seqQ), asked(0, offset), length, j0, blockQ, blockK, headDim, addedValueDim,
                        everyLeft, everyRight, windowLeft, windowRight, scale, softcap, factor, slope, threshold,
                        features);
                // spotless:on

                // O = O / l, L = ln 2 * m + ln l; a query that sees no key gets 0 and -infinity.
                // spotless:off: calls in rows
                int complete = DividedTiles.join(
                        o, m, l, sums, turns, context.groupIdx, item / 32, items / 32, lane, paddedValueDim);
                storeRows(
                        output, logSumExp, headTerms, o, m, l, batchHead, batch, head, heads, outputBase, i0, row,
                        column, lane, seqQ, valueDim, end * complete, offset, length, part, outputType, 0, windowLeft,
                        windowRight, features);
                // Rows that are not finite, once more from the keys that they see.
                if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                    mend(
                            query, key, value, output, logSumExp, headTerms, keyLengths, o, m, l, batchHead, batch,
                            head, heads, kvHeads, queryBase, outputBase, i0, row, column, seqQ, seqK, headDim,
                            addedValueDim, end * complete, offset, length, padding, table, part, type, outputType, j0,
                            j0 + tiles * blockK - 1, windowLeft, windowRight, scale, softcap, slope, features);
                }
                // spotless:on
                if (CachedKeys.areStepsRead()) {
                    endStep(keyLengths, step, item, context.groupIdx, part, head, i0, table, length, padding);
                }
            }
        }
    }
}
