package org.tornadoattention.simulator.engine;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.matrix.Matrix8x8Float;

/** The 8×8 tiles of the SIMD-group matrix operations; each lane has the whole tile. */
public final class Tiles {

    private static final int SIDE = 8;

    private Tiles() {}

    /** Returns the tile at {@code base} of an array in device memory. */
    public static Matrix8x8Float load(WorkItem item, FloatArray array, int base, int stride) {
        Matrix8x8Float tile = new Matrix8x8Float();
        for (int row = 0; row < SIDE; row++) {
            Hooks.beforeGet(array, base + row * stride, SIDE, item);
            for (int col = 0; col < SIDE; col++) {
                tile.set(row, col, array.get(base + row * stride + col));
            }
        }
        return tile;
    }

    /** Returns the tile at {@code base} of an array in local memory. */
    public static Matrix8x8Float load(WorkItem item, float[] array, int base, int stride) {
        Matrix8x8Float tile = new Matrix8x8Float();
        for (int row = 0; row < SIDE; row++) {
            for (int col = 0; col < SIDE; col++) {
                int index = base + row * stride + col;
                LocalHooks.beforeLocalRead(array, index, item);
                tile.set(row, col, array[index]);
            }
        }
        return tile;
    }

    /** Returns {@code a · b + c}. */
    public static Matrix8x8Float multiplyAdd(Matrix8x8Float a, Matrix8x8Float b, Matrix8x8Float c) {
        Matrix8x8Float result = new Matrix8x8Float();
        for (int row = 0; row < SIDE; row++) {
            for (int col = 0; col < SIDE; col++) {
                float sum = c.get(row, col);
                for (int k = 0; k < SIDE; k++) {
                    sum += a.get(row, k) * b.get(k, col);
                }
                result.set(row, col, sum);
            }
        }
        return result;
    }

    /** Stores a tile at {@code base} of an array in device memory. */
    public static void store(WorkItem item, Matrix8x8Float tile, FloatArray array, int base, int stride) {
        for (int row = 0; row < SIDE; row++) {
            int ofRow = row;
            int first = base + row * stride;
            Hooks.set(
                    array,
                    first,
                    SIDE,
                    item,
                    at -> array.get(at) == tile.get(ofRow, at - first),
                    at -> array.set(at, tile.get(ofRow, at - first)));
        }
    }
}
