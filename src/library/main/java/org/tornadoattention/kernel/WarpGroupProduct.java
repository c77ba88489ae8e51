package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * {@code C = A Bᵀ} on Hopper's tensor cores, with A {@code [rows, depth]} and B {@code [columns, depth]} of 16 bits and
 * C {@code [rows, columns]} in F32: the products of a model around attention, faster than {@link MatrixProduct}, whose
 * factors are F32 and are read twice as long.
 *
 * <p>A factor in F32 is rounded by {@link #narrow} first, and one that lies the other way by {@link #turn}.
 *
 * <p>A group of two warp groups computes 128 rows and {@code wide} columns of C, half of the rows each. Slices of A and
 * B, 64 deep, have four places in local memory: one is multiplied, one may still be read by the product before, two are
 * on their way. It needs {@link WarpGroup}, and 192 KiB of local memory at most.
 */
public final class WarpGroupProduct {

    /** Work-items of a group, of either kernel. */
    public static final int GROUP = 256;

    /** How deep a slice is; the depth of a product is a multiple of it. */
    public static final int DEPTH = 64;

    private static final int ROWS = 128;
    private static final int WIDEST = 256;
    private static final int PLACES = 4;
    /** Sums of a work-item that are written by one loop. */
    private static final int PIECE = 16;

    /** Rows and columns that a group of {@link #narrow} or {@link #turn} rounds. */
    private static final int TILE = 64;
    /** One more than a tile's row, so that elements of a column lie in different banks. */
    private static final int PITCH = TILE + 1;

    private WarpGroupProduct() {}

    /**
     * How many columns of C a group computes: as many as leave none of its tensor cores idle.
     *
     * @param columns of C
     * @return 128 or 256
     */
    public static int wide(int columns) {
        return columns % WIDEST == 0 ? WIDEST : WIDEST / 2;
    }

    /**
     * The groups that {@link #multiply} wants.
     *
     * @param rows of C
     * @param columns of C
     * @param wide columns of a group
     * @param parts of the depth
     * @return groups of {@link #GROUP} work-items
     */
    public static int groups(int rows, int columns, int wide, int parts) {
        return parts * Math.ceilDiv(rows, ROWS) * Math.ceilDiv(columns, wide);
    }

    /**
     * The product, or its parts, {@code [parts, rows, columns]}, for {@link MatrixProduct#addParts} to add up.
     *
     * @param context the work-item
     * @param a factor {@code [rows, depth]}, raw bits of its type
     * @param b factor {@code [columns, depth]}, likewise
     * @param bias {@code [columns]} where the ending wants one, otherwise any array
     * @param c the product
     * @param rows of C
     * @param columns of C
     * @param depth of both factors, a multiple of {@link #DEPTH}
     * @param wide columns of a group, 128 or 256
     * @param parts that the depth is cut into
     * @param ending {@link MatrixProduct#SET}, {@link MatrixProduct#ADD}, {@link MatrixProduct#BIAS} or
     *     {@link MatrixProduct#BIAS_GELU}
     * @param type {@link Warp#F16} or {@link Warp#BF16}
     */
    public static void multiply(
            KernelContext context,
            ShortArray a,
            ShortArray b,
            FloatArray bias,
            FloatArray c,
            int rows,
            int columns,
            int depth,
            int wide,
            int parts,
            int ending,
            int type) {
        Warp.requireGroupSize(GROUP);
        int[] tile = context.allocateIntLocalArray(PLACES * (ROWS + wide) * WarpGroup.ROW_BYTES / 4);
        float[] sums = new float[wide / 2];
        int item = context.localIdx;
        int down = (rows + ROWS - 1) / ROWS;
        int across = (columns + wide - 1) / wide;
        int part = context.groupIdx / (across * down);
        int firstRow = context.groupIdx % down * ROWS;
        int firstColumn = context.groupIdx / down % across * wide;
        int from = part * ((depth / DEPTH + parts - 1) / parts * DEPTH);
        int to = TornadoMath.min(depth, from + (depth / DEPTH + parts - 1) / parts * DEPTH);
        int place = (ROWS + wide) * WarpGroup.ROW_BYTES;
        int own = Warp.uniform(item / WarpGroup.LANES) * 64 * WarpGroup.ROW_BYTES;
        for (int i = 0; i < wide / 2; i++) {
            sums[i] = 0f;
        }
        for (int ahead = 0; ahead < PLACES - 2; ahead++) {
            int k = from + ahead * DEPTH;
            if (k < to) {
                load(tile, ahead * place, a, firstRow, rows, k, depth, ROWS, item);
                load(tile, ahead * place + ROWS * WarpGroup.ROW_BYTES, b, firstColumn, columns, k, depth, wide, item);
            }
            context.asyncCopyCommit();
        }
        for (int k = from; k < to; k += DEPTH) {
            context.asyncCopyWaitGroup(PLACES - 3); // this slice is here, and
            WarpGroup.fenceLocalMemory();
            context.localBarrier(); // the slice before the last one has been multiplied by all
            int next = k + (PLACES - 2) * DEPTH;
            int at = (next - from) / DEPTH % PLACES * place;
            if (next < to) {
                load(tile, at, a, firstRow, rows, next, depth, ROWS, item);
                load(tile, at + ROWS * WarpGroup.ROW_BYTES, b, firstColumn, columns, next, depth, wide, item);
            }
            context.asyncCopyCommit();
            int atA = (k - from) / DEPTH % PLACES * place;
            WarpGroup.fence();
            for (int x = 0; x < DEPTH / 16; x++) {
                WarpGroup.multiply(
                        type, sums, wide, tile, atA + own + 32 * x, atA + ROWS * WarpGroup.ROW_BYTES + 32 * x, 1);
            }
            WarpGroup.commit();
            WarpGroup.await(1, sums, wide / 2);
        }
        WarpGroup.await(0, sums, wide / 2);
        int row = firstRow + item / 32 * 16 + item % 32 / 4;
        int column = firstColumn + item % 4 * 2;
        int before = part * rows;
        end(c, bias, sums, 0, before, row, column, rows, columns, ending);
        end(c, bias, sums, PIECE, before, row, column, rows, columns, ending);
        end(c, bias, sums, 2 * PIECE, before, row, column, rows, columns, ending);
        end(c, bias, sums, 3 * PIECE, before, row, column, rows, columns, ending);
        if (wide == WIDEST) {
            end(c, bias, sums, 4 * PIECE, before, row, column, rows, columns, ending);
            end(c, bias, sums, 5 * PIECE, before, row, column, rows, columns, ending);
            end(c, bias, sums, 6 * PIECE, before, row, column, rows, columns, ending);
            end(c, bias, sums, 7 * PIECE, before, row, column, rows, columns, ending);
        }
    }

    /** Writes {@link #PIECE} sums. A loop over all of them is not unrolled, and they would not stay in registers. */
    private static void end(
            FloatArray c,
            FloatArray bias,
            float[] sums,
            int first,
            int rowsBefore,
            int firstRow,
            int firstColumn,
            int rows,
            int columns,
            int ending) {
        for (int i = first; i < first + PIECE; i++) {
            int row = firstRow + i % 4 / 2 * 8;
            int column = firstColumn + i / 4 * 8 + i % 2;
            int inside = TornadoMath.min(rows - row, columns - column);
            if (inside > 0) {
                int at = (rowsBefore + row) * columns + column;
                Warp.store(c, at, MatrixProduct.ended(c, bias, at, column, sums[i], ending));
            }
        }
    }

    /** Starts the copy of {@code count} rows, {@link #DEPTH} deep; past the last row it is the last one again. */
    private static void load(
            int[] tile, int at, ShortArray from, int first, int rows, int k, int depth, int count, int item) {
        for (int i = 0; i < count * 8 / GROUP; i++) {
            int row = i * GROUP / 8 + item / 8;
            int inside = TornadoMath.min(first + row, rows - 1);
            Warp.copyAsync(tile, at + WarpGroup.chunk(row, item % 8), from, inside * depth + k + item % 8 * 8, 16);
        }
    }

    /**
     * The groups that {@link #narrow} and {@link #turn} want.
     *
     * @param rows of the matrix
     * @param columns of the matrix
     * @return groups of {@link #GROUP} work-items
     */
    public static int groupsToNarrow(int rows, int columns) {
        return Math.ceilDiv(rows, TILE) * Math.ceilDiv(columns, TILE);
    }

    /**
     * Rounds a matrix to 16 bits.
     *
     * @param context the work-item
     * @param matrix {@code [rows, columns]}
     * @param rounded {@code [rows, columns]}, raw bits
     * @param rows of the matrix
     * @param columns of the matrix, even
     * @param type {@link Warp#F16} or {@link Warp#BF16}
     */
    public static void narrow(
            KernelContext context, FloatArray matrix, ShortArray rounded, int rows, int columns, int type) {
        Warp.requireGroupSize(GROUP);
        int item = context.localIdx;
        int across = (columns + TILE - 1) / TILE;
        int firstRow = context.groupIdx / across * TILE;
        int firstColumn = context.groupIdx % across * TILE;
        int pair = item % 32 * 2;
        for (int i = item / 32; i < TILE; i += GROUP / 32) {
            int inside = TornadoMath.min(rows - firstRow - i, columns - firstColumn - pair);
            if (inside > 0) {
                int at = (firstRow + i) * columns + firstColumn + pair;
                Warp.store(rounded, at, Warp.pack(type, Warp.load(matrix, at), Warp.load(matrix, at + 1)), 2);
            }
        }
    }

    /**
     * Rounds a matrix to 16 bits and transposes it, so that a product may sum over its rows.
     *
     * @param context the work-item
     * @param matrix {@code [rows, columns]}
     * @param rounded {@code [rows, columns]}, raw bits as {@link #narrow} has them, or any array if {@code both} is 0
     * @param turned {@code [columns, rows]}, raw bits
     * @param rows of the matrix, even
     * @param columns of the matrix, even
     * @param both 1 if {@code rounded} is wanted too
     * @param type {@link Warp#F16} or {@link Warp#BF16}
     */
    public static void turn(
            KernelContext context,
            FloatArray matrix,
            ShortArray rounded,
            ShortArray turned,
            int rows,
            int columns,
            int both,
            int type) {
        Warp.requireGroupSize(GROUP);
        float[] tile = context.allocateFloatLocalArray(TILE * PITCH);
        int item = context.localIdx;
        int across = (columns + TILE - 1) / TILE;
        int firstRow = context.groupIdx / across * TILE;
        int firstColumn = context.groupIdx % across * TILE;
        int pair = item % 32 * 2;
        for (int i = item / 32; i < TILE; i += GROUP / 32) {
            int inside = TornadoMath.min(rows - firstRow - i, columns - firstColumn - pair);
            if (inside > 0) {
                int at = (firstRow + i) * columns + firstColumn + pair;
                float left = Warp.load(matrix, at);
                float right = Warp.load(matrix, at + 1);
                if (both == 1) {
                    Warp.store(rounded, at, Warp.pack(type, left, right), 2);
                }
                tile[i * PITCH + pair] = left;
                tile[i * PITCH + pair + 1] = right;
            }
        }
        context.localBarrier();
        for (int j = item / 32; j < TILE; j += GROUP / 32) {
            int inside = TornadoMath.min(rows - firstRow - pair, columns - firstColumn - j);
            if (inside > 0) {
                int at = (firstColumn + j) * rows + firstRow + pair;
                int packed = Warp.pack(type, tile[pair * PITCH + j], tile[(pair + 1) * PITCH + j]);
                Warp.store(turned, at, packed, 2);
            }
        }
    }
}
