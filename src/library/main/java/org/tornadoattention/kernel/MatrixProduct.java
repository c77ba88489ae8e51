package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * {@code C = A B}, with A {@code [rows, depth]}, B {@code [depth, columns]} and C {@code [rows, columns]}, F32 in
 * memory: kernels for what a model computes around attention.
 *
 * <p>C is row-major; A and B are addressed by strides, {@code A(i, k) = a[i * aRow + k * aColumn]}, so that one text
 * serves the product and both of its gradients, where one factor is transposed. What becomes of a product is its
 * {@code ending}: {@link #SET}, {@link #ADD}, {@link #BIAS} or {@link #BIAS_GELU}.
 *
 * <p>Where C is small and the depth large, as for the gradient of a weight, there are too few tiles to fill a GPU. Then
 * the depth is cut into {@code parts} and C is {@code [parts, rows, columns]}, for {@link #addParts} to add up, in
 * order.
 */
public final class MatrixProduct {

    /** {@code C = A B}; a constant for {@code ending}. */
    public static final int SET = 0;

    /** {@code C = C + A B}; a constant for {@code ending}. */
    public static final int ADD = 1;

    /** {@code C = A B + bias}, a number for each column; a constant for {@code ending}. */
    public static final int BIAS = 2;

    /** {@code C = gelu(A B + bias)}, by the error function; a constant for {@code ending}. */
    public static final int BIAS_GELU = 3;

    /** Work-items of a group, of either kernel. */
    public static final int GROUP = 256;

    /** C's tile of a group of {@link #tiled}. */
    private static final int TILE = 64;
    /** How much of A's rows and B's columns is in local memory at a time. */
    private static final int SLICE = 16;
    /** One more than a tile's row, so that elements of a column lie in different banks. */
    private static final int PITCH = TILE + 1;

    /** C's tile of a group of {@link #onTensorCores}, whose 8 warps have 64 x 32 each. */
    private static final int WIDE_TILE = 128;
    /** How deep a tile of A or B is in local memory. */
    private static final int DEPTH = 32;
    /** Bytes of such a tile, in 16-bit floats. */
    private static final int TILE_BYTES = WIDE_TILE * DEPTH * 2;

    private MatrixProduct() {}

    /**
     * The groups that {@link #tiled} wants.
     *
     * @param rows of C
     * @param columns of C
     * @param parts of the depth
     * @return groups of {@link #GROUP} work-items
     */
    public static int groups(int rows, int columns, int parts) {
        return parts * Math.ceilDiv(rows, TILE) * Math.ceilDiv(columns, TILE);
    }

    /**
     * The groups that {@link #onTensorCores} wants, 0 if it does not take the product: it reads four elements at once,
     * wherever rows or columns lie side by side, so they must come in fours there.
     *
     * @param rows of C
     * @param columns of C
     * @param depth of both factors
     * @param aRow from a row of A to the next
     * @param bRow from a row of B to the next
     * @param parts of the depth
     * @return groups of {@link #GROUP} work-items
     */
    public static int groupsOnTensorCores(int rows, int columns, int depth, int aRow, int bRow, int parts) {
        boolean inFours = (aRow == 1 ? rows : depth) % 4 == 0 && (bRow == 1 ? depth : columns) % 4 == 0;
        return inFours ? parts * Math.ceilDiv(rows, WIDE_TILE) * Math.ceilDiv(columns, WIDE_TILE) : 0;
    }

    /**
     * The product in F32, for any GPU: a tile of 64 x 64 for each group of work-items, with slices of A and B in local
     * memory.
     *
     * @param context the work-item
     * @param a factor
     * @param b factor
     * @param bias {@code [columns]} where the ending wants one, otherwise any array
     * @param c the product
     * @param rows of C
     * @param columns of C
     * @param depth of both factors
     * @param aRow from a row of A to the next
     * @param aColumn from a column of A to the next
     * @param bRow from a row of B to the next
     * @param bColumn from a column of B to the next
     * @param parts that the depth is cut into
     * @param ending one of the constants above
     */
    public static void tiled(
            KernelContext context,
            FloatArray a,
            FloatArray b,
            FloatArray bias,
            FloatArray c,
            int rows,
            int columns,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int parts,
            int ending) {
        float[] aTile = context.allocateFloatLocalArray(SLICE * PITCH);
        float[] bTile = context.allocateFloatLocalArray(SLICE * PITCH);
        int item = context.localIdx;
        int across = (columns + TILE - 1) / TILE;
        int down = (rows + TILE - 1) / TILE;
        int part = context.groupIdx / (across * down);
        int firstRow = context.groupIdx / across % down * TILE;
        int firstColumn = context.groupIdx % across * TILE;
        int partDepth = (depth + parts - 1) / parts;
        int from = part * partDepth;
        int to = TornadoMath.min(depth, from + partDepth);

        // Rows y, y + 16, … and columns x, x + 16, … of the tile
        int y = item / 16;
        int x = item % 16;
        float c00 = 0f, c01 = 0f, c02 = 0f, c03 = 0f;
        float c10 = 0f, c11 = 0f, c12 = 0f, c13 = 0f;
        float c20 = 0f, c21 = 0f, c22 = 0f, c23 = 0f;
        float c30 = 0f, c31 = 0f, c32 = 0f, c33 = 0f;

        for (int slice = from; slice < to; slice += SLICE) {
            // Neighbours read neighbours, whichever way the matrix lies
            for (int e = item; e < TILE * SLICE; e += GROUP) {
                int i = e / SLICE;
                int k = e % SLICE;
                if (aRow == 1) {
                    i = e % TILE;
                    k = e / TILE;
                }
                float value = 0f;
                if (firstRow + i < rows && slice + k < to) {
                    value = a.get((firstRow + i) * aRow + (slice + k) * aColumn);
                }
                aTile[k * PITCH + i] = value;
            }
            for (int e = item; e < TILE * SLICE; e += GROUP) {
                int j = e % TILE;
                int k = e / TILE;
                if (bRow == 1) {
                    j = e / SLICE;
                    k = e % SLICE;
                }
                float value = 0f;
                if (firstColumn + j < columns && slice + k < to) {
                    value = b.get((slice + k) * bRow + (firstColumn + j) * bColumn);
                }
                bTile[k * PITCH + j] = value;
            }
            context.localBarrier();

            for (int k = 0; k < SLICE; k++) {
                float a0 = aTile[k * PITCH + y];
                float a1 = aTile[k * PITCH + y + 16];
                float a2 = aTile[k * PITCH + y + 32];
                float a3 = aTile[k * PITCH + y + 48];
                float b0 = bTile[k * PITCH + x];
                float b1 = bTile[k * PITCH + x + 16];
                float b2 = bTile[k * PITCH + x + 32];
                float b3 = bTile[k * PITCH + x + 48];
                c00 += a0 * b0;
                c01 += a0 * b1;
                c02 += a0 * b2;
                c03 += a0 * b3;
                c10 += a1 * b0;
                c11 += a1 * b1;
                c12 += a1 * b2;
                c13 += a1 * b3;
                c20 += a2 * b0;
                c21 += a2 * b1;
                c22 += a2 * b2;
                c23 += a2 * b3;
                c30 += a3 * b0;
                c31 += a3 * b1;
                c32 += a3 * b2;
                c33 += a3 * b3;
            }
            context.localBarrier();
        }

        int rowsOfParts = part * rows;
        int row = firstRow + y;
        int column = firstColumn + x;
        storeRow(c, bias, rowsOfParts, row, column, rows, columns, ending, c00, c01, c02, c03);
        storeRow(c, bias, rowsOfParts, row + 16, column, rows, columns, ending, c10, c11, c12, c13);
        storeRow(c, bias, rowsOfParts, row + 32, column, rows, columns, ending, c20, c21, c22, c23);
        storeRow(c, bias, rowsOfParts, row + 48, column, rows, columns, ending, c30, c31, c32, c33);
    }

    private static void storeRow(
            FloatArray c,
            FloatArray bias,
            int rowsBefore,
            int row,
            int column,
            int rows,
            int columns,
            int ending,
            float c0,
            float c1,
            float c2,
            float c3) {
        if (row < rows) {
            int at = (rowsBefore + row) * columns + column;
            store(c, bias, at, column, c0, column < columns, ending);
            store(c, bias, at + 16, column + 16, c1, column + 16 < columns, ending);
            store(c, bias, at + 32, column + 32, c2, column + 32 < columns, ending);
            store(c, bias, at + 48, column + 48, c3, column + 48 < columns, ending);
        }
    }

    private static void store(
            FloatArray c, FloatArray bias, int at, int column, float value, boolean inside, int ending) {
        if (inside) {
            c.set(at, ended(c, bias, at, column, value, ending));
        }
    }

    static float ended(FloatArray c, FloatArray bias, int at, int column, float value, int ending) {
        float sum = value;
        if (ending == ADD) {
            sum += c.get(at);
        }
        if (ending >= BIAS) {
            sum += bias.get(column);
        }
        return ending == BIAS_GELU ? gelu(sum) : sum;
    }

    /** {@code x/2 (1 + erf(x/√2))}, erf by Abramowitz and Stegun, 7.1.26: off by 1.5e-7 at most. */
    static float gelu(float x) {
        float size = TornadoMath.max(x, -x);
        float z = 0.70710678f * size;
        float t = 1f / (1f + 0.3275911f * z);
        float polynomial =
                ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
        return 0.5f * (x + size * (1f - polynomial * TornadoMath.exp(-z * z)));
    }

    /**
     * The product on tensor cores, its factors rounded to 16 bits on their way to local memory, sums in F32: a tile of
     * 128 x 128 for each group of work-items. Parameters are those of {@link #tiled}, and {@code type}. It needs
     * {@link Warp}, and what {@link #groupsOnTensorCores} says.
     *
     * @param context the work-item
     * @param a factor
     * @param b factor
     * @param bias {@code [columns]} where the ending wants one, otherwise any array
     * @param c the product
     * @param rows of C
     * @param columns of C
     * @param depth of both factors
     * @param aRow from a row of A to the next
     * @param aColumn from a column of A to the next
     * @param bRow from a row of B to the next
     * @param bColumn from a column of B to the next
     * @param parts that the depth is cut into
     * @param ending one of the constants above
     * @param type {@link Warp#F16} or {@link Warp#BF16}
     */
    public static void onTensorCores(
            KernelContext context,
            FloatArray a,
            FloatArray b,
            FloatArray bias,
            FloatArray c,
            int rows,
            int columns,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int parts,
            int ending,
            int type) {
        Warp.requireGroupSize(GROUP);
        int[] tile = context.allocateIntLocalArray(4 * TILE_BYTES / 4);
        float[] sums = new float[64];
        float[] ofA = new float[16];
        float[] ofB = new float[16];
        int[] left = new int[16];
        int[] right = new int[8];
        int item = context.localIdx;
        int lane = item % 32;
        int warp = item / 32;
        int across = (columns + WIDE_TILE - 1) / WIDE_TILE;
        int down = (rows + WIDE_TILE - 1) / WIDE_TILE;
        int part = context.groupIdx / (across * down);
        int firstRow = context.groupIdx / across % down * WIDE_TILE;
        int firstColumn = context.groupIdx % across * WIDE_TILE;
        int partDepth = ((depth + parts - 1) / parts + 3) / 4 * 4;
        int from = part * partDepth;
        int to = TornadoMath.min(depth, from + partDepth);
        for (int i = 0; i < 64; i++) {
            sums[i] = 0f;
        }

        // The first slice; later ones are read while the one before is multiplied, and have the other place in local
        // memory.
        read(ofA, a, firstRow, rows, from, to, aRow, aColumn, item);
        read(ofB, b, firstColumn, columns, from, to, bColumn, bRow, item);
        write(tile, 0, ofA, firstRow, rows, from, to, aRow, item, type);
        write(tile, TILE_BYTES, ofB, firstColumn, columns, from, to, bColumn, item, type);
        context.localBarrier();
        int place = 0;
        for (int k = from; k < to; k += DEPTH) {
            int next = k + DEPTH;
            read(ofA, a, firstRow, rows, next, to, aRow, aColumn, item);
            read(ofB, b, firstColumn, columns, next, to, bColumn, bRow, item);
            for (int step = 0; step < DEPTH / 16; step++) {
                for (int m = 0; m < 4; m++) {
                    loadLeft(left, 4 * m, tile, place, warp / 4 * 64 + 16 * m, step, aRow, lane);
                }
                for (int n = 0; n < 2; n++) {
                    loadRight(right, 4 * n, tile, place + TILE_BYTES, warp % 4 * 32 + 16 * n, step, bColumn, lane);
                }
                for (int m = 0; m < 4; m++) {
                    for (int n = 0; n < 4; n++) {
                        Warp.multiply(type, sums, (m * 4 + n) * 4, left, 4 * m, right, 2 * n);
                    }
                }
            }
            place = 2 * TILE_BYTES - place;
            write(tile, place, ofA, firstRow, rows, next, to, aRow, item, type);
            write(tile, place + TILE_BYTES, ofB, firstColumn, columns, next, to, bColumn, item, type);
            context.localBarrier();
        }

        int row = firstRow + warp / 4 * 64 + lane / 4;
        int column = firstColumn + warp % 4 * 32 + lane % 4 * 2;
        for (int m = 0; m < 4; m++) {
            for (int n = 0; n < 4; n++) {
                for (int e = 0; e < 4; e++) {
                    int i = row + 16 * m + e / 2 * 8;
                    int j = column + 8 * n + e % 2;
                    int inside = TornadoMath.min(rows - i, columns - j);
                    if (inside > 0) {
                        int at = (part * rows + i) * columns + j;
                        Warp.store(c, at, ended(c, bias, at, j, sums[(m * 4 + n) * 4 + e], ending));
                    }
                }
            }
        }
    }

    /**
     * Reads this work-item's 4 x 4 elements of a tile of 128 rows, {@link #DEPTH} deep: four side by side, whichever
     * way the matrix lies. The columns of B are its rows here.
     */
    private static void read(
            float[] registers,
            FloatArray matrix,
            int firstRow,
            int rows,
            int from,
            int to,
            int rowStride,
            int depthStride,
            int item) {
        for (int i = 0; i < 4; i++) {
            int row = firstRow + rowOf(i, rowStride, item);
            int k = from + depthOf(i, rowStride, item);
            int inside = TornadoMath.min(rows - row, to - k);
            Warp.loadFour(registers, 4 * i, matrix, inside > 0 ? row * rowStride + k * depthStride : 0);
        }
    }

    private static int rowOf(int i, int rowStride, int item) {
        return rowStride == 1 ? item % 32 * 4 : item / 8 + 32 * i;
    }

    private static int depthOf(int i, int rowStride, int item) {
        return rowStride == 1 ? item / 32 + 8 * i : item % 8 * 4;
    }

    /** Writes them to local memory as 16-bit floats; 0 in place of what is outside of the matrix. */
    private static void write(
            int[] tile,
            int place,
            float[] registers,
            int firstRow,
            int rows,
            int from,
            int to,
            int rowStride,
            int item,
            int type) {
        for (int i = 0; i < 4; i++) {
            int row = rowOf(i, rowStride, item);
            int k = depthOf(i, rowStride, item);
            int inside = TornadoMath.min(rows - firstRow - row, to - from - k);
            int mask = inside > 0 ? -1 : 0;
            int at = place
                    + (rowStride == 1 ? chunkOfDepth(k, row / 8) + row % 8 * 2 : chunkOfRow(row, k / 8) + k % 8 * 2);
            Warp.storeInt(tile, at, Warp.pack(type, registers[4 * i], registers[4 * i + 1]) & mask);
            Warp.storeInt(tile, at + 4, Warp.pack(type, registers[4 * i + 2], registers[4 * i + 3]) & mask);
        }
    }

    /** Where 8 elements of a row lie, in rows of {@link #DEPTH}: 8 rows of one depth are in different banks. */
    private static int chunkOfRow(int row, int chunk) {
        return row * DEPTH * 2 + (chunk ^ row / 2 % 4) * 16;
    }

    /** Where 8 elements of one depth lie, in rows of 128: 8 depths of one chunk are in different banks. */
    private static int chunkOfDepth(int k, int chunk) {
        return k * WIDE_TILE * 2 + (chunk ^ k % 8) * 16;
    }

    /** Operand A of 16 rows, 16 deep. */
    private static void loadLeft(
            int[] registers, int at, int[] tile, int place, int row, int step, int rowStride, int lane) {
        if (rowStride == 1) {
            int k = step * 16 + lane % 8 + lane / 16 * 8;
            Warp.loadMatricesTransposed(registers, at, tile, place + chunkOfDepth(k, row / 8 + lane / 8 % 2));
        } else {
            Warp.loadMatrices(registers, at, tile, place + chunkOfRow(row + lane % 16, step * 2 + lane / 16));
        }
    }

    /** Operands B of twice 8 columns, 16 deep. */
    private static void loadRight(
            int[] registers, int at, int[] tile, int place, int row, int step, int rowStride, int lane) {
        if (rowStride == 1) {
            int k = step * 16 + lane % 16;
            Warp.loadMatricesTransposed(registers, at, tile, place + chunkOfDepth(k, row / 8 + lane / 16));
        } else {
            int column = row + lane % 8 + lane / 16 * 8;
            Warp.loadMatrices(registers, at, tile, place + chunkOfRow(column, step * 2 + lane / 8 % 2));
        }
    }

    /**
     * {@code sum = parts[0] + parts[1] + …}, added in order.
     *
     * @param parts one behind the other
     * @param sum as long as one
     * @param count of parts
     */
    public static void addParts(FloatArray parts, FloatArray sum, int count) {
        for (@Parallel int i = 0; i < sum.getSize(); i++) {
            float total = 0f;
            for (int part = 0; part < count; part++) {
                total += parts.get(part * sum.getSize() + i);
            }
            sum.set(i, total);
        }
    }
}
