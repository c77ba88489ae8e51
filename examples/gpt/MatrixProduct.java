package gpt;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * {@code C = A B}, with A {@code [rows, depth]}, B {@code [depth, columns]} and C {@code [rows, columns]}, F32.
 *
 * <p>C is row-major; A and B are addressed by strides, {@code A(i, k) = a[i * aRow + k * aColumn]}, so that one text
 * serves the product and both of its gradients, where one factor is transposed. With {@code accumulate} 1, the product is
 * added to what C holds.
 */
final class MatrixProduct {

    /** C's tile of a work-group. */
    static final int TILE = 64;
    /** Work-items of a group: 16 × 16, each with 4 × 4 elements of the tile. */
    static final int GROUP = 256;
    /** How much of A's rows and B's columns is in local memory at a time. */
    private static final int SLICE = 16;
    /** One more than a tile's row, so that elements of a column lie in different banks. */
    private static final int PITCH = TILE + 1;

    private MatrixProduct() {}

    /** The groups that {@link #tiled} wants. */
    static int groups(int rows, int columns, int parts) {
        return parts * Math.ceilDiv(rows, TILE) * Math.ceilDiv(columns, TILE);
    }

    /** A row of C a work-item: for CPUs, and for the simulator. */
    static void byRows(
            FloatArray a,
            FloatArray b,
            FloatArray c,
            int columns,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int accumulate) {
        for (@Parallel int i = 0; i < c.getSize() / columns; i++) {
            float[] sums = new float[columns];
            for (int j = 0; j < columns; j++) {
                sums[j] = 0f;
                if (accumulate == 1) {
                    sums[j] = c.get(i * columns + j);
                }
            }
            for (int k = 0; k < depth; k++) {
                float factor = a.get(i * aRow + k * aColumn);
                for (int j = 0; j < columns; j++) {
                    sums[j] += factor * b.get(k * bRow + j * bColumn);
                }
            }
            for (int j = 0; j < columns; j++) {
                c.set(i * columns + j, sums[j]);
            }
        }
    }

    /**
     * A tile of C a work-group, with slices of A and B in local memory: for GPUs.
     *
     * <p>Where C is small and the depth large, as for the gradient of a weight, there are too few tiles to fill a GPU. Then
     * the depth is cut into {@code parts} and C is {@code [parts, rows, columns]}, for {@link #addParts} to add up.
     */
    static void tiled(
            KernelContext context,
            FloatArray a,
            FloatArray b,
            FloatArray c,
            int rows,
            int columns,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int parts,
            int accumulate) {
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
        storeRow(c, rowsOfParts, row, column, rows, columns, accumulate, c00, c01, c02, c03);
        storeRow(c, rowsOfParts, row + 16, column, rows, columns, accumulate, c10, c11, c12, c13);
        storeRow(c, rowsOfParts, row + 32, column, rows, columns, accumulate, c20, c21, c22, c23);
        storeRow(c, rowsOfParts, row + 48, column, rows, columns, accumulate, c30, c31, c32, c33);
    }

    private static void storeRow(
            FloatArray c,
            int rowsBefore,
            int row,
            int column,
            int rows,
            int columns,
            int accumulate,
            float c0,
            float c1,
            float c2,
            float c3) {
        if (row < rows) {
            int at = (rowsBefore + row) * columns + column;
            store(c, at, c0, column < columns, accumulate);
            store(c, at + 16, c1, column + 16 < columns, accumulate);
            store(c, at + 32, c2, column + 32 < columns, accumulate);
            store(c, at + 48, c3, column + 48 < columns, accumulate);
        }
    }

    private static void store(FloatArray c, int at, float value, boolean inside, int accumulate) {
        if (inside) {
            float sum = value;
            if (accumulate == 1) {
                sum += c.get(at);
            }
            c.set(at, sum);
        }
    }

    /** {@code sum = parts[0] + parts[1] + …}, added in order. */
    static void addParts(FloatArray parts, FloatArray sum, int count) {
        for (@Parallel int i = 0; i < sum.getSize(); i++) {
            float total = 0f;
            for (int part = 0; part < count; part++) {
                total += parts.get(part * sum.getSize() + i);
            }
            sum.set(i, total);
        }
    }
}
