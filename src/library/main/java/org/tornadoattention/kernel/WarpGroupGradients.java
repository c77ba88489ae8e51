package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.WarpGroups.BARRIER_BYTES;
import static org.tornadoattention.kernel.parts.WarpGroups.WARPS;

import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.BiasTiles;
import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.SharedBias;
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
 * All three gradients of attention in one kernel on Hopper's asynchronous tensor cores, with five products where
 * {@link WarpGroupQueryGradient} and {@link WarpGroupKeyValueGradients} together need seven.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2, with keys in the outer loop; Shah et al.,
 * <i>FlashAttention-3</i> (2024), for the warp groups' roles. Warp groups of 64 keys each compute S and dP transposed,
 * so that P and dS leave their accumulators as the operands of dV and dK. dS goes through local memory to one more warp
 * group, which multiplies it by K and adds to dQ in global memory. Of one more, two warps copy the tiles of Q and dO,
 * and two wait for the turns of those that add, and pass them on. Nobody waits at a barrier of the whole group.
 *
 * <p><b>Order.</b> What tiles of keys add to a tile of dQ is added in one order ({@link Turn}), so that the bits are
 * the same in every run: that of the keys, backwards under a causal mask; without a mask, where tiles are many or heads
 * share them, from the tile on that comes to these queries first, and round. The first writes, those between add, and
 * the last takes the sum, adds its own, writes dQ and leaves the turn at 0.
 *
 * <p><b>Heads that share keys.</b> A work-group sums dK and dV over all of them, or has one of them
 * ({@link #EACH_HEAD}), so that under a causal mask no group is a large part of the work; dK and dV are then added in
 * the order of heads.
 *
 * <p><b>Arrays.</b> As {@link TiledKeyValueGradients} and {@link TiledQueryGradient}, in F16; {@code sums} has
 * {@link #sumsOfTile} floats for each tile of queries, {@code turns} {@link #turnsOfTile} ints, all 0, and with
 * {@link #EACH_HEAD} behind them {@link #sumsOfKeys} and {@link #turnsOfKeys} for each tile of keys.
 *
 * <p><b>The gradient of a bias.</b> With {@code parts}, a group has one tile of keys of all the heads of a part, one
 * after the other, and adds their dS, which is the gradient of the biases there, to {@code biasParts}: F32
 * {@code [parts, biasBatch, biasHeads, tiles of keys, tiles of queries, blockK / 16, blockQ / 8, 32, 4]}, each lane's
 * as it has them, in the order of the heads. {@link BiasGradient#sumOfTiles} adds the parts. There are then as many
 * heads of keys as of queries, no window, no lengths and no softcap; and {@code parts * biasBatch * biasHeads *
 * ceil(seqK / blockK)} groups.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * kvHeads * ceil(seqK / blockK)} groups of {@link #groupSize} work-items,
 * or with {@link #EACH_HEAD} as many for each query head; {@code blockK} is a multiple of 64, {@code blockQ} 64 or 128.
 * Heads come in bundles of {@code together}, so that what the groups of a bundle read stays in the device's cache;
 * within a bundle the first tiles of keys come first, and under a causal mask the last, which have the first turns.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: a tile of K, one of V, three of Q and dO, two of dS, barriers. A
 * dense bias of 16 bits, whose tiles come with those of Q, takes {@link #biasBytes} more. <b>Device.</b> As
 * {@link WarpGroupFlashAttention}. Head dimensions up to 128.
 */
public final class WarpGroupGradients {

    /** Tiles of Q and dO that local memory holds at a time. */
    private static final int STAGES = 3;

    /** Tiles of dS. */
    private static final int PLACES = 2;

    /** Barriers: a stage is full; it is free when the dS of the next one is there. */
    private static final int FULL_STAGE = 0;

    /** A place of dS is full, is free; the turn of its dQ has come, its dQ is added. */
    private static final int FULL_PLACE = FULL_STAGE + WarpBarrier.INTS * STAGES;

    private static final int FREE_PLACE = FULL_PLACE + WarpBarrier.INTS * PLACES;
    private static final int MAY_ADD = FREE_PLACE + WarpBarrier.INTS * PLACES;
    private static final int HAS_ADDED = MAY_ADD + WarpBarrier.INTS * PLACES;
    private static final int INTS_OF_BARRIERS = WarpBarrier.INTS * 12;

    /** Lanes of the warps that copy. */
    private static final int COPYING = 64;

    /**
     * Registers of a lane that computes dQ, of one that copies or waits, and the most of one that computes the rest.
     */
    private static final int REGISTERS_OF_ADDING = 72;

    private static final int REGISTERS_OF_COPYING = 24;
    private static final int REGISTERS_OF_COPYING_NARROW_ROWS = 32;
    private static final int REGISTERS_OF_COPYING_FEW_TILES = 56;
    private static final int MOST_REGISTERS = 240;

    /** Tiles of keys whose groups would wait for each other's turns if all began with the same queries. */
    private static final int MANY_TILES = 16;

    /** Rows and columns of dQ that one product computes. */
    private static final int BLOCK = 64;

    private WarpGroupGradients() {}

    /** Work-items of a group: those that compute, a warp group for dQ, and one for copies and turns. */
    public static int groupSize(int blockK) {
        return WarpGroups.groupSize(blockK) + WarpGroup.LANES;
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        return 2 * WarpTiles.tileBytes(blockK, headDim)
                + STAGES * (2 * WarpTiles.tileBytes(blockQ, headDim) + 8 * blockQ)
                + PLACES * WarpTiles.tileBytes(blockK, blockQ)
                + BARRIER_BYTES;
    }

    /** Further bytes where a dense bias of 16 bits is copied. */
    public static int biasBytes(int blockQ, int blockK) {
        return PLACES * BiasTiles.bytes(blockQ, blockK);
    }

    /** Set in {@code blocks}: a work-group has one query head, also of heads that share keys. */
    public static final int EACH_HEAD = 1 << 24;

    /** Elements of {@code sums} for each tile of queries. */
    public static int sumsOfTile(int headDim, int blockQ) {
        return blockQ * ((headDim + BLOCK - 1) / BLOCK * BLOCK);
    }

    /** Elements of {@code turns} for each tile of queries. */
    public static int turnsOfTile() {
        return 1;
    }

    /** Elements of {@code sums}, behind those of queries, for each tile of keys that several work-groups share. */
    public static int sumsOfKeys(int headDim, int blockK) {
        return 2 * blockK * ((headDim + 15) / 16 * 16);
    }

    /** Elements of {@code turns} for each of these tiles. */
    public static int turnsOfKeys(int blockK) {
        return blockK / 64 * WARPS;
    }

    /** The tile of queries after so many steps of a head, which begins with tile {@code shift} and goes round. */
    private static int turned(int steps, int shift, int tilesQ) {
        int turned = steps + shift;
        return turned < tilesQ ? turned : turned - tilesQ;
    }

    /** How many tiles of keys, but for one, queries i and those after it in their tile see. */
    private static int others(
            int i, int seqQ, int blockQ, int blockK, int offset, int length, int windowLeft, int windowRight) {
        int last = TornadoMath.min(i + blockQ, seqQ) - 1;
        int lastTile = Window.lastKey(last + offset, length, windowRight) / blockK;
        return lastTile - Window.firstKey(i + offset, windowLeft) / blockK;
    }

    /** How many of them add to these queries' dQ before this one, see {@code apart} below. */
    private static int before(
            int i,
            int keyTile,
            int seqQ,
            int blockQ,
            int blockK,
            int offset,
            int length,
            int tilesQ,
            int apart,
            int windowLeft,
            int windowRight) {
        int before = keyTile - Window.firstKey(i + offset, windowLeft) / blockK;
        int others = others(i, seqQ, blockQ, blockK, offset, length, windowLeft, windowRight);
        if (windowRight >= 0) {
            before = others - before;
        } else if (windowLeft < 0) {
            // Those from firstOfAll on come first, then the others.
            int firstOfAll = others + 1;
            if (apart > 0) {
                firstOfAll = TornadoMath.min(others + 1, (tilesQ - i / blockQ + apart - 1) / apart);
            }
            before = keyTile >= firstOfAll ? keyTile - firstOfAll : keyTile + others + 1 - firstOfAll;
        }
        return before;
    }

    /** Which head of queries a group has first, in a round. */
    private static int firstHead(int parts, int only, int ofBias, int shared, int biasBatch, int biasHeads, int heads) {
        int head = only;
        if (parts > 0) {
            int batch = SharedBias.batch(ofBias, shared, biasBatch, biasHeads, heads);
            head = batch * heads + SharedBias.head(ofBias, shared, biasHeads, heads);
        }
        return head;
    }

    /** Adds what a lane has of dS, the gradient of the biases, to its part: four floats of each of a warp's blocks. */
    private static void addToParts(FloatArray biasParts, int at, float[] ds, int columns, int round) {
        if (round > 0) {
            for (int n = 0; n < columns / 8; n++) {
                Warp.addFour(biasParts, at + 128 * n, ds, 4 * n);
            }
        } else {
            for (int n = 0; n < columns / 8; n++) {
                Warp.storeFour(biasParts, at + 128 * n, ds, 4 * n);
            }
        }
    }

    /**
     * Registers of a lane that copies. ptxas (13.0) does not keep to 24 where rows are narrow, nor always where tiles
     * of queries are so few that no loop is left: it takes up to 13 more without a word, and the GPU stops at the first
     * of them («illegal instruction»). Of what it is given it leaves two free. Rows of 128 need the others for
     * products.
     */
    private static int copyingRegisters(int headDim, int seqQ, int blockQ) {
        int registers = REGISTERS_OF_COPYING;
        if (headDim < BLOCK) {
            registers = REGISTERS_OF_COPYING_NARROW_ROWS;
        } else if (headDim <= 112 && seqQ <= STAGES * blockQ) {
            registers = REGISTERS_OF_COPYING_FEW_TILES;
        }
        return registers;
    }

    /** Registers of a lane that computes S, dP, dK and dV: what the other warp groups leave. */
    private static int computingRegisters(int groups, int copying) {
        int left = WarpGroups.registers(groups + 1) - REGISTERS_OF_ADDING - copying;
        return TornadoMath.min(MOST_REGISTERS, left / groups / 8 * 8);
    }

    /** Makes the barriers, by one lane. */
    @Phase
    private static void makeBarriers(int[] barriers, int item, int groups) {
        if (item == 0) {
            for (int stage = 0; stage < STAGES; stage++) {
                WarpBarrier.initForCopies(barriers, FULL_STAGE + 2 * stage, COPYING / 32);
            }
            for (int place = 0; place < PLACES; place++) {
                WarpBarrier.init(barriers, FULL_PLACE + 2 * place, WARPS * groups);
                WarpBarrier.init(barriers, FREE_PLACE + 2 * place, WARPS);
                WarpBarrier.init(barriers, MAY_ADD + 2 * place, 1);
                WarpBarrier.init(barriers, HAS_ADDED + 2 * place, WARPS);
            }
        }
    }

    // spotless:off: parameters and calls in rows
    /** The warps that copy: K and V, then the tiles of Q and dO with the terms of their rows and their biases. */
    @Phase
    private static void copies(
            int[] tile, int[] barriers, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            HalfFloatArray outputGradient, FloatArray rowTerms, int done, int atV, int atStages, int atTerms,
            int atBiases, int tileBytes, int own, int keyValueBase, int j0, int i0, int firstHead, int batch, int heads,
            int seqQ, int length, int headDim, int blockQ, int blockK, int tilesQ, int steps, int shift) {
        if (done > 0) {
            // The last dS of the round before is there, and with it S and dP; all warps have multiplied it by K.
            int place = (done - 1) % PLACES;
            WarpBarrier.await(barriers, FULL_PLACE + 2 * place, (done - 1) / PLACES);
            WarpBarrier.await(barriers, FREE_PLACE + 2 * place, (done - 1) / PLACES);
        }
        if (steps > 0) {
            load(tile, 0, blockK, key, keyValueBase, length - j0, headDim, own);
            load(tile, atV, blockK, value, keyValueBase, length - j0, headDim, own);
        }
        int biasOfHead = 0;
        int biasStep = 0;
        int biasOfNext = 0;
        if (Functions.addBiases()) {
            biasOfHead = Functions.elementOfBias(batch, firstHead % heads, 0, j0);
            biasStep = Functions.elementOfBias(batch, firstHead % heads, 1, j0) - biasOfHead;
            biasOfNext = Functions.elementOfBias(batch, firstHead % heads + 1, 0, j0) - biasOfHead;
        }
        int ofHead = 0; // steps of this head before
        int head = firstHead;
        for (int t = 0; t < steps; t++) {
            if (t >= STAGES - 1) {
                // When dS of a step is there, the stage of the step before it is free, and its place of biases.
                int there = done + t - (STAGES - 1);
                WarpBarrier.await(barriers, FULL_PLACE + there % PLACES * 2, there / PLACES);
            }
            int stage = (done + t) % STAGES;
            int i = i0 + turned(ofHead, shift, tilesQ) * blockQ;
            int first = head * seqQ + i;
            int at = atStages + stage * 2 * tileBytes;
            load(tile, at, blockQ, query, first * headDim, seqQ - i, headDim, own);
            load(tile, at + tileBytes, blockQ, outputGradient, first * headDim, seqQ - i, headDim, own);
            RowTerms.startCopy(tile, atTerms + stage * 8 * blockQ, blockQ, rowTerms, first, seqQ - i, seqQ, own);
            if (Functions.addBiases()) {
                int atBias = atBiases + (done + t) % PLACES * BiasTiles.bytes(blockQ, blockK);
                int from = biasOfHead + i * biasStep;
                BiasTiles.load(tile, atBias, blockQ, blockK, from, biasStep, seqQ - i, length - j0, own, COPYING);
            }
            WarpBarrier.arriveWithCopies(barriers, FULL_STAGE + 2 * stage);
            ofHead += 1;
            if (ofHead == tilesQ) {
                ofHead = 0;
                head += 1;
                biasOfHead += biasOfNext;
            }
        }
    }

    /** Starts the copy of a tile, block by block where rows are no whole blocks: that takes fewer registers. */
    private static void load(
            int[] tile, int at, int rows, HalfFloatArray source, int first, int count, int headDim, int own) {
        if (headDim % BLOCK == 0 || headDim % 8 != 0) {
            WarpTiles.load(tile, at, rows, source, first, count, headDim, own, COPYING);
        } else {
            for (int from = 0; from < headDim; from += BLOCK) {
                int to = at + from * rows * Short.BYTES;
                int width = TornadoMath.min(BLOCK, headDim - from);
                WarpTiles.load(tile, to, rows, source, first + from, headDim, count, width, own, COPYING);
            }
        }
    }

    /** Clears the columns of K's last block that no head has, since products of dQ take blocks as a whole. */
    @Phase
    private static void clearPadding(int[] tile, int rows, int headDim, int item, int items) {
        int first = (headDim + 15) / 16 * 2;
        int chunks = (headDim + BLOCK - 1) / BLOCK * (BLOCK / 8) - first;
        if (headDim > BLOCK && chunks > 0) {
            for (int at = item; at < rows * chunks; at += items) {
                int to = WarpTiles.chunk(rows, at / chunks, first + at % chunks) / Integer.BYTES;
                for (int e = 0; e < 4; e++) {
                    tile[to + e] = 0;
                }
            }
        }
    }

    /** A warp that waits for the turns of every other step, for those that add, and passes them on. */
    @Phase
    private static void takeTurns(
            int[] barriers, IntArray turns, int done, int which, int keyTile, int i0,
            int firstHead, int seqQ, int length, int offset, int blockQ, int blockK, int tilesQ, int steps, int apart,
            int shift, int windowLeft, int windowRight) {
        int tilesOfHead = Placement.tiles(seqQ, blockQ);
        for (int t = (which + done) % PLACES; t < steps; t += PLACES) {
            int i = i0 + turned(t % tilesQ, shift, tilesQ) * blockQ;
            int others = others(i, seqQ, blockQ, blockK, offset, length, windowLeft, windowRight);
            int before =
                    before(i, keyTile, seqQ, blockQ, blockK, offset, length, tilesQ, apart, windowLeft, windowRight);
            int turn = (firstHead + t / tilesQ) * tilesOfHead + i / blockQ;
            if (before > 0) {
                Turn.await(turns, turn, before);
            }
            WarpBarrier.arrive(barriers, MAY_ADD + 2 * which);
            WarpBarrier.await(barriers, HAS_ADDED + 2 * which, (done + t) / PLACES);
            if (others > 0) {
                Turn.pass(turns, turn, before < others ? before + 1 : 0);
            }
        }
    }

    /** The warp group that computes dQ. */
    @Phase
    private static void queryGradients(
            int[] tile, int[] barriers, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            HalfFloatArray outputGradient, FloatArray rowTerms, HalfFloatArray queryGradient, FloatArray headTerms,
            IntArray keyLengths, FloatArray sums, int done, int atPlaces, int placeBytes, int type, int own,
            int keyTile, int keyValueHead, int i0, int firstHead, int group, int batch, int heads, int seqQ, int seqK,
            int length, int offset, int headDim, int blockQ, int blockK, int tilesQ, int steps, int apart, int shift,
            int windowLeft, int windowRight, float scale, float softcap, int features) {
        int lane = own % 32;
        int warp = own / 32;
        int tilesOfHead = Placement.tiles(seqQ, blockQ);
        int paddedDim = (headDim + 15) / 16 * 16;
        int columns = TornadoMath.min(BLOCK, paddedDim);
        float[] dq = new float[BLOCK / 2];
        float[] sum = new float[4];
        int unfinished = 0;
        for (int at = 0; at < BLOCK / 2; at++) {
            dq[at] = 0f;
        }
        int ofHead = 0; // steps of this head before
        int head = firstHead;
        for (int t = 0; t < steps; t++) {
            int place = (done + t) % PLACES;
            WarpBarrier.await(barriers, FULL_PLACE + 2 * place, (done + t) / PLACES);
            if (t == 0) {
                // K is there, since dS is.
                WarpGroup.fenceLocalMemory();
            }

            // dQ = dQ + dS K_j, where it is this tile's turn.
            int i = i0 + turned(ofHead, shift, tilesQ) * blockQ;
            int others = others(i, seqQ, blockQ, blockK, offset, length, windowLeft, windowRight);
            int before =
                    before(i, keyTile, seqQ, blockQ, blockK, offset, length, tilesQ, apart, windowLeft, windowRight);
            int after = others - before;
            int tileOfAll = head * tilesOfHead + i / blockQ;
            for (int y = 0; y < blockQ / BLOCK; y++) {
                for (int x = 0; x < (paddedDim + BLOCK - 1) / BLOCK; x++) {
                    int a = atPlaces + place * placeBytes + y * blockK * WarpGroup.ROW_BYTES;
                    int b = x * blockK * WarpGroup.ROW_BYTES;
                    WarpGroup.fence();
                    for (int k = 0; k < blockK / 16; k++) {
                        int depth = k * 16 * WarpGroup.ROW_BYTES;
                        WarpGroup.multiplyByRows(type, dq, columns, tile, a + depth, b + depth, k);
                    }
                    WarpGroup.commit();
                    if (x + y == 0) {
                        WarpBarrier.await(barriers, MAY_ADD + 2 * place, (done + t) / PLACES);
                    }
                    WarpGroup.await(0, dq, BLOCK / 2);
                    if (y == blockQ / BLOCK - 1 && x == (paddedDim + BLOCK - 1) / BLOCK - 1) {
                        WarpBarrier.arrive(barriers, FREE_PLACE + 2 * place);
                    }
                    int unit = (tileOfAll * (blockQ / BLOCK) + y) * ((paddedDim + BLOCK - 1) / BLOCK) + x;
                    int at = unit * BLOCK * BLOCK + warp * 16 * BLOCK + 4 * lane;
                    addInOrder(dq, sum, sums, at, columns, before, after);
                    if (after <= 0) {
                        storeBlock(
                                dq, queryGradient, type, headDim, BLOCK * x, lane % 4 * 2, head, i,
                                y * BLOCK + warp * 16 + lane / 4, seqQ, scale);
                        if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                            unfinished |= Mending.bit(dq, 0, columns) | Mending.bit(dq, 1, columns);
                        }
                    }
                }
            }
            WarpBarrier.arrive(barriers, HAS_ADDED + 2 * place);
            ofHead += 1;
            if (ofHead == tilesQ) {
                ofHead = 0;
                head += 1;
            }
        }

        // Rows that are not finite, once more from the keys that they see.
        if (unfinished != 0) {
            mendQueryGradients(
                    query, key, value, outputGradient, rowTerms, queryGradient, headTerms, keyLengths, type, headDim,
                    warp * 16 + lane / 4, lane % 4 * 2, keyTile, keyValueHead * seqK * headDim, i0, firstHead, batch,
                    heads, seqQ, offset, length, blockQ, blockK, tilesQ, steps, shift, windowLeft, windowRight, scale,
                    softcap, features);
        }

        // Queries that see no key have gradients of 0.
        if (keyTile == 0) {
            clearUnseen(queryGradient, own, firstHead, group, seqQ, headDim, blockQ, offset, length, windowRight);
        }
    }

    /** Stores what a lane has of two rows of dQ from column {@code from} on. */
    @Phase
    private static void storeBlock(
            float[] dq, HalfFloatArray queryGradient, int type, int headDim, int from, int column, int head, int i,
            int row, int seqQ, float scale) {
        for (int r = 0; r < 2; r++) {
            if (i + row + 8 * r < seqQ) {
                int first = (head * seqQ + i + row + 8 * r) * headDim + from;
                int width = TornadoMath.min(BLOCK, headDim - from);
                WarpTiles.storePart(queryGradient, first, headDim, width, type, dq, r, column, scale);
            }
        }
    }

    /**
     * Rows of dQ that this lane has stored, in any step, and that are not finite, once more from the keys that they
     * see. They are read again, since the steps have no room for what this takes.
     *
     * @param row the lane's first row of a block
     */
    @Phase
    private static void mendQueryGradients(
            HalfFloatArray query, HalfFloatArray key, HalfFloatArray value, HalfFloatArray outputGradient,
            FloatArray rowTerms, HalfFloatArray queryGradient, FloatArray headTerms, IntArray keyLengths, int type,
            int headDim, int row, int column, int keyTile, int keyValueBase, int i0, int firstHead, int batch,
            int heads, int seqQ, int offset, int length, int blockQ, int blockK, int tilesQ, int steps, int shift,
            int windowLeft, int windowRight, float scale, float softcap, int features) {
        float[] mended = new float[BLOCK / 2];
        int blocks = (headDim + BLOCK - 1) / BLOCK;
        int rowsOfStep = blockQ / BLOCK * 2 * blocks;
        for (int number = 0; number < steps * rowsOfStep; number++) {
            int step = number / rowsOfStep;
            int ofStep = number % rowsOfStep;
            int i = i0 + (step + shift) % tilesQ * blockQ;
            int last = TornadoMath.min(i + blockQ, seqQ) - 1;
            int toFirst = keyTile - Window.firstKey(i + offset, windowLeft) / blockK;
            int toLast = Window.lastKey(last + offset, length, windowRight) / blockK - keyTile;
            int after = windowRight >= 0 ? toFirst : toLast;
            i += ofStep / blocks / 2 * BLOCK + row + ofStep / blocks % 2 * 8;
            int from = ofStep % blocks * BLOCK;
            int width = TornadoMath.min(BLOCK, headDim - from);
            int batchHead = firstHead + step / tilesQ;
            int first = (batchHead * seqQ + i) * headDim + from;
            int stored = after <= 0 && i < seqQ ? width : 0;
            float zero = 0f;
            for (int x = column; x < stored; x += 8) {
                zero += Warp.load(type, queryGradient, first + x) * 0f;
                int next = TornadoMath.min(x + 1, width - 1);
                zero += Warp.load(type, queryGradient, first + next) * 0f;
            }
            int mends = zero == 0f ? 0 : 1;
            if (mends != 0) {
                int head = batchHead % heads;
                Mending.queryGradient(
                        mended, query, key, value, outputGradient, rowTerms, batchHead * seqQ + i, keyValueBase,
                        keyLengths, type, headDim, from, width, column, batchHead, batch, head, i, i + offset,
                        Window.firstKey(i + offset, windowLeft), Window.lastKey(i + offset, length, windowRight),
                        scale, softcap, HeadTerms.slope(headTerms, head, features), features);
                WarpTiles.storePart(queryGradient, first, headDim, width, type, mended, 0, column, scale);
            }
        }
    }

    /** Queries that see no key have gradients of 0. */
    @Phase
    private static void clearUnseen(
            HalfFloatArray queryGradient, int own, int firstHead, int group, int seqQ, int headDim, int blockQ,
            int offset, int length, int windowRight) {
        int tilesOfHead = Placement.tiles(seqQ, blockQ);
        for (int t = 0; t < group * tilesOfHead; t++) {
            int i = t % tilesOfHead * blockQ;
            int rows = TornadoMath.min(blockQ, seqQ - i);
            if (Window.lastKey(i + rows - 1 + offset, length, windowRight) < 0) {
                int first = ((firstHead + t / tilesOfHead) * seqQ + i) * headDim;
                for (int at = own; at < rows * headDim; at += WarpGroup.LANES) {
                    Warp.store(queryGradient, first + at, 0, 1);
                }
            }
        }
    }

    /**
     * Half of the queries, then the others: P = 2^(S - L) and dS = P (dP - D), and starts dV = dV + P dO and
     * dK = dK + dS Q, the first half's under the second half's exponentials. All of dP beside S, dK and dV would leave
     * the compiler too few registers to have products under way.
     */
    @Phase
    private static void weigh(
            int type, float[] s, float[] dp, float[] capSlope, int[] p, int[] ds, float[] dk, float[] dv,
            float[] dropped, float[] terms, int[] kept, int[] own, int[] tile, int atLane, int atV, int atQ, int atDo,
            int blockQ, int blockK, int paddedDim, float factor, float keptFactor, float softcap, int features) {
        for (int half = 0; half < 2; half++) {
            for (int m = 0; m < blockQ / 16; m++) {
                int n = half * (blockQ / 16) + m;
                Warp.elements(terms, 0, tile, atLane + 64 * n);
                for (int e = 0; e < 2; e++) {
                    float lse = LargeScores.lowered(terms[2 * e], features) * WarpScores.LOG2_E;
                    for (int r = 0; r < 2; r++) {
                        float exponent = s[4 * n + 2 * r + e] * factor - lse;
                        s[4 * n + 2 * r + e] = Warp.exp2(LargeScores.exponent(exponent, features));
                    }
                }
            }
            if (half == 0) {
                WarpGroup.await(0, dp, blockQ / 4);
            } else {
                // The first half's dV and dK may still be under way.
                WarpGroup.await(2, dp, blockQ / 4);
            }
            for (int m = 0; m < blockQ / 16; m++) {
                int n = half * (blockQ / 16) + m;
                Warp.elements(terms, 0, tile, atLane + 64 * n);
                for (int r = 0; r < 2; r++) {
                    int at = 4 * n + 2 * r;
                    if ((features & Features.DROPOUT) != 0) {
                        WarpScores.keepPair(dropped, s, at, kept, at, keptFactor);
                        p[2 * n + r] = Warp.pack(type, dropped[0], dropped[1]);
                        WarpScores.keepPair(dropped, dp, 4 * m + 2 * r, kept, at, keptFactor);
                    } else {
                        p[2 * n + r] = Warp.pack(type, s[at], s[at + 1]);
                        dropped[0] = dp[4 * m + 2 * r];
                        dropped[1] = dp[4 * m + 2 * r + 1];
                    }
                    for (int e = 0; e < 2; e++) {
                        s[at + e] *= dropped[e] - terms[2 * e + 1];
                        if (softcap > 0f) {
                            s[at + e] *= capSlope[at + e];
                        }
                    }
                    ds[2 * n + r] = Warp.pack(type, s[at], s[at + 1]) & own[r];
                }
            }
            WarpGroup.fence();
            if (half == 0) {
                int atOthers = atDo + blockQ / 2 * WarpGroup.ROW_BYTES;
                startHalf(type, dp, tile, atV, blockK, atOthers, blockQ, paddedDim);
                WarpGroup.commit();
            }
            int first = half * (blockQ / 2);
            WarpTiles.startSum(type, dv, p, tile, atDo, first, blockQ / 2, blockQ, paddedDim);
            WarpGroup.commit();
            WarpTiles.startSum(type, dk, ds, tile, atQ, first, blockQ / 2, blockQ, paddedDim);
            WarpGroup.commit();
        }
    }

    /**
     * Adds dK and dV of one query head to those of the heads before it that read the same keys, in their order: behind
     * the sums and turns of dQ, 16 rows of both for each warp.
     *
     * @param part which warp of all
     * @param before heads that add before this one
     * @param after heads that add after it; the last gets the sums in its accumulators
     */
    @Phase
    private static void sumOverHeads(
            float[] dk, float[] dv, FloatArray sums, IntArray turns, int tilesOfQueries, int sumsOfTile, int part,
            int paddedDim, int lane, int before, int after) {
        int atKeys = tilesOfQueries * sumsOfTile + part * 2 * 16 * paddedDim + 4 * lane;
        int atValues = atKeys + 16 * paddedDim;
        int turn = tilesOfQueries * turnsOfTile() + part;
        float[] sum = new float[4];
        if (before > 0) {
            Turn.await(turns, turn, before);
        }
        addInOrder(dk, sum, sums, atKeys, paddedDim, before, after);
        addInOrder(dv, sum, sums, atValues, paddedDim, before, after);
        Turn.pass(turns, turn, after > 0 ? before + 1 : 0);
    }

    /** The first writes what it has of a block, those between add theirs, and the last gets the sum. */
    private static void addInOrder(float[] c, float[] sum, FloatArray sums, int at, int columns, int before, int after) {
        if (after > 0) {
            if (before > 0) {
                for (int n = 0; n < columns / 8; n++) {
                    Warp.addFour(sums, at + 128 * n, c, 4 * n);
                }
            } else {
                for (int n = 0; n < columns / 8; n++) {
                    Warp.storeFour(sums, at + 128 * n, c, 4 * n);
                }
            }
        } else {
            if (before > 0) {
                for (int n = 0; n < columns / 8; n++) {
                    Warp.loadFour(sum, 0, sums, at + 128 * n);
                    for (int e = 0; e < 4; e++) {
                        c[4 * n + e] = sum[e] + c[4 * n + e];
                    }
                }
            }
        }
    }

    /** Stores what a lane has of dK and dV; of heads that share these keys, the last has the sum. */
    @Phase
    private static void finish(
            float[] dk, float[] dv, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            HalfFloatArray outputGradient, FloatArray rowTerms, HalfFloatArray keyGradient,
            HalfFloatArray valueGradient, FloatArray headTerms, IntArray keyLengths, FloatArray sums, IntArray turns,
            int type, int headDim, int blockQ, int blockK, int keyValueBase, int column, int firstHead, int sharing,
            int eachHead, int heads, int allHeads, int tilesK, int keyTile, int j0, int row, int item, int seqQ,
            int seqK, int offset, int length, int windowLeft, int windowRight, float scale, float softcap,
            int features) {
        int paddedDim = (headDim + 15) / 16 * 16;
        int keyValueHead = firstHead / sharing;
        int othersAfter = 0;
        if (eachHead != 0) {
            int part = (keyValueHead * tilesK + keyTile) * (WARPS * (blockK / 64)) + item / 32;
            othersAfter = sharing - 1 - firstHead % sharing;
            sumOverHeads(
                    dk, dv, sums, turns, allHeads * Placement.tiles(seqQ, blockQ), sumsOfTile(headDim, blockQ), part,
                    paddedDim, item % 32, firstHead % sharing, othersAfter);
        }

        // Keys past the last of their sequence have gradients of 0.
        for (int r = 0; r < 2; r++) {
            int j = j0 + row + 8 * r;
            int first = keyValueBase + (row + 8 * r) * headDim;
            if (othersAfter == 0 && j < seqK) {
                WarpScores.clearRow(dv, r, paddedDim, j < length);
                WarpTiles.store(valueGradient, first, headDim, type, dv, r, column, 1f);
                WarpScores.clearRow(dk, r, paddedDim, j < length);
                WarpTiles.store(keyGradient, first, headDim, type, dk, r, column, scale);
            }
        }

        // Keys whose gradients are not finite, once more from the queries that see them.
        if (othersAfter == 0 && Mending.isNeeded(windowLeft, windowRight) > 0) {
            mendKeyValueGradients(
                    dk, dv, query, key, value, outputGradient, rowTerms, keyGradient, valueGradient, headTerms,
                    keyLengths, type, headDim, keyValueBase, column, keyValueHead * sharing, sharing, heads, j0, row,
                    seqQ, offset, length, windowLeft, windowRight, scale, softcap, features);
        }
    }

    /** What a lane has of dK and dV that is not finite, once more from the queries that see these keys. */
    @Phase
    private static void mendKeyValueGradients(
            float[] dk, float[] dv, HalfFloatArray query, HalfFloatArray key, HalfFloatArray value,
            HalfFloatArray outputGradient, FloatArray rowTerms, HalfFloatArray keyGradient,
            HalfFloatArray valueGradient, FloatArray headTerms, IntArray keyLengths, int type, int headDim,
            int keyValueBase, int column, int firstHead, int group, int heads, int j0, int row, int seqQ, int offset,
            int length, int windowLeft, int windowRight, float scale, float softcap, int features) {
        float[] mendedKeys = new float[(headDim + 15) / 16 * 16 / 2];
        float[] mendedValues = new float[(headDim + 15) / 16 * 16 / 2];
        int paddedDim = (headDim + 15) / 16 * 16;
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
                WarpTiles.store(valueGradient, first, headDim, type, mendedValues, 0, column, 1f);
                WarpTiles.store(keyGradient, first, headDim, type, mendedKeys, 0, column, scale);
            }
        }

    }
    // spotless:on

    /**
     * Computes one tile of dK and dV, and its part of dQ; see the class for arrays, grid and memory.
     *
     * @param blocks {@link WarpGroupKeyValueGradients#blocks}, with {@link #EACH_HEAD} or without
     * @param together heads in a bundle, of keys, or with {@link #EACH_HEAD} of queries
     * @param groupsAtOnce groups that the device surely runs at a time
     * @param parts in which the gradient of a bias is summed, 0 where it is not
     * @param shared heads of batch entries that share each of its elements
     * @param biasBatch batch entries of the bias
     * @param biasHeads heads of the bias
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT} and {@code F16_BITS} of {@link Features},
     *     added
     */
    public static void gradients(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray outputGradient,
            FloatArray rowTerms,
            @Element HalfFloatArray queryGradient,
            @Element HalfFloatArray keyGradient,
            @Element HalfFloatArray valueGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            FloatArray sums,
            IntArray turns,
            @IfGiven FloatArray biasParts,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            @Constant int headDim,
            @Constant int blocks,
            @Constant int together,
            @Constant int groupsAtOnce,
            @Constant int parts,
            @Constant int shared,
            @Constant int biasBatch,
            @Constant int biasHeads,
            @Constant int windowLeft,
            @Constant int windowRight,
            float scale,
            @Constant float softcap,
            @Constant int features) {
        int blockQ = blocks & 0xfff;
        int blockK = blocks >> 12 & 0xfff;
        int groups = blockK / 64;
        int items = WarpGroup.LANES * groups;
        Warp.requireGroupSize(items + 2 * WarpGroup.LANES);
        WarpGroup.requireMultiprocessor();
        int paddedDim = (headDim + 15) / 16 * 16;
        int type = WarpTiles.type(query, features);
        float factor = WarpScores.factor(scale, softcap, features);

        // One array: K, V, stages of Q and dO, places of dS, stages of the rows' L and D, places of biases.
        int atV = WarpTiles.tileBytes(blockK, headDim);
        int tileBytes = WarpTiles.tileBytes(blockQ, headDim);
        int placeBytes = (blockQ + BLOCK - 1) / BLOCK * blockK * WarpGroup.ROW_BYTES;
        int atStages = 2 * atV;
        int atPlaces = atStages + STAGES * 2 * tileBytes;
        int atTerms = atPlaces + PLACES * placeBytes;
        int atBiases = atTerms + STAGES * 8 * blockQ;
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 64 * (blockK + STAGES * blockQ)
                + PLACES * ((blockQ + BLOCK - 1) / BLOCK * blockK * 32)
                + STAGES * 2 * blockQ
                + PLACES * BiasTiles.ints(blockQ, blockK));

        int[] barriers = context.allocateIntLocalArray(INTS_OF_BARRIERS);
        int item = context.localIdx;
        makeBarriers(barriers, item, groups);
        clearPadding(tile, blockK, headDim, item, items + 2 * WarpGroup.LANES);
        context.localBarrier();

        // Which tile of keys.
        int tilesK = Placement.tiles(seqK, blockK);
        int allHeads = query.getSize() / (seqQ * headDim); // batch * heads
        int sharing = heads / kvHeads; // query heads that read one head of keys and values
        int eachHead = blocks & EACH_HEAD;
        int group = eachHead != 0 ? 1 : sharing; // query heads of this work-group
        int headsOfGroups = allHeads / group;
        int bundle = context.groupIdx / (together * tilesK);
        int ofBundle = TornadoMath.min(together, headsOfGroups - bundle * together);
        int within = context.groupIdx - bundle * together * tilesK;
        int keyTile = within / ofBundle;
        if (windowRight >= 0) {
            keyTile = tilesK - 1 - keyTile;
        }
        int onlyHead = (bundle * together + within % ofBundle) * group; // batch * heads + the first of them

        // With the gradient of a bias, all heads of a part, one after the other, of one tile of the bias.
        int rounds = 1;
        int ofBias = 0;
        int biasPart = 0;
        int firstShared = 0;
        if (parts > 0) {
            keyTile = context.groupIdx % tilesK;
            ofBias = context.groupIdx / tilesK % (biasBatch * biasHeads);
            biasPart = context.groupIdx / tilesK / (biasBatch * biasHeads);
            firstShared = biasPart * shared / parts;
            rounds = (biasPart + 1) * shared / parts - firstShared;
        }
        int j0 = keyTile * blockK;
        int length = Window.length(keyLengths, onlyHead / heads, seqK, features);

        // Query i stands at key position i + offset (bottom-right alignment). Queries firstQuery ... lastQuery see keys
        // of the tile; queries everyFirst ... everyLast see all of them.
        int offset = length - seqQ;
        int firstQuery = Window.firstQuery(j0, offset, windowRight);
        int lastQuery = Window.lastQuery(j0 + blockK - 1, j0, offset, seqQ, length, windowLeft);
        int i0 = firstQuery / blockQ * blockQ;
        int tilesQ = lastQuery < firstQuery ? 0 : (lastQuery - i0) / blockQ + 1;
        int steps = Warp.uniform(group * tilesQ); // The assembler would find it anew in each step.

        // Where every query sees every key, and tiles are many or heads share them, tile n of keys begins `apart` tiles
        // of queries before tile n - 1, and goes round: all begin at once, and none waits for another's turn.
        int apart = 0;
        int shift = 0;
        if (windowLeft < 0 && windowRight < 0) {
            int tilesOfKeys = Placement.tiles(length, blockK);
            int fewest = heads > kvHeads ? 1 : MANY_TILES;
            if (tilesOfKeys >= fewest && tilesK <= groupsAtOnce) {
                apart = tilesQ / tilesOfKeys;
                shift = tilesQ - apart * keyTile;
            }
        }

        if (item >= items + WarpGroup.LANES) {
            WarpGroup.giveRegisters(copyingRegisters(headDim, seqQ, blockQ));
            int ofOthers = item - items - WarpGroup.LANES;
            // spotless:off: calls in rows
            for (int round = 0; round < rounds; round++) {
                int first = firstHead(parts, onlyHead, ofBias, firstShared + round, biasBatch, biasHeads, heads);
                if (ofOthers < COPYING) {
                    copies(
                            tile, barriers, query, key, value, outputGradient, rowTerms, round * steps, atV, atStages,
                            atTerms, atBiases, tileBytes, ofOthers, (first / sharing * seqK + j0) * headDim, j0, i0,
                            first, first / heads, heads, seqQ, length, headDim, blockQ, blockK, tilesQ, steps, shift);
                } else {
                    takeTurns(
                            barriers, turns, round * steps, Warp.uniform((ofOthers - COPYING) / 32),
                            keyTile, i0, first, seqQ, length, offset, blockQ, blockK, tilesQ, steps, apart, shift,
                            windowLeft, windowRight);
                }
            }
            // spotless:on
        } else if (item >= items) {
            WarpGroup.giveRegisters(REGISTERS_OF_ADDING);
            // spotless:off: calls in rows
            for (int round = 0; round < rounds; round++) {
                int first = firstHead(parts, onlyHead, ofBias, firstShared + round, biasBatch, biasHeads, heads);
                queryGradients(
                        tile, barriers, query, key, value, outputGradient, rowTerms, queryGradient, headTerms,
                        keyLengths, sums, round * steps, atPlaces, placeBytes,
                        type, item - items, keyTile, first / sharing, i0, first, group, first / heads, heads, seqQ,
                        seqK, length, offset, headDim, blockQ, blockK, tilesQ, steps, apart, shift, windowLeft,
                        windowRight, scale, softcap, features);
            }
            // spotless:on
        } else {
            // A warp group that computes: this lane's rows and columns of an accumulator, its group's rows of K and V.
            WarpGroup.takeRegisters(computingRegisters(groups, copyingRegisters(headDim, seqQ, blockQ)));
            int lane = item % 32;
            int row = item / 32 * 16 + lane / 4;
            int column = lane % 4 * 2;
            int rows = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;
            int everyFirst = Window.everyFirst(j0 + blockK - 1, offset, windowRight);
            int everyLast = Window.everyLast(j0, offset, seqQ, windowLeft);
            float keptFactor = DropoutMask.keptFactor(keyLengths, features);

            // The row and the chunk of dS whose place this lane gives when matrices are stored.
            int storedRow = item / 32 * 16 + lane / 8 % 2 * 8 + lane % 8;
            int storedChunk = lane / 16;

            // Which bits of dS stay: none of keys past the last of their sequence, where P may be infinite.
            int[] own = new int[2];
            own[0] = j0 + row < length ? -1 : 0;
            own[1] = j0 + row + 8 < length ? -1 : 0;

            // dK = dV = 0.
            float[] s = new float[blockQ / 2];
            float[] dp = new float[blockQ / 4];
            float[] capSlope = new float[blockQ / 2];
            float[] dropped = new float[2];
            float[] terms = new float[4];
            int[] kept = new int[(blockQ + 63) / 64];
            int[] biases = new int[blockQ / 4];
            int[] p = new int[blockQ / 4];
            int[] ds = new int[blockQ / 4];
            float[] dk = new float[(headDim + 15) / 16 * 16 / 2];
            float[] dv = new float[(headDim + 15) / 16 * 16 / 2];
            for (int at = 0; at < blockQ / 2; at++) {
                s[at] = 0f;
            }
            for (int at = 0; at < blockQ / 4; at++) {
                dp[at] = 0f;
            }
            for (int round = 0; round < rounds; round++) {
                int firstHead = firstHead(parts, onlyHead, ofBias, firstShared + round, biasBatch, biasHeads, heads);
                int keyValueHead = firstHead / sharing;
                int keyValueBase = (keyValueHead * seqK + j0) * headDim;
                int done = round * steps;
                for (int at = 0; at < paddedDim / 2; at++) {
                    dk[at] = 0f;
                    dv[at] = 0f;
                }

                int ofHead = 0; // steps of this head before
                int head = firstHead;
                for (int t = 0; t < steps; t++) {
                    int i = i0 + turned(ofHead, shift, tilesQ) * blockQ;
                    int stage = (done + t) % STAGES;
                    int place = (done + t) % PLACES;
                    int atQ = atStages + stage * 2 * tileBytes;
                    int atLane = atTerms + stage * 8 * blockQ + 8 * column;

                    // S = K_j Q_i^T, then half of dP = V_j dO_i^T is under way.
                    WarpBarrier.await(barriers, FULL_STAGE + 2 * stage, (done + t) / STAGES);
                    WarpGroup.fenceLocalMemory();
                    WarpGroup.fence();
                    WarpTiles.startProduct(type, s, tile, rows, blockK, atQ, blockQ, paddedDim);
                    WarpGroup.commit();
                    if (Functions.addBiases()) {
                        int atBias = atBiases + place * BiasTiles.bytes(blockQ, blockK);
                        BiasTiles.readTransposed(biases, tile, atBias, blockQ, item);
                    }
                    WarpGroup.await(0, s, blockQ / 2);
                    startHalf(type, dp, tile, atV + rows, blockK, atQ + tileBytes, blockQ, paddedDim);
                    WarpGroup.commit();

                    float slope = HeadTerms.slope(headTerms, head % heads, features);
                    WarpScores.derivatives(s, capSlope, blockQ, scale, softcap);
                    // spotless:off: calls in rows
                    if (Functions.addBiases()) {
                        WarpScores.addTransposed(
                                s, biases, blockQ, firstHead / heads, head % heads, j0 + row, i + column, offset, scale,
                                softcap, slope, features);
                        WarpScores.hide(
                                s, 1, blockQ, j0 + row - offset, i, column, seqQ, everyFirst, everyLast, windowRight,
                                windowLeft);
                    } else {
                        WarpScores.scores(
                                s, 1, blockQ, j0 + row - offset, i, column, seqQ, everyFirst, everyLast, windowRight,
                                windowLeft, scale, softcap, slope, features);
                    }
                    // spotless:on
                    if ((features & Features.DROPOUT) != 0) {
                        WarpScores.keptTransposed(kept, blockQ, keyLengths, head, i + column, j0 + row, features);
                    }

                    // P = 2^(S - L) and dS = P (dP - D); dV = dV + P dO_i and dK = dK + dS Q_i begin.
                    // spotless:off: a call in rows
                    weigh(
                            type, s, dp, capSlope, p, ds, dk, dv, dropped, terms, kept, own, tile, atLane, atV + rows,
                            atQ, atQ + tileBytes, blockQ, blockK, paddedDim, factor, keptFactor, softcap, features);
                    // spotless:on

                    // dS to local memory, for dQ.
                    if (done + t >= PLACES) {
                        WarpBarrier.await(barriers, FREE_PLACE + 2 * place, (done + t) / PLACES - 1);
                    }
                    int atDs = atPlaces + place * placeBytes;
                    for (int n = 0; n < blockQ / 16; n++) {
                        int chunk = WarpTiles.chunk(blockK, storedRow, 2 * n + storedChunk);
                        Warp.storeMatrices(tile, atDs + chunk, ds, 4 * n);
                    }
                    WarpGroup.fenceLocalMemory();
                    WarpBarrier.arrive(barriers, FULL_PLACE + 2 * place);
                    if (parts > 0) {
                        int ofParts = (biasPart * biasBatch * biasHeads + ofBias) * tilesK + keyTile;
                        int atParts = (ofParts * tilesQ + i / blockQ) * blockK * blockQ + item / 32 * 16 * blockQ;
                        addToParts(biasParts, atParts + 4 * lane, s, blockQ, round);
                    }

                    // With dK under way beside the next S, the compiler would have too few registers.
                    WarpGroup.await(0, dv, (headDim + 15) / 16 * 16 / 2);
                    WarpGroup.await(0, dk, (headDim + 15) / 16 * 16 / 2);
                    ofHead += 1;
                    if (ofHead == tilesQ) {
                        ofHead = 0;
                        head += 1;
                    }
                }
                // spotless:off: a call in rows
            finish(
                    dk, dv, query, key, value, outputGradient, rowTerms, keyGradient, valueGradient, headTerms,
                    keyLengths, sums, turns, type, headDim, blockQ, blockK, keyValueBase, column, firstHead, sharing,
                    eachHead, heads, allHeads, tilesK, keyTile, j0, row, item, seqQ, seqK, offset, length, windowLeft,
                    windowRight, scale, softcap, features);
            // spotless:on
            }
        }
    }

    /**
     * Starts C = A Bᵀ for 64 rows of a warp group and half of the {@code rowsB} rows of B, as
     * {@link WarpTiles#startProduct}.
     */
    private static void startHalf(
            int type, float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int paddedDim) {
        for (int x = 0; x < paddedDim / 16; x++) {
            int a = atA + x / 4 * rowsA * WarpGroup.ROW_BYTES + x % 4 * 32;
            int b = atB + x / 4 * rowsB * WarpGroup.ROW_BYTES + x % 4 * 32;
            WarpGroup.multiply(type, c, rowsB / 2, tile, a, b, x);
        }
    }
}
