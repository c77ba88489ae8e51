package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Keys and values that lie in the pages of a cache, for the warp group of a kernel that copies tiles of them to local
 * memory. In forms of kernels over caches, the forge puts a constant in place of each call of a method without
 * parameters; in other forms nothing of this is left. The arrays are those of {@link StepLayout}.
 *
 * <p>A row's address is two numbers: where its run of rows begins, which its page says, and how far in the run it is, a
 * constant. Runs are as long as pages where the rows of a warp, a fourth of a tile, are whole pages or pages are made
 * of as many, and otherwise one row.
 */
public final class CachedKeys {

    private static final int WARP_LANES = 32;
    private static final int WARPS = WarpGroup.LANES / WARP_LANES;

    /** Columns of a tile whose rows lie one behind the other. */
    private static final int BLOCK = 64;

    /** Rows that a warp copies a block of at a time. */
    private static final int ROWS_AHEAD = WARP_LANES / (BLOCK / 8);

    private CachedKeys() {}

    /** Whether keys and values lie in pages of a cache. */
    public static boolean arePresent() {
        return false;
    }

    /** Whether several groups have a part of the keys each. */
    public static boolean areDivided() {
        return false;
    }

    /**
     * Whether a step says in arrays what its window and scale are, as those of this library's caches do; it ends with
     * the receipts that {@link org.tornadoattention.kernel.SplitKeyAttention} leaves.
     */
    public static boolean areStepsRead() {
        return false;
    }

    /**
     * Whether the kernel itself reads positions, lengths and pages where a caller has them, so that no other need make
     * them ready: the array of pages is then the caller's own.
     */
    public static boolean arePlacesRead() {
        return false;
    }

    /** Which arrays of a caller's there are, as {@link org.tornadoattention.kernel.ReadPositions} has it. */
    public static int given() {
        return 0;
    }

    /** Whether a caller's array says how many keys there are. */
    public static boolean areLengthsGiven() {
        return false;
    }

    /** Whether each sequence has the page of its number, and no array says so. */
    public static boolean areInOrder() {
        return false;
    }

    /** Whether tiles are copied so that {@link #mayBeAhead}. */
    public static boolean areAhead() {
        return false;
    }

    /** Pages that the rows of a warp of a tile lie in, where {@link #areAhead}. */
    public static int pagesOfWarp() {
        return 1;
    }

    /** Parts of the keys. */
    public static int parts() {
        return 1;
    }

    /** Whether parts begin at multiples of {@link #fixedTiles} tiles, wherever queries stand. */
    public static boolean areFixed() {
        return false;
    }

    /** Tiles of a fixed part. */
    public static int fixedTiles() {
        return 0;
    }

    /** Parts of all launches, of which those of this one are the first. */
    public static int allParts() {
        return 1;
    }

    /** Tokens of a page. */
    public static int pageSize() {
        return 1;
    }

    /** Pages of a sequence at most. */
    public static int pagesPerSequence() {
        return 1;
    }

    /** Tiles of a part, of {@code tiles} that queries see, the first of which is tile {@code first} of the keys. */
    public static int tilesOfPart(int part, int tiles, int first) {
        int end = (part + 1) * mostOfPart(tiles);
        if (areFixed()) {
            end -= first;
        }
        return TornadoMath.max(0, TornadoMath.min(end, tiles) - tilesBefore(part, tiles, first));
    }

    /** Those of them that come before a part. */
    public static int tilesBefore(int part, int tiles, int first) {
        int before = part * mostOfPart(tiles);
        if (areFixed()) {
            // Parts begin at places that no query moves.
            before = TornadoMath.max(0, before - first);
        }
        return before;
    }

    private static int mostOfPart(int tiles) {
        return areFixed() ? fixedTiles() : (tiles + parts() - 1) / parts();
    }

    /** Where a caller's pages of a sequence begin, or its page where {@link #areInOrder}. */
    public static int table(int sequence) {
        return areInOrder() ? sequence : sequence * pagesPerSequence();
    }

    /**
     * Keys of a sequence of a caller's.
     *
     * @param lengths where {@link #areLengthsGiven}
     * @param end the position after the last query, where they are not
     * @param capacity keys that there is room for
     */
    public static int length(IntArray lengths, int sequence, int end, int capacity) {
        int length = end;
        if (areLengthsGiven()) {
            length = lengths.get(sequence);
        }
        return TornadoMath.max(0, TornadoMath.min(length, capacity));
    }

    /** Whether a page has all rows of a tile, which are then copied as rows of a view are. */
    private static boolean isWhole(int rows) {
        return pagesPerSequence() == 1 || pageSize() % rows == 0;
    }

    /** Rows that a warp copies at a time. */
    private static int rowsAtOnce(int headDim) {
        return TornadoMath.max(1, WARP_LANES / (WarpTiles.paddedDim(headDim) / 8));
    }

    /**
     * Rows of a run, where each warp copies rows that follow one another; 1 where pages, tiles or rows are of other
     * sizes.
     */
    private static int run(int rows, int headDim) {
        int ofWarp = rows / WARPS;
        int run = pageSize() < ofWarp ? pageSize() : ofWarp;
        int odd = WARP_LANES % (WarpTiles.paddedDim(headDim) / 8)
                + rows % (8 * WARPS)
                + ofWarp % run
                + (pagesPerSequence() == 1 ? 0 : pageSize() % run)
                + run % rowsAtOnce(headDim);
        return odd == 0 ? run : 1;
    }

    /**
     * Whether a lane may copy chunks of a row that lie a block of columns apart, of rows whose pages are looked up a
     * tile ahead: where a warp's rows of a tile are whole runs.
     *
     * @param rows of a tile
     */
    public static boolean mayBeAhead(int rows, int headDim, int pageSize, int pagesPerSequence) {
        int ofWarp = rows / WARPS;
        int run = runAhead(rows, pageSize, pagesPerSequence);
        int odd = headDim % BLOCK
                + rows % (8 * WARPS)
                + ofWarp % run
                + (pagesPerSequence == 1 ? 0 : pageSize % run)
                + run % ROWS_AHEAD;
        return odd == 0;
    }

    /** Rows of a run where {@link #areAhead}. */
    private static int runAhead(int rows) {
        return rows / WARPS / pagesOfWarp();
    }

    private static int runAhead(int rows, int pageSize, int pagesPerSequence) {
        int ofWarp = rows / WARPS;
        return pagesPerSequence > 1 && pageSize < ofWarp ? pageSize : ofWarp;
    }

    /** Pages of so many tokens that the rows of a warp of a tile lie in, where {@link #mayBeAhead}. */
    public static int pagesOfWarp(int rows, int pageSize, int pagesPerSequence) {
        return rows / WARPS / runAhead(rows, pageSize, pagesPerSequence);
    }

    /** The first token of a warp's run of a tile. */
    private static int token(int u, int j, int padding, int rows, int lane) {
        return j + padding + lane / WARP_LANES * (rows / WARPS) + u * runAhead(rows);
    }

    /**
     * Looks up the pages of a warp's rows of a tile.
     *
     * @param pages gets {@link #pagesOfWarp}
     * @param j the tile's first key, a multiple of its rows
     * @param length of the sequence: the last key's page stands in for those past it
     */
    public static void lookUp(
            int[] pages, IntArray sequences, int table, int j, int length, int padding, int rows, int lane) {
        for (int u = 0; u < pagesOfWarp(); u++) {
            pages[u] = page(sequences, table, token(u, j, padding, rows, lane), length - 1 + padding);
        }
    }

    /**
     * Starts the copy of {@code count} of {@code rows} rows of keys in these pages to byte {@code at}; the rest is 0.
     */
    public static void loadKeys(
            int[] tile,
            int at,
            int[] pages,
            HalfFloatArray source,
            int kvHead,
            int j,
            int padding,
            int rows,
            int count,
            int headDim,
            int lane) {
        int[] starts = new int[pagesOfWarp()];
        for (int u = 0; u < pagesOfWarp(); u++) {
            starts[u] = Layout.key(pages[u], kvHead, rowOfPage(token(u, j, padding, rows, lane)));
        }
        load(tile, at, starts, Layout.keyRow(), source, rows, count, headDim, lane, runAhead(rows));
    }

    /**
     * Starts the copy of {@code count} of {@code rows} rows of queries, of which the first begins at {@code first}, to
     * byte {@code at}; the rest is 0. A lane's rows are counted off by constants.
     */
    public static void loadQueries(
            int[] tile, int at, HalfFloatArray source, int first, int rows, int count, int headDim, int lane) {
        int chunks = headDim / 8;
        int apart = Layout.queryRow();
        if (WarpGroup.LANES % chunks == 0) {
            int atOnce = WarpGroup.LANES / chunks;
            int row = lane / chunks;
            int c = lane % chunks;
            int to = at + WarpTiles.chunk(rows, row, c);
            int from = first + row * apart + c * 8;
            for (int i = 0; i < rows / atOnce; i++) {
                int on = i * atOnce;
                WarpTiles.copyChunk(
                        tile,
                        (to ^ on % 8 * 16) + on * WarpGroup.ROW_BYTES,
                        source,
                        from + on * apart,
                        count - row > on ? 16 : 0);
            }
        } else {
            WarpTiles.load(tile, at, rows, source, first, apart, count, headDim, lane, WarpGroup.LANES);
        }
    }

    /**
     * Where a warp's rows of a tile of values begin.
     *
     * @param starts gets as many as there are pages, and then {@code count}
     * @param count rows that there are
     */
    public static void findValues(
            int[] starts, int[] pages, int kvHead, int j, int padding, int rows, int count, int lane) {
        for (int u = 0; u < pagesOfWarp(); u++) {
            starts[u] = Layout.value(pages[u], kvHead, rowOfPage(token(u, j, padding, rows, lane)));
        }
        starts[pagesOfWarp()] = count;
    }

    /** Starts the copy of the rows of values that {@link #findValues} found to byte {@code at}; the rest is 0. */
    public static void loadValues(
            int[] tile, int at, int[] starts, HalfFloatArray source, int rows, int headDim, int lane) {
        int count = starts[pagesOfWarp()];
        load(tile, at, starts, Layout.valueRow(), source, rows, count, headDim, lane, runAhead(rows));
    }

    private static void load(
            int[] tile,
            int at,
            int[] starts,
            int apart,
            HalfFloatArray source,
            int rows,
            int count,
            int headDim,
            int lane,
            int run) {
        int c = lane % (BLOCK / 8);
        int inWarp = lane % WARP_LANES / (BLOCK / 8);
        int row = lane / WARP_LANES * (rows / WARPS) + inWarp;
        int to = at + WarpTiles.chunk(rows, row, c);
        int inRun = inWarp * apart + c * 8;
        int left = count - row;
        for (int i = 0; i < rows / WARPS / ROWS_AHEAD; i++) {
            int on = i * ROWS_AHEAD;
            for (int x = 0; x < headDim / BLOCK; x++) {
                // Chunks of a row lie so close that they have an address in common.
                WarpTiles.copyChunk(
                        tile,
                        (to ^ on % 8 * 16) + (on + x * rows) * WarpGroup.ROW_BYTES,
                        source,
                        starts[on / run] + inRun + (on % run * apart + x * BLOCK),
                        left > on ? 16 : 0);
            }
        }
    }

    /**
     * Finds where the runs of a tile's rows begin, for the chunk of 8 elements that a lane copies of each.
     *
     * @param starts gets an element for each run, or for each row that the lane copies of
     * @param values whether of values, otherwise of keys
     * @param j the tile's first key, a multiple of its rows
     * @param length of the sequence: the last key's page stands in for those past it
     */
    public static void find(
            int[] starts,
            boolean values,
            IntArray sequences,
            int table,
            int kvHead,
            int j,
            int length,
            int padding,
            int rows,
            int headDim,
            int lane) {
        int chunks = WarpTiles.paddedDim(headDim) / 8;
        if (isWhole(rows)) {
            starts[0] = start(values, sequences, table, kvHead, j + padding, length - 1 + padding);
        } else if (run(rows, headDim) > 1) {
            int ofWarp = rows / WARPS;
            int apart = values ? Layout.valueRow() : Layout.keyRow();
            int inRun = lane % WARP_LANES / chunks * apart + lane % chunks * 8;
            for (int u = 0; u < ofWarp / run(rows, headDim); u++) {
                int token = j + lane / WARP_LANES * ofWarp + u * run(rows, headDim) + padding;
                starts[u] = start(values, sequences, table, kvHead, token, length - 1 + padding) + inRun;
            }
        } else {
            for (int i = 0; i < (rows * chunks + WarpGroup.LANES - 1) / WarpGroup.LANES; i++) {
                int row = WarpTiles.rowOf(i, chunks, lane, WarpGroup.LANES);
                int last = length - 1 + padding;
                int token = TornadoMath.min(j + row + padding, last);
                int start = start(values, sequences, table, kvHead, token, last);
                starts[i] = start + WarpTiles.columnOf(i, chunks, lane, WarpGroup.LANES) * 8;
            }
        }
    }

    /** The page of a token, past the last one that of the last. */
    private static int page(IntArray sequences, int table, int token, int last) {
        int page = table;
        if (!areInOrder()) {
            int at = table;
            if (pagesPerSequence() > 1) {
                at = table + TornadoMath.min(token, last) / pageSize();
            }
            page = sequences.get(at);
        }
        return page;
    }

    private static int rowOfPage(int token) {
        int row = token % pageSize();
        if (pagesPerSequence() == 1) {
            row = token;
        }
        return row;
    }

    /**
     * Where the row of a token begins; past the last one, of a page that there is.
     *
     * @param table where a sequence's pages begin, or its page where {@link #areInOrder}
     */
    static int start(boolean values, IntArray sequences, int table, int kvHead, int token, int last) {
        int page = page(sequences, table, token, last);
        int row = rowOfPage(token);
        int start = Layout.key(page, kvHead, row);
        if (values) {
            start = Layout.value(page, kvHead, row);
        }
        return start;
    }

    /**
     * Starts the copy of {@code count} of {@code rows} rows that {@link #find} found to byte {@code at}; the rest is 0.
     */
    public static void load(
            int[] tile,
            int at,
            int[] starts,
            int apart,
            HalfFloatArray source,
            int rows,
            int count,
            int headDim,
            int lane) {
        int chunks = WarpTiles.paddedDim(headDim) / 8;
        if (isWhole(rows)) {
            for (int i = 0; i < (rows * chunks + WarpGroup.LANES - 1) / WarpGroup.LANES; i++) {
                int row = WarpTiles.rowOf(i, chunks, lane, WarpGroup.LANES);
                int c = WarpTiles.columnOf(i, chunks, lane, WarpGroup.LANES);
                int from = WarpTiles.from(i, starts[0], apart, row, c, headDim, lane, WarpGroup.LANES);
                int to = WarpTiles.to(i, at, rows, row, c, headDim, lane, WarpGroup.LANES);
                int bytes = row < count ? WarpTiles.bytesOf(c, headDim) : 0;
                if (rows * chunks % WarpGroup.LANES == 0 || row < rows) {
                    WarpTiles.copyChunk(tile, to, source, from, bytes);
                }
            }
        } else if (run(rows, headDim) > 1) {
            int c = lane % chunks;
            int row = lane / WARP_LANES * (rows / WARPS) + lane % WARP_LANES / chunks;
            int to = at + WarpTiles.chunk(rows, row, c);
            for (int i = 0; i < rows / WARPS / rowsAtOnce(headDim); i++) {
                // The lane's rows are a power of two apart, so that their places differ by constants, added and in some
                // bits.
                int on = i * rowsAtOnce(headDim);
                int bytes = row + on < count ? WarpTiles.bytesOf(c, headDim) : 0;
                WarpTiles.copyChunk(
                        tile,
                        (to ^ on % 8 * 16) + on * WarpGroup.ROW_BYTES,
                        source,
                        starts[on / run(rows, headDim)] + on % run(rows, headDim) * apart,
                        bytes);
            }
        } else {
            for (int i = 0; i < (rows * chunks + WarpGroup.LANES - 1) / WarpGroup.LANES; i++) {
                int row = WarpTiles.rowOf(i, chunks, lane, WarpGroup.LANES);
                int c = WarpTiles.columnOf(i, chunks, lane, WarpGroup.LANES);
                int bytes = row < count ? WarpTiles.bytesOf(c, headDim) : 0;
                if (rows * chunks % WarpGroup.LANES == 0 || row < rows) {
                    WarpTiles.copyChunk(tile, at + WarpTiles.chunk(rows, row, c), source, starts[i], bytes);
                }
            }
        }
    }
}
