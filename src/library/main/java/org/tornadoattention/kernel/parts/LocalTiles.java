package org.tornadoattention.kernel.parts;

import static org.tornadoattention.kernel.parts.Storage.load;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Tiles of rows in local memory, as the kernels on plain arithmetic units have them, and their way there from arrays.
 * Behind each row of {@code paddedDim} elements are four unused ones, which keep columns apart in the memory's banks.
 *
 * <p>All work-items of a group share the work: {@code item} is the number of one and {@code step} how many there are.
 */
// spotless:off: tiles are written in rows
public final class LocalTiles {

    private LocalTiles() {}

    /** Where an element lies. */
    private static int padded(int element, int paddedDim) {
        return element + element / paddedDim * 4;
    }

    /**
     * Loads so many elements from {@code first} on, sixteen at a time: a load takes hundreds of cycles, alone or in
     * company. For tiles whose rows are all there and fill the padded dimension.
     */
    @Phase
    public static void loadWhole(
            FloatArray array, int first, float[] tile, int elements, int paddedDim, int item, int step, int features) {
        for (int at = item; at < elements; at += 16 * step) {
            int from = first + at;
            float x0 = load(array, from, features), x1 = load(array, from + step, features);
            float x2 = load(array, from + 2 * step, features), x3 = load(array, from + 3 * step, features);
            float x4 = load(array, from + 4 * step, features), x5 = load(array, from + 5 * step, features);
            float x6 = load(array, from + 6 * step, features), x7 = load(array, from + 7 * step, features);
            float x8 = load(array, from + 8 * step, features), x9 = load(array, from + 9 * step, features);
            float x10 = load(array, from + 10 * step, features), x11 = load(array, from + 11 * step, features);
            float x12 = load(array, from + 12 * step, features), x13 = load(array, from + 13 * step, features);
            float x14 = load(array, from + 14 * step, features), x15 = load(array, from + 15 * step, features);
            tile[padded(at, paddedDim)] = x0;
            tile[padded(at + step, paddedDim)] = x1;
            tile[padded(at + 2 * step, paddedDim)] = x2;
            tile[padded(at + 3 * step, paddedDim)] = x3;
            tile[padded(at + 4 * step, paddedDim)] = x4;
            tile[padded(at + 5 * step, paddedDim)] = x5;
            tile[padded(at + 6 * step, paddedDim)] = x6;
            tile[padded(at + 7 * step, paddedDim)] = x7;
            tile[padded(at + 8 * step, paddedDim)] = x8;
            tile[padded(at + 9 * step, paddedDim)] = x9;
            tile[padded(at + 10 * step, paddedDim)] = x10;
            tile[padded(at + 11 * step, paddedDim)] = x11;
            tile[padded(at + 12 * step, paddedDim)] = x12;
            tile[padded(at + 13 * step, paddedDim)] = x13;
            tile[padded(at + 14 * step, paddedDim)] = x14;
            tile[padded(at + 15 * step, paddedDim)] = x15;
        }
    }

    /** {@link #loadWhole} of two arrays at once, eight elements of each. */
    @Phase
    public static void loadBothWhole(
            FloatArray a,
            FloatArray b,
            int first,
            float[] tileA,
            float[] tileB,
            int elements,
            int paddedDim,
            int item,
            int step,
            int features) {
        for (int at = item; at < elements; at += 8 * step) {
            int from = first + at;
            float a0 = load(a, from, features), a1 = load(a, from + step, features);
            float b0 = load(b, from, features), b1 = load(b, from + step, features);
            float a2 = load(a, from + 2 * step, features), a3 = load(a, from + 3 * step, features);
            float b2 = load(b, from + 2 * step, features), b3 = load(b, from + 3 * step, features);
            float a4 = load(a, from + 4 * step, features), a5 = load(a, from + 5 * step, features);
            float b4 = load(b, from + 4 * step, features), b5 = load(b, from + 5 * step, features);
            float a6 = load(a, from + 6 * step, features), a7 = load(a, from + 7 * step, features);
            float b6 = load(b, from + 6 * step, features), b7 = load(b, from + 7 * step, features);
            tileA[padded(at, paddedDim)] = a0;
            tileB[padded(at, paddedDim)] = b0;
            tileA[padded(at + step, paddedDim)] = a1;
            tileB[padded(at + step, paddedDim)] = b1;
            tileA[padded(at + 2 * step, paddedDim)] = a2;
            tileB[padded(at + 2 * step, paddedDim)] = b2;
            tileA[padded(at + 3 * step, paddedDim)] = a3;
            tileB[padded(at + 3 * step, paddedDim)] = b3;
            tileA[padded(at + 4 * step, paddedDim)] = a4;
            tileB[padded(at + 4 * step, paddedDim)] = b4;
            tileA[padded(at + 5 * step, paddedDim)] = a5;
            tileB[padded(at + 5 * step, paddedDim)] = b5;
            tileA[padded(at + 6 * step, paddedDim)] = a6;
            tileB[padded(at + 6 * step, paddedDim)] = b6;
            tileA[padded(at + 7 * step, paddedDim)] = a7;
            tileB[padded(at + 7 * step, paddedDim)] = b7;
        }
    }

    /**
     * Loads rows, and 0 for what is none.
     *
     * @param base where row 0 lies in the array
     * @param stride from one row of the array to the next
     * @param first the tile's first row
     * @param rows of the array that the tile has
     * @param dim elements of a row
     * @param tileRows rows of the tile
     */
    @Phase
    public static void loadRows(
            FloatArray array,
            int base,
            int stride,
            int first,
            int rows,
            int dim,
            float[] tile,
            int tileRows,
            int paddedDim,
            int item,
            int step,
            int features) {
        for (int at = item; at < tileRows * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            float element = 0f;
            if (row < rows && x < dim) {
                element = load(array, base + (first + row) * stride + x, features);
            }
            tile[row * (paddedDim + 4) + x] = element;
        }
    }

    /**
     * {@link #loadRows} of two arrays at once, whose rows follow one another and may differ in their number of
     * elements.
     */
    @Phase
    public static void loadBothRows(
            FloatArray a,
            FloatArray b,
            int baseA,
            int baseB,
            int first,
            int rows,
            int dimA,
            int dimB,
            float[] tileA,
            float[] tileB,
            int tileRows,
            int paddedDim,
            int item,
            int step,
            int features) {
        for (int at = item; at < tileRows * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            float ofA = 0f;
            float ofB = 0f;
            if (row < rows && x < dimA) {
                ofA = load(a, baseA + (first + row) * dimA + x, features);
                if (dimB == dimA) {
                    ofB = load(b, baseB + (first + row) * dimB + x, features);
                }
            }
            if (dimB != dimA) {
                if (row < rows && x < dimB) {
                    ofB = load(b, baseB + (first + row) * dimB + x, features);
                }
            }
            tileA[row * (paddedDim + 4) + x] = ofA;
            tileB[row * (paddedDim + 4) + x] = ofB;
        }
    }
}
