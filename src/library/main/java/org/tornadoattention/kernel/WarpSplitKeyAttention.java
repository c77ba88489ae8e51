package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.KeySplit;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Softcap;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.kernel.parts.WarpScores;
import org.tornadoattention.kernel.parts.WarpTiles;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * {@link SplitKeyAttention} on tensor cores, for 16-bit caches: attention of few queries over many keys at the speed of
 * memory, the keys of each head split among work-groups, partial results for {@link MergePartials}.
 *
 * <p>Source: Dao, Haziza, Massa and Sizov, <i>Flash-Decoding for long-context inference</i> (2023).
 *
 * <p><b>How it reads.</b> What bounds it is how many bytes are under way. Keys and values come in tiles of 16 keys a
 * warp, by asynchronous copies of 16 bytes past the registers, into {@code stages} places in local memory: while one is
 * worked on, all others are under way. The query heads of a KV head are rows of one tile of 16 or 32, padded where
 * there are fewer; each warp has its own keys of a tile and a softmax of its own, so warps wait for each other only
 * where a place is reused, and meet once, at the end.
 *
 * <p><b>KV heads of a group.</b> Where the heads of a token lie side by side, groups of one head each would read their
 * part of it at different times. So a group may take several, each with warps of its own: it reads the tokens of a tile
 * in one go.
 *
 * <p><b>Arrays.</b> As in {@link SplitKeyAttention}; key and value hold F16, or in the form for {@code IntArray}s two
 * BF16 to an int. Queries are divided by the scale again and rounded as keys are.
 *
 * <p><b>Grid.</b> One dimension, {@code tiles * kvHeads / headsOfGroup * splits} groups of {@code 32 * warps}
 * work-items.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}.
 *
 * <p><b>Device.</b> {@link Warp}: compute capability 8.0. The head dimension is a multiple of 8.
 *
 * <p><b>Not done here.</b> FP8 and F32 caches: {@link SplitKeyAttention}.
 */
public final class WarpSplitKeyAttention {

    /** Keys of a tile that a warp takes: the depth of a product. */
    public static final int WARP_KEYS = 16;

    private static final int ALIGNMENT = 1024;

    /** Parts that the last group of a tile merges; of more, {@link MergePartials} has a group for each row. */
    public static final int MOST_MERGED_PARTS = 1024;

    /** Parts that a work-item loads at once, four columns of each. */
    private static final int AT_ONCE = 16;

    private WarpSplitKeyAttention() {}

    /** Bytes of keys and values of a tile. */
    public static int stageBytes(int headDim, int warps) {
        return 2 * WarpTiles.tileBytes(WARP_KEYS * warps, headDim);
    }

    /** Bytes of local memory of a group, with what the assembler adds to align its arrays. */
    public static int localMemoryBytes(int headDim, int rows, int warps, int stages) {
        int sums = (Float.BYTES * rows * warps + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return stages * stageBytes(headDim, warps) + 2 * sums;
    }

    /**
     * Computes one split of one tile; see the class for arrays, grid and memory.
     *
     * @param group query heads of a KV head
     * @param seqQ query tokens of each sequence, 0 if they differ
     * @param pagesPerSequence pages in a sequence's row of the table, 0 for packed keys
     * @param rows of a tile: pairs of a token and a query head, up to 32
     * @param headsOfGroup KV heads of a work-group, 1 or another power of two that divides them and the warps
     * @param stages tiles in local memory, 2 or more
     * @param features {@code SINKS} of {@link Features}, or not
     */
    public static void attention(
            KernelContext context,
            @Element("queries") FloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            FloatArray partials,
            @IfGiven @Element("tokens") FloatArray output,
            @IfGiven FloatArray logSumExp,
            @IfGiven IntArray arrivals,
            @IfGiven IntArray sequences,
            @IfGiven IntArray step,
            @IfGiven IntArray positions,
            @IfGiven IntArray validRows,
            @IfGiven IntArray keyLengths,
            @IfGiven IntArray blockTable,
            FloatArray numbers,
            int kvHeads,
            int group,
            int headDim,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            int splits,
            int rows,
            int warps,
            int headsOfGroup,
            int stages,
            int features) {
        int items = 32 * warps;
        Warp.requireGroupSize(items);
        int type = WarpTiles.type(key);
        int paddedDim = (headDim + 15) / 16 * 16;
        int rowTiles = (rows + 15) / 16;
        int rowBlocks = (rows + 7) / 8;
        int tileRows = WARP_KEYS * warps;
        int tileKeys = tileRows / headsOfGroup;
        int tileBytes = (headDim + 63) / 64 * tileRows * 128;

        int[] keyTiles = context.allocateIntLocalArray(stages * ((headDim + 63) / 64) * warps * 512);
        int[] valueTiles = context.allocateIntLocalArray(stages * ((headDim + 63) / 64) * warps * 512);
        float[] warpMax = context.allocateFloatLocalArray(rows * warps);
        float[] warpSum = context.allocateFloatLocalArray(rows * warps);

        // Which sequence, KV head, split and rows.
        int item = context.localIdx;
        int lane = item % 32;
        int warp = item / 32;
        int split = context.groupIdx % splits;
        int firstHead = context.groupIdx / splits % (kvHeads / headsOfGroup) * headsOfGroup;
        int kvHead = firstHead + warp % headsOfGroup;
        int tile = context.groupIdx / splits / (kvHeads / headsOfGroup);
        int sequence = 0;
        int queryStart = 0;
        int queries = 0;
        int following = 0;
        int state = 0;
        int length = 0;
        int padding = 0;
        int table = 0;
        int firstPage = 0;
        int windowLeft = KeySplit.windowLeft();
        int windowRight = KeySplit.windowRight();
        int alibi = KeySplit.alibi();
        if (KeySplit.arePlacesRead()) {
            int tiles = KeySplit.tiles(seqQ, group, rows);
            sequence = tile / tiles;
            tile = tile % tiles;
            queryStart = sequence * seqQ;
            queries = ReadPositions.rows(validRows, sequence, seqQ, KeySplit.given());
            int position = positions.get(sequence);
            length = position + queries;
            if ((KeySplit.given() & ReadPositions.LENGTHS) != 0) {
                length = keyLengths.get(sequence);
            }
            length = TornadoMath.max(0, TornadoMath.min(length, pageSize * pagesPerSequence));
            following = length - position - queries;
            table = sequence * pagesPerSequence;
            firstPage = sequence;
            if ((KeySplit.given() & ReadPositions.TABLE) != 0) {
                firstPage = blockTable.get(table);
            }
        } else {
            sequence = KeySplit.sequence(step, tile, group, rows, seqQ);
            tile -= KeySplit.tilesBefore(step, sequence, group, rows, seqQ);
            queryStart = StepLayout.queryStart(step, sequence);
            queries = StepLayout.queries(step, sequence);
            following = StepLayout.following(step, sequence);
            state = StepLayout.state(sequence, pagesPerSequence);
            length = StepLayout.length(sequences, state);
            padding = StepLayout.padding(sequences, state);
            table = StepLayout.table(state);
            firstPage = sequences.get(table);
            windowLeft = StepLayout.windowLeft(step);
            windowRight = StepLayout.windowRight(step);
            alibi = StepLayout.alibi(step);
        }
        int firstRow = tile * rows;
        int rowsHere = TornadoMath.max(0, TornadoMath.min(rows, queries * group - firstRow));

        // Query i stands at key position i + offset (bottom-right alignment); the tile sees keys firstKey ... lastKey,
        // and this split of them from ... to.
        int offset = length - following - queries;
        int firstKey = padding;
        int lastKey = length - 1;
        if (windowLeft >= 0) {
            firstKey = TornadoMath.max(firstKey, firstRow / group + offset - windowLeft);
        }
        if (windowRight >= 0) {
            lastKey = TornadoMath.min(lastKey, (firstRow + rowsHere - 1) / group + offset + windowRight);
        }
        int least = 0;
        if (Layout.isStrided()) {
            // A warp's keys are in one page, where pages are no smaller. What no row sees is not read: it may be
            // anything.
            if (windowLeft >= 0) {
                least = firstKey;
                firstKey = firstKey / WARP_KEYS * WARP_KEYS;
            }
        }
        int parts = splits * WARP_KEYS;
        int chunk = (TornadoMath.max(0, lastKey - firstKey + 1) + parts - 1) / parts * WARP_KEYS;
        int from = firstKey + split * chunk;
        int to = rowsHere > 0 ? TornadoMath.min(lastKey, from + chunk - 1) : from - 1;
        if (KeySplit.isFixed()) {
            // Parts and tiles of keys begin at places that no query moves: masked keys change no bit of a row.
            from = split * KeySplit.fixedKeys();
            to = rowsHere > 0 ? TornadoMath.min(lastKey, from + KeySplit.fixedKeys() - 1) : from - 1;
            from = TornadoMath.max(from, firstKey / tileKeys * tileKeys);
        }
        int tiles = to < from ? 0 : (to - from) / tileKeys + 1;

        // All rows of the tile see keys everyLeft ... everyRight of these.
        int everyLeft = firstKey;
        int everyRight = to;
        if (windowLeft >= 0) {
            everyLeft = (firstRow + rows - 1) / group + offset - windowLeft;
        }
        if (windowRight >= 0) {
            everyRight = TornadoMath.min(to, firstRow / group + offset + windowRight);
        }

        // This lane's place in products; m = -inf, l = 0, O = 0.
        int row = lane / 4;
        int column = lane % 4 * 2;
        float scale = StepLayout.scale(numbers);
        float softcap = StepLayout.softcap(numbers);
        float unscale = scale == 0f ? 0f : 1f / scale;
        int[] q = new int[(rows + 15) / 16 * ((headDim + 15) / 16) * 4];
        float[] s = new float[(rows + 15) / 16 * 8];
        int[] p = new int[(rows + 15) / 16 * 4];
        float[] o = new float[(rows + 15) / 16 * ((headDim + 15) / 16 * 16) / 2];
        float[] m = new float[(rows + 15) / 16 * 2];
        float[] l = new float[(rows + 15) / 16 * 2];
        float[] correction = new float[(rows + 15) / 16 * 2];
        int[] b = new int[4];
        clear(q, p, o, m, l, rowTiles, rowBlocks, paddedDim);

        // At first tiles only set out. Then tile t is there, and all warps are done with the one before it, whose place
        // takes the next to set out.
        int place = 0;
        for (int t = 1 - stages; t < tiles; t++) {
            if (t == 0) {
                // Q in registers, while the first tiles are on their way.
                // spotless:off: a call in rows
                loadQueries(
                        type, q, query, sequence, queryStart, firstRow, rowsHere, row, column, rowBlocks, kvHead,
                        kvHeads, group, headDim, paddedDim, unscale);
                // spotless:on
            }
            if (t >= 0) {
                Warp.awaitCopies(stages - 2);
                context.localBarrier();
            }
            if (t + stages - 1 < tiles) {
                int j0 = from + (t + stages - 1) * tileKeys;
                // spotless:off: calls in rows
                if (KeySplit.arePlacesRead()) {
                    copyTiles(
                            keyTiles, valueTiles, place, key, value, blockTable, table, firstPage, j0, to, firstHead,
                            headsOfGroup, kvHeads, headDim, pageSize, pagesPerSequence, least, item, warps);
                } else {
                    copyTiles(
                            keyTiles, valueTiles, place, key, value, sequences, table, firstPage, j0, to, firstHead,
                            headsOfGroup, kvHeads, headDim, pageSize, pagesPerSequence, least, item, warps);
                }
                // spotless:on
            }
            context.asyncCopyCommit();
            place = place == (stages - 1) * tileBytes ? 0 : place + tileBytes;

            if (t >= 0) {
                // spotless:off: a call in rows
                attend(
                        type, keyTiles, valueTiles, place, q, s, p, o, m, l, correction, b, numbers, lane, warp,
                        rowTiles, rowBlocks, tileRows, headsOfGroup, paddedDim, from + t * tileKeys, to,
                        firstRow + lane / 4, kvHead, group, offset, everyLeft, everyRight, windowLeft, windowRight,
                        alibi, scale, softcap);
                // spotless:on
            }
        }

        int heads = kvHeads * group;
        int logSumExps = partials.getSize() / (headDim + 1) * headDim;
        int allParts = splits;
        int part = split;
        int isWhole = isWhole(splits);
        if (KeySplit.isOneOfSeveral()) {
            allParts = KeySplit.allParts();
            part = split + KeySplit.partsBefore();
        }

        // The warps meet: m = max m_warp, l = sum 2^(m_warp - m) l_warp, O = sum 2^(m_warp - m) O_warp / l.
        // spotless:off: a call in rows
        meet(
                context, warpMax, warpSum, m, l, correction, partials, numbers, logSumExps, allParts, part, split, item,
                lane, warp, row, rows, rowsHere, rowBlocks, warps, headsOfGroup, firstRow, queryStart, queries, kvHead,
                group, heads, features);
        // spotless:on
        WarpScores.rescaleBlocks(o, correction, rowBlocks, paddedDim);

        // Each warp lays 16 rows of its O where keys were, and all of a KV head add them up.
        int itemOfHead = itemOfHead(item, headsOfGroup);
        for (int r = 0; r < rowTiles; r++) {
            lay(keyTiles, (warp * 16 + row) * paddedDim + column, o, r, rows, paddedDim);
            context.localBarrier();
            for (int x = itemOfHead; x < TornadoMath.min(16, rowsHere - 16 * r) * headDim; x += items / headsOfGroup) {
                float sum = 0f;
                for (int other = warp % headsOfGroup; other < warps; other += headsOfGroup) {
                    sum += Reinterpret.asFloat(keyTiles[(other * 16 + x / headDim) * paddedDim + x % headDim]);
                }
                int mine = firstRow + 16 * r + x / headDim;
                int of = (queryStart + mine / group) * heads + kvHead * group + mine % group;
                // What is not finite, once more: a row whose sum is NaN sees what makes it so.
                if (Mending.isMended(sum, partials, logSumExps + of * allParts + part) > 0) {
                    // spotless:off: a call in rows
                    sum = mended(
                            query, key, value, partials.get(logSumExps + of * allParts + part), sequences, blockTable,
                            numbers, table, firstPage, sequence, mine, of, x % headDim, kvHead, kvHeads, group, headDim,
                            pageSize, pagesPerSequence, offset, windowLeft, windowRight, alibi, scale, from, to);
                    // spotless:on
                }
                if (isWhole > 0) {
                    // spotless:off: a call in rows
                    write(
                            output, logSumExp, x % headDim, sum, partials.get(logSumExps + of), sequence,
                            kvHead * group + mine % group, mine / group, of, heads, headDim, seqQ);
                    // spotless:on
                } else {
                    partials.set((of * allParts + part) * headDim + x % headDim, sum);
                }
            }
            context.localBarrier();
        }

        // The step is over for the lengths too: what they are now is what they were before the next one.
        if (!KeySplit.arePlacesRead()) {
            if (item == 0 && split == 0 && kvHead == 0 && tile == 0 && pagesPerSequence > 0) {
                sequences.set(state, length);
            }
            if (item == 0 && context.groupIdx == 0) {
                StepLayout.setAttended(sequences, step);
            }
        }

        // The last group of the tile's parts merges them.
        if (KeySplit.isMerged() && isWhole == 0) {
            // spotless:off: a call in rows
            mergeParts(
                    context, keyTiles, partials, output, logSumExp, arrivals, sequences, step, item, lane, warp, items,
                    headsOfGroup, sequence, queryStart, firstRow, rowsHere, kvHead, group, heads, headDim, seqQ, splits,
                    logSumExps);
            // spotless:on
        }
    }

    // spotless:off: parameters and calls in rows
    /** m = -inf, l = 0, O = 0. */
    @Phase
    private static void clear(
            int[] q, int[] p, float[] o, float[] m, float[] l, int rowTiles, int rowBlocks, int paddedDim) {
        for (int x = 0; x < rowTiles * paddedDim / 4; x++) {
            q[x] = 0;
        }
        for (int x = 0; x < rowTiles * paddedDim / 2; x++) {
            o[x] = 0f;
        }
        for (int x = 0; x < 4 * rowTiles; x++) {
            p[x] = 0;
        }
        for (int r = 0; r < rowBlocks; r++) {
            m[r] = Score.NO_SCORE;
            l[r] = 0f;
        }
    }

    /** Q in registers. */
    @Phase
    private static void loadQueries(
            int type, int[] q, FloatArray query, int sequence, int queryStart, int firstRow, int rowsHere, int row,
            int column, int rowBlocks, int kvHead, int kvHeads, int group, int headDim, int paddedDim, float unscale) {
        for (int r = 0; r < rowBlocks; r++) {
            int mine = firstRow + TornadoMath.min(row + 8 * r, TornadoMath.max(0, rowsHere - 1));
            int at = ((queryStart + mine / group) * kvHeads * group + kvHead * group + mine % group) * headDim
                    + column;
            at = rowsHere > 0 ? at : column;
            if (KeySplit.arePlacesRead()) {
                at = Layout.query(sequence, kvHead * group + mine % group, mine / group) + column;
            }
            for (int n = 0; n < paddedDim / 8; n++) {
                int register = (r / 2 * paddedDim / 16 + n / 2) * 4 + n % 2 * 2 + r % 2;
                if (8 * n < headDim) {
                    if (KeySplit.arePlacesRead()) {
                        q[register] = Warp.pack(
                                type,
                                WarpTiles.element(query, at + 8 * n),
                                WarpTiles.element(query, at + 8 * n + 1));
                    } else {
                        q[register] = Warp.pack(
                                type,
                                unscale * WarpTiles.element(query, at + 8 * n),
                                unscale * WarpTiles.element(query, at + 8 * n + 1));
                    }
                }
            }
        }
    }

    /**
     * A warp's keys of a tile: S = Q K_j^T, P = 2^(S - m), l = correction * l + sum P, O = correction * O + P V_j.
     *
     * @param j0 the first key of the tile
     * @param row of the sequence that this lane has first
     */
    @Phase
    private static void attend(
            int type, int[] keyTiles, int[] valueTiles, int place, int[] q, float[] s, int[] p, float[] o, float[] m,
            float[] l, float[] correction, int[] b, FloatArray numbers, int lane, int warp, int rowTiles, int rowBlocks,
            int tileRows, int headsOfGroup, int paddedDim, int j0, int to, int row, int kvHead, int group, int offset,
            int everyLeft, int everyRight, int windowLeft, int windowRight, int alibi, float scale, float softcap) {
        int column = lane % 4 * 2;
        int rowOfK = warp * WARP_KEYS + lane % 8 + lane / 16 * 8;
        int rowOfV = warp * WARP_KEYS + lane % 16;
        // S = Q K_j^T
        for (int x = 0; x < rowTiles * 8; x++) {
            s[x] = 0f;
        }
        for (int x = 0; x < paddedDim / 16; x++) {
            Warp.loadMatrices(b, 0, keyTiles, place + WarpTiles.chunk(tileRows, rowOfK, 2 * x + lane / 8 % 2));
            for (int r = 0; r < rowTiles; r++) {
                Warp.multiply(type, s, 8 * r, q, (r * paddedDim / 16 + x) * 4, b, 0);
                Warp.multiply(type, s, 8 * r + 4, q, (r * paddedDim / 16 + x) * 4, b, 2);
            }
        }

        // P = 2^(S - m), l, O = correction * O
        int j = j0 + warp / headsOfGroup * WARP_KEYS + column;
        score(s, rowBlocks, scale, softcap, alibi, numbers, row, j, kvHead, group, offset);
        if (TornadoMath.max(everyLeft - j + column, j - column + WARP_KEYS - 1 - everyRight) > 0) {
            mask(s, rowBlocks, row, j, to, group, offset, windowLeft, windowRight);
        }
        WarpScores.softmaxOfBlocks(s, m, l, correction, rowBlocks, WARP_KEYS, 1f, 0);
        WarpScores.rescaleBlocks(o, correction, rowBlocks, paddedDim);
        WarpScores.packBlocks(type, s, p, rowBlocks, WARP_KEYS);

        // O = O + P V_j
        for (int x = 0; x < paddedDim / 16; x++) {
            Warp.loadMatricesTransposed(
                    b, 0, valueTiles, place + WarpTiles.chunk(tileRows, rowOfV, 2 * x + lane / 16));
            for (int r = 0; r < rowTiles; r++) {
                Warp.multiply(type, o, (r * paddedDim / 8 + 2 * x) * 4, p, 4 * r, b, 0);
                Warp.multiply(type, o, (r * paddedDim / 8 + 2 * x + 1) * 4, p, 4 * r, b, 2);
            }
        }
    }

    /**
     * The warps of a KV head meet: m = max m_warp, l = sum 2^(m_warp - m) l_warp and L = ln 2 * m + ln l, to which the first part
     * adds the sink; correction = 2^(m_warp - m) / l.
     */
    @Phase
    private static void meet(
            KernelContext context, float[] warpMax, float[] warpSum, float[] m, float[] l, float[] correction,
            FloatArray partials, FloatArray numbers, int logSumExps, int allParts, int part, int split, int item,
            int lane, int warp, int row, int rows, int rowsHere, int rowBlocks, int warps, int headsOfGroup,
            int firstRow, int queryStart, int queries, int kvHead, int group, int heads, int features) {
        for (int r = 0; r < rowBlocks; r++) {
            float sum = l[r] + Warp.shuffleXor(l[r], 1);
            sum += Warp.shuffleXor(sum, 2);
            if (lane % 4 == 0) {
                if (row + 8 * r < rows) {
                    warpMax[(row + 8 * r) * warps + warp] = m[r];
                    warpSum[(row + 8 * r) * warps + warp] = sum;
                }
            }
        }
        context.localBarrier();
        for (int r = 0; r < rowBlocks; r++) {
            int local = TornadoMath.min(row + 8 * r, rows - 1);
            float top = Score.NO_SCORE;
            for (int other = warp % headsOfGroup; other < warps; other += headsOfGroup) {
                top = TornadoMath.max(top, warpMax[local * warps + other]);
            }
            float sum = 0f;
            for (int other = warp % headsOfGroup; other < warps; other += headsOfGroup) {
                sum += Warp.exp2(warpMax[local * warps + other] - top) * warpSum[local * warps + other];
            }
            correction[r] = sum == 0f ? 0f : Warp.exp2(m[r] - top) / sum;
            float lse = sum == 0f ? Score.NO_SCORE : RowEnd.LN_2 * top + TornadoMath.log(sum);
            // The first part has the sink.
            if ((features & Features.SINKS) != 0) {
                if (split == 0) {
                    int mine = TornadoMath.min(firstRow + row + 8 * r, queries * group - 1);
                    float sink = StepLayout.sink(numbers, kvHead * group + TornadoMath.max(0, mine) % group);
                    float highest = TornadoMath.max(lse, sink);
                    float total = TornadoMath.exp(lse - highest) + TornadoMath.exp(sink - highest);
                    correction[r] = correction[r] * (TornadoMath.exp(lse - highest) / total);
                    lse = highest + TornadoMath.log(total);
                }
            }
            if (item % 4 == 0 && item < 32 * headsOfGroup) {
                if (row + 8 * r < rowsHere) {
                    int mine = firstRow + row + 8 * r;
                    int of = (queryStart + mine / group) * heads + kvHead * group + mine % group;
                    partials.set(logSumExps + of * allParts + part, lse);
                }
            }
        }
    }

    /** Lays rows 16 r and on of O where keys were. */
    @Phase
    private static void lay(int[] keyTiles, int at, float[] o, int r, int rows, int paddedDim) {
        for (int n = 0; n < paddedDim / 8; n++) {
            int x = (r * paddedDim / 8 + n) * 4;
            keyTiles[at + 8 * n] = Reinterpret.asInt(o[x]);
            keyTiles[at + 8 * n + 1] = Reinterpret.asInt(o[x + 1]);
            if (16 * r + 8 < rows) {
                keyTiles[at + 8 * n + 8 * paddedDim] = Reinterpret.asInt(o[x + 2]);
                keyTiles[at + 8 * n + 8 * paddedDim + 1] = Reinterpret.asInt(o[x + 3]);
            }
        }
    }

    /** An element of a row, once more from the keys of this split that the row sees: O = sum e^(s - L) v_j. */
    @Phase
    private static float mended(
            FloatArray query, HalfFloatArray key, HalfFloatArray value, float lse, IntArray sequences,
            IntArray blockTable, FloatArray numbers, int table, int firstPage, int sequence, int mine, int of, int x,
            int kvHead, int kvHeads, int group, int headDim, int pageSize, int pagesPerSequence, int offset,
            int windowLeft, int windowRight, int alibi, float scale, int from, int to) {
        int position = mine / group + offset;
        int head = kvHead * group + mine % group;
        int first = windowLeft < 0 ? from : TornadoMath.max(from, position - windowLeft);
        int last = windowRight < 0 ? to : TornadoMath.min(to, position + windowRight);
        int queryAt = of * headDim;
        float factor = 1f;
        if (KeySplit.arePlacesRead()) {
            queryAt = Layout.query(sequence, head, mine / group);
            factor = scale;
        }
        float mended = 0f;
        for (int j = first; j <= last; j++) {
            int page = 0;
            int keyAt = 0;
            int valueAt = 0;
            if (KeySplit.arePlacesRead()) {
                page = KeySplit.page(blockTable, table, firstPage, j, pageSize, pagesPerSequence);
            } else if (Layout.isStrided()) {
                page = KeySplit.page(sequences, table, firstPage, j, pageSize, pagesPerSequence);
            } else {
                keyAt = headDim * KeySplit.keyRow(
                        sequences, table, firstPage, j, kvHead, kvHeads, pageSize, pagesPerSequence);
                valueAt = keyAt;
            }
            if (Layout.isStrided()) {
                keyAt = Layout.key(page, kvHead, j % pageSize);
                valueAt = Layout.value(page, kvHead, j % pageSize);
            }
            float score = 0f;
            for (int c = 0; c < headDim; c++) {
                score += factor * WarpTiles.element(query, queryAt + c) * WarpTiles.element(key, keyAt + c);
            }
            score = Mending.scoreOfCache(score, numbers, alibi, head, position - j);
            int hidden = score < Score.LEAST_SEEN ? 1 : 0;
            if (hidden == 0) {
                mended += TornadoMath.exp(score - lse) * WarpTiles.element(value, valueAt + x);
            }
        }
        return mended;
    }

    /** 1 where one part is all there is and no step is to be accounted for: it goes where a merge would write it. */
    @Phase
    private static int isWhole(int splits) {
        int isWhole = 0;
        if (KeySplit.isMerged()) {
            if (KeySplit.arePlacesRead()) {
                isWhole = splits == 1 ? 1 : 0;
            }
        }
        return isWhole;
    }

    /** Column x of a row of the output; the row's first one has its log-sum-exp too. */
    @Phase
    private static void write(
            FloatArray output, FloatArray logSumExp, int x, float element, float lse, int sequence, int head, int i,
            int of, int heads, int headDim, int seqQ) {
        int outputRow = of;
        if (seqQ > 0) {
            outputRow = (sequence * heads + head) * seqQ + i;
        }
        int at = outputRow * headDim;
        if (Layout.isStrided()) {
            at = Layout.output(sequence, head, i);
        }
        WarpTiles.storeOne(output, at + x, element);
        if (x == 0) {
            logSumExp.set(outputRow, lse == Score.NO_SCORE ? RowEnd.negativeInfinity() : lse);
        }
    }

    /** A work-item among those whose warps have the same KV head. */
    private static int itemOfHead(int item, int headsOfGroup) {
        return headsOfGroup == 1 ? item : item / 32 / headsOfGroup * 32 + item % 32;
    }

    /** The last group of the tile's parts merges them. */
    @Phase
    private static void mergeParts(
            KernelContext context, int[] keyTiles, FloatArray partials, FloatArray output, FloatArray logSumExp,
            IntArray arrivals, IntArray sequences, IntArray step, int item, int lane, int warp, int items,
            int headsOfGroup, int sequence, int queryStart, int firstRow, int rowsHere, int kvHead, int group, int heads,
            int headDim, int seqQ, int splits, int logSumExps) {
        if (warp == 0) {
            int before = Turn.arrive(arrivals, context.groupIdx / splits, splits - 1);
            if (lane == 0) {
                keyTiles[0] = before;
            }
        }
        context.localBarrier();
        int before = keyTiles[0];
        context.localBarrier();
        if (before + 1 >= splits) {
            // A number that no compiler knows, so that it writes the loops over parts once.
            int count = before + 1;
            int itemOfHead = itemOfHead(item, headsOfGroup);
            int columns = headDim / 4;
            for (int x = itemOfHead; x < rowsHere * columns; x += items / headsOfGroup) {
                int mine = firstRow + x / columns;
                int head = kvHead * group + mine % group;
                int of = (queryStart + mine / group) * heads + head;
                int column = x % columns * 4;
                int outputRow = of;
                if (seqQ > 0) {
                    outputRow = (sequence * heads + head) * seqQ + mine / group;
                }
                int at = outputRow * headDim;
                if (Layout.isStrided()) {
                    at = Layout.output(sequence, head, mine / group);
                }
                float lse = merge(
                        partials, logSumExps + of * count, of * count * headDim + column, headDim, splits, count, output,
                        at + column);
                if (column == 0) {
                    logSumExp.set(outputRow, lse);
                }
            }
            if (!KeySplit.arePlacesRead()) {
                // The receipt of the step.
                int allRows = logSumExps / (headDim * splits);
                if (item == 0 && context.groupIdx / splits == 0 && logSumExp.getSize() > allRows) {
                    logSumExp.set(allRows, StepLayout.receipt(sequences, step));
                }
            }
        }
    }
    // spotless:on

    /**
     * Merges four columns of a row's parts, as {@link MergePartials} does.
     *
     * @param lses first of the row's log-sum-exps
     * @param from first of the columns in the first part
     * @param splits parts, a constant
     * @param count parts
     * @param at where they go
     * @return the row's log-sum-exp
     */
    // spotless:off: parameters in rows
    @Phase
    private static float merge(
            FloatArray partials, int lses, int from, int headDim, int splits, int count, FloatArray output, int at) {
        float[] o = new float[4];
        float[] weights = new float[TornadoMath.min(AT_ONCE, splits)];
        float[] parts = new float[4 * TornadoMath.min(AT_ONCE, splits)];
        int atOnce = TornadoMath.min(AT_ONCE, splits);
        for (int e = 0; e < 4; e++) {
            o[e] = 0f;
        }
        float max = Score.NO_SCORE;
        float sum = 0f;
        for (int s0 = 0; s0 < count; s0 += atOnce) {
            // Many loads under way before the first is used; parts that saw no key may hold anything.
            for (int u = 0; u < atOnce; u++) {
                weights[u] = partials.get(lses + TornadoMath.min(s0 + u, count - 1));
                Warp.loadFour(parts, 4 * u, partials, from + TornadoMath.min(s0 + u, count - 1) * headDim);
            }
            float highest = max;
            for (int u = 0; u < atOnce; u++) {
                highest = TornadoMath.max(highest, weights[u]);
            }
            float correction = TornadoMath.exp(max - highest);
            max = highest;
            sum = correction * sum;
            for (int e = 0; e < 4; e++) {
                o[e] = correction == 0f ? 0f : correction * o[e];
            }
            for (int u = 0; u < atOnce; u++) {
                float weight = s0 + u < count ? TornadoMath.exp(weights[u] - max) : 0f;
                weight = weights[u] == Score.NO_SCORE ? 0f : weight;
                sum += weight;
                for (int e = 0; e < 4; e++) {
                    o[e] += weight == 0f ? 0f : weight * parts[4 * u + e];
                }
            }
        }
        float inverse = sum == 0f ? 0f : 1f / sum;
        WarpTiles.storeTwo(output, at, inverse * o[0], inverse * o[1]);
        WarpTiles.storeTwo(output, at + 2, inverse * o[2], inverse * o[3]);
        return sum == 0f ? RowEnd.negativeInfinity() : max + TornadoMath.log(sum);
    }
    // spotless:on

    /**
     * Starts the copies of keys and values {@code j0} on to byte {@code at} of their tiles; past key {@code to} zeros.
     * Rows are pairs of a key and a head here, the heads of a key one behind the other as they may lie in the cache.
     */
    private static void copyTiles(
            int[] keyTiles,
            int[] valueTiles,
            int at,
            HalfFloatArray key,
            HalfFloatArray value,
            IntArray sequences,
            int table,
            int firstPage,
            int j0,
            int to,
            int firstHead,
            int headsOfGroup,
            int kvHeads,
            int headDim,
            int pageSize,
            int pagesPerSequence,
            int least,
            int item,
            int warps) {
        int chunks = WarpTiles.paddedDim(headDim) / 8;
        int items = 32 * warps;
        if (pagesPerSequence <= 1 && items % (chunks * headsOfGroup) == 0) {
            // Chunks of a lane lie evenly apart, so that their places are constants beside the first.
            int apart = items / chunks / headsOfGroup;
            int row = item / chunks / headsOfGroup;
            int kvHead = firstHead + item / chunks % headsOfGroup;
            int c = item % chunks;
            int stride = pagesPerSequence == 0 ? kvHeads * headDim : headDim;
            int element = headDim
                            * KeySplit.keyRow(
                                    sequences, table, firstPage, j0 + row, kvHead, kvHeads, pageSize, pagesPerSequence)
                    + 8 * c;
            int all = headDim % 16 == 0 ? 16 : 8 * c < headDim ? 16 : 0;
            int valueElement = element;
            int valueStride = stride;
            if (Layout.isStrided()) {
                element = Layout.key(firstPage, kvHead, j0 + row) + 8 * c;
                stride = Layout.keyRow();
                valueElement = Layout.value(firstPage, kvHead, j0 + row) + 8 * c;
                valueStride = Layout.valueRow();
            }
            int first = rowOfTile(row, kvHead - firstHead, headsOfGroup);
            for (int i = 0; i < chunks / 2; i++) {
                int bytes = j0 + row + i * apart <= to ? all : 0;
                if (Layout.isStrided()) {
                    bytes = j0 + row + i * apart < least ? 0 : bytes;
                }
                int place = at + WarpTiles.chunk(WARP_KEYS * warps, first + rowOfTile(i * apart, 0, headsOfGroup), c);
                WarpTiles.copyChunk(keyTiles, place, key, element + i * apart * stride, bytes);
                WarpTiles.copyChunk(valueTiles, place, value, valueElement + i * apart * valueStride, bytes);
            }
        } else if (Layout.isStrided() && pageSize % WARP_KEYS + 32 % chunks == 0) {
            // Each warp copies keys that follow one another in a page, 16 of one head or fewer of several.
            int inWarp = item % 32 / chunks;
            int c = item % chunks;
            int first = item / 32 / headsOfGroup * WARP_KEYS;
            int j = TornadoMath.min(j0 + first, to);
            int page = sequences.get(table + j / pageSize);
            int inTile = item / 32 % headsOfGroup * (WARP_KEYS / headsOfGroup) + inWarp / headsOfGroup;
            int inPage = j % pageSize / WARP_KEYS * WARP_KEYS + inTile;
            int kvHead = firstHead + inWarp % headsOfGroup;
            int element = Layout.key(page, kvHead, inPage) + 8 * c;
            int valueElement = Layout.value(page, kvHead, inPage) + 8 * c;
            int firstRow = rowOfTile(first + inTile, inWarp % headsOfGroup, headsOfGroup);
            int all = headDim % 16 == 0 ? 16 : 8 * c < headDim ? 16 : 0;
            for (int i = 0; i < chunks / 2; i++) {
                // No carry from keys to heads: both numbers of rows are powers of two.
                int on = i * (32 / chunks) / headsOfGroup;
                int head = i * (32 / chunks) % headsOfGroup;
                int bytes = j0 + first + inTile + on <= to ? all : 0;
                bytes = j0 + first + inTile + on < least ? 0 : bytes;
                int place = at + WarpTiles.chunk(WARP_KEYS * warps, firstRow + rowOfTile(on, head, headsOfGroup), c);
                WarpTiles.copyChunk(
                        keyTiles, place, key, element + on * Layout.keyRow() + head * Layout.keyHead(), bytes);
                WarpTiles.copyChunk(
                        valueTiles,
                        place,
                        value,
                        valueElement + on * Layout.valueRow() + head * Layout.valueHead(),
                        bytes);
            }
        } else {
            // All reads of the page table are under way before the first is used.
            int[] rowsOfKeys = new int[(headDim + 15) / 16];
            for (int i = 0; i < chunks / 2; i++) {
                int pair = (i * items + item) / chunks;
                int j = TornadoMath.min(j0 + pair / headsOfGroup, to);
                rowsOfKeys[i] = KeySplit.keyRow(
                        sequences,
                        table,
                        firstPage,
                        j,
                        firstHead + pair % headsOfGroup,
                        kvHeads,
                        pageSize,
                        pagesPerSequence);
                if (Layout.isStrided()) {
                    rowsOfKeys[i] = KeySplit.page(sequences, table, firstPage, j, pageSize, pagesPerSequence);
                }
            }
            for (int i = 0; i < chunks / 2; i++) {
                int pair = (i * items + item) / chunks;
                int row = pair / headsOfGroup;
                int head = pair % headsOfGroup;
                int c = (i * items + item) % chunks;
                int bytes = 8 * c < headDim ? 16 : 0;
                bytes = j0 + row <= to ? bytes : 0;
                if (Layout.isStrided()) {
                    bytes = j0 + row < least ? 0 : bytes;
                }
                int place = at + WarpTiles.chunk(WARP_KEYS * warps, rowOfTile(row, head, headsOfGroup), c);
                int element = rowsOfKeys[i] * headDim;
                int valueElement = element;
                if (Layout.isStrided()) {
                    int inPage = TornadoMath.min(j0 + row, to);
                    if (pagesPerSequence > 1) {
                        inPage = inPage % pageSize;
                    }
                    element = Layout.key(rowsOfKeys[i], firstHead + head, inPage);
                    valueElement = Layout.value(rowsOfKeys[i], firstHead + head, inPage);
                }
                WarpTiles.copyChunk(keyTiles, place, key, element + 8 * c, bytes);
                WarpTiles.copyChunk(valueTiles, place, value, valueElement + 8 * c, bytes);
            }
        }
    }

    /** Where a key of a head lies in a tile: the 16 keys of a warp are one behind the other. */
    private static int rowOfTile(int key, int head, int headsOfGroup) {
        return headsOfGroup == 1 ? key : (key / WARP_KEYS * headsOfGroup + head) * WARP_KEYS + key % WARP_KEYS;
    }

    /** S = log2(e) * (softcap(scale * S) - slope * |distance|), for this lane's rows, keys j and on. */
    private static void score(
            float[] s,
            int rowBlocks,
            float scale,
            float softcap,
            int alibi,
            FloatArray numbers,
            int firstRow,
            int j,
            int kvHead,
            int group,
            int offset) {
        if (softcap > 0f) {
            for (int r = 0; r < rowBlocks; r++) {
                for (int n = 0; n < 2; n++) {
                    for (int e = 0; e < 2; e++) {
                        int at = (r / 2 * 2 + n) * 4 + r % 2 * 2 + e;
                        s[at] = Softcap.apply(scale * s[at], softcap);
                    }
                }
            }
        }
        float factor = softcap > 0f ? WarpScores.LOG2_E : scale * WarpScores.LOG2_E;
        for (int r = 0; r < rowBlocks; r++) {
            for (int n = 0; n < 2; n++) {
                for (int e = 0; e < 2; e++) {
                    int at = (r / 2 * 2 + n) * 4 + r % 2 * 2 + e;
                    s[at] = factor * s[at];
                }
            }
        }
        if (alibi != 0) {
            for (int r = 0; r < rowBlocks; r++) {
                int row = firstRow + 8 * r;
                float slope = WarpScores.LOG2_E * StepLayout.slope(numbers, kvHead * group + row % group);
                int distance = row / group + offset - j;
                for (int n = 0; n < 2; n++) {
                    for (int e = 0; e < 2; e++) {
                        int at = (r / 2 * 2 + n) * 4 + r % 2 * 2 + e;
                        s[at] = s[at] - slope * TornadoMath.abs((float) (distance - 8 * n - e));
                    }
                }
            }
        }
    }

    /** S = -inf for keys past {@code to} or outside of a row's window. */
    private static void mask(
            float[] s,
            int rowBlocks,
            int firstRow,
            int j,
            int to,
            int group,
            int offset,
            int windowLeft,
            int windowRight) {
        for (int r = 0; r < rowBlocks; r++) {
            int position = (firstRow + 8 * r) / group + offset;
            int first = windowLeft < 0 ? 0 : position - windowLeft;
            int last = windowRight < 0 ? to : TornadoMath.min(to, position + windowRight);
            for (int n = 0; n < 2; n++) {
                for (int e = 0; e < 2; e++) {
                    int at = (r / 2 * 2 + n) * 4 + r % 2 * 2 + e;
                    int key = j + 8 * n + e;
                    s[at] = key > last ? RowEnd.negativeInfinity() : s[at];
                    s[at] = key < first ? RowEnd.negativeInfinity() : s[at];
                }
            }
        }
    }
}
