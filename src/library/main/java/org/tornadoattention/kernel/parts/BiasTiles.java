package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * Tiles of a dense bias of 16 bits on their way through local memory: those who copy bring a tile beside that of the
 * keys, and warps read from it what they add to their scores. Where there is no such bias, or a tile has columns that
 * {@link Warp#loadMatrices} does not divide, nothing of this is left in the kernel.
 *
 * <p>A tile lies as {@link WarpTiles} says: its rows are queries, its columns keys.
 */
public final class BiasTiles {

    /** Columns that one instruction reads: four matrices of eight. */
    private static final int COLUMNS = 32;

    private BiasTiles() {}

    /** Heads whose groups run at the same time, a tile of queries of each, so that the device reads their bias once. */
    public static int headsTogether() {
        return 1;
    }

    /** Bytes of a tile in kernels with such a bias. */
    public static int bytes(int rows, int columns) {
        return columns % COLUMNS == 0 ? WarpTiles.tileBytes(rows, columns) : 0;
    }

    /** Ints of local memory that a tile takes, 0 where there is no such bias. */
    public static int ints(int rows, int columns) {
        int ints = 0;
        if (Functions.addBiases()) {
            ints = bytes(rows, columns) / Integer.BYTES;
        }
        return ints;
    }

    /** 1 where a tile of so many columns can be copied, as {@link Functions#areEights}: not beside pages of a cache. */
    public static int areCopied(int columns) {
        int copied = columns % COLUMNS == 0 ? Functions.areEights() : 0;
        if (CachedKeys.arePresent()) {
            copied = 0;
        }
        return copied;
    }

    /**
     * Starts the copy of a tile to byte {@code at}; what is beyond its rows and columns is 0.
     *
     * @param first element of the bias: that of the first row and column, a multiple of 8
     * @param apart elements from one row to the next, a multiple of 8
     * @param count rows that there are
     * @param keys columns that there are
     */
    public static void load(
            int[] tile, int at, int rows, int columns, int first, int apart, int count, int keys, int item, int items) {
        load(tile, at, rows, columns, first, apart, count, keys, false, item, items);
    }

    /** Likewise where there are all rows and columns, which takes fewer instructions. */
    public static void loadAll(int[] tile, int at, int rows, int columns, int first, int apart, int item, int items) {
        load(tile, at, rows, columns, first, apart, rows, columns, true, item, items);
    }

    private static void load(
            int[] tile,
            int at,
            int rows,
            int columns,
            int first,
            int apart,
            int count,
            int keys,
            boolean all,
            int item,
            int items) {
        if (Functions.addBiases()) {
            if (columns % COLUMNS == 0) {
                int chunks = columns / 8;
                for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
                    int row = WarpTiles.rowOf(i, chunks, item, items);
                    int c = WarpTiles.columnOf(i, chunks, item, items);
                    int from = WarpTiles.from(i, first, apart, row, c, columns, item, items);
                    int to = WarpTiles.to(i, at, rows, row, c, columns, item, items);
                    int inside = TornadoMath.min(count - row, keys - 8 * c);
                    if (rows * chunks % items == 0 || row < rows) {
                        Functions.copyEight(tile, to, from, all || inside > 0 ? 16 : 0);
                    }
                }
            }
        }
    }

    /**
     * Reads what a lane adds to the scores of its tile, two to an int: of its row r, columns 8n and 8n + 1, to
     * {@code biases[r * columns / 8 + n]}. All lanes of a warp call it.
     *
     * @param rows of the tile
     * @param item of those that have 16 rows a warp
     */
    public static void read(int[] biases, int[] tile, int at, int rows, int columns, int item) {
        if (columns % COLUMNS == 0) {
            int row = item / 32 * 16 + item % 8;
            for (int r = 0; r < 2; r++) {
                for (int m = 0; m < columns / COLUMNS; m++) {
                    int block = at + m / 2 * rows * WarpGroup.ROW_BYTES;
                    int chunk = WarpGroup.chunk(row + 8 * r, m % 2 * 4 + item % 32 / 8);
                    Warp.loadMatrices(biases, r * columns / 8 + 4 * m, tile, block + chunk);
                }
            }
        } else {
            for (int pair = 0; pair < columns / 4; pair++) {
                biases[pair] = 0;
            }
        }
    }

    /**
     * Reads what a lane adds to scores whose rows are the tile's columns, two to an int: of its row r, a key, and of
     * the queries 8n and 8n + 1, to {@code biases[2 * n + r]}. All lanes of a warp call it.
     *
     * @param rows of the tile, queries, a multiple of 16
     * @param item of those that have 16 keys a warp
     */
    public static void readTransposed(int[] biases, int[] tile, int at, int rows, int item) {
        int lane = item % 32;
        int key = item / 32 * 2 + lane / 8 % 2;
        for (int m = 0; m < rows / 16; m++) {
            int query = 16 * m + lane / 16 * 8 + lane % 8;
            int chunk = key / 8 * rows * WarpGroup.ROW_BYTES + WarpGroup.chunk(query, key % 8);
            Warp.loadMatricesTransposed(biases, 4 * m, tile, at + chunk);
        }
    }
}
