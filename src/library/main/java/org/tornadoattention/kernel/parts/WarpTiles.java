package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Tiles of the tensor-core kernels on their way to local memory, through the tensor cores, and back to an array. A tile
 * in local memory has rows of chunks of 16 bytes, as {@link WarpGroup} lays them out; a tile in registers is as
 * {@link WarpScores} says. TornadoVM inlines these methods and unrolls their loops.
 */
public final class WarpTiles {

    private WarpTiles() {}

    /** Head dimension as the tiles see it: rounded up to the depth of one product. */
    public static int paddedDim(int headDim) {
        return (headDim + 15) / 16 * 16;
    }

    /** Bytes of a tile in local memory: blocks of 64 columns, one behind the other. */
    public static int tileBytes(int rows, int headDim) {
        return (paddedDim(headDim) + 63) / 64 * rows * WarpGroup.ROW_BYTES;
    }

    /** Where chunk c (8 columns) of row r lies in a tile of so many rows. */
    public static int chunk(int rows, int r, int c) {
        return c / 8 * rows * WarpGroup.ROW_BYTES + WarpGroup.chunk(r, c % 8);
    }

    public static int type(HalfFloatArray array, int features) {
        return Warp.F16;
    }

    public static int type(ShortArray array, int features) {
        return (features & Features.F16_BITS) != 0 ? Warp.F16 : Warp.BF16;
    }

    public static int type(HalfFloatArray array) {
        return Warp.F16;
    }

    /** Of output in F32, which is not packed. */
    public static int type(FloatArray array, int features) {
        return Warp.F16;
    }

    public static int type(ShortArray array) {
        return Warp.BF16;
    }

    /** Of pairs of raw 16-bit floats. */
    public static int type(IntArray array) {
        return Warp.BF16;
    }

    /** An element, read by instructions that need no header of CUDA's. */
    public static float element(FloatArray array, int index) {
        return array.get(index);
    }

    public static float element(HalfFloatArray array, int index) {
        return Warp.load(Warp.F16, array, index);
    }

    public static float element(ShortArray array, int index) {
        return Warp.load(Warp.BF16, array, index);
    }

    /** Of pairs of raw bits. */
    public static float element(IntArray array, int index) {
        return Warp.unpack(Warp.BF16, array.get(index / 2) >> index % 2 * 16, 0);
    }

    /** Writes an element, likewise. */
    public static void storeOne(FloatArray array, int index, float element) {
        array.set(index, element);
    }

    public static void storeOne(HalfFloatArray array, int index, float element) {
        Warp.store(array, index, Warp.pack(Warp.F16, element, 0f), 1);
    }

    public static void storeOne(ShortArray array, int index, float element) {
        Warp.store(array, index, Warp.pack(Warp.BF16, element, 0f), 1);
    }

    /** Writes two elements that follow one another, likewise. */
    public static void storeTwo(FloatArray array, int index, float first, float second) {
        array.set(index, first);
        array.set(index + 1, second);
    }

    public static void storeTwo(HalfFloatArray array, int index, float first, float second) {
        int packed = Warp.pack(Warp.F16, first, second);
        Warp.store(array, index, packed, 1);
        Warp.store(array, index + 1, packed >> 16, 1);
    }

    public static void storeTwo(ShortArray array, int index, float first, float second) {
        int packed = Warp.pack(Warp.BF16, first, second);
        Warp.store(array, index, packed, 1);
        Warp.store(array, index + 1, packed >> 16, 1);
    }

    /** Starts the copy of a chunk of 8 elements, the first a multiple of 8. */
    public static void copyChunk(int[] tile, int at, HalfFloatArray source, int element, int bytes) {
        Warp.copyAsync(tile, at, source, element, bytes);
    }

    /** As {@link #copyChunk(int[], int, HalfFloatArray, int, int)}. */
    public static void copyChunk(int[] tile, int at, ShortArray source, int element, int bytes) {
        Warp.copyAsync(tile, at, source, element, bytes);
    }

    /** As {@link #copyChunk(int[], int, HalfFloatArray, int, int)}, two elements to an int. */
    public static void copyChunk(int[] tile, int at, IntArray source, int element, int bytes) {
        Warp.copyAsync(tile, at, source, element / 2, bytes);
    }

    /**
     * Starts the copy of {@code count} of {@code rows} rows, element {@code first} on, to byte {@code at}; the rest is
     * 0.
     */
    public static void load(
            int[] tile,
            int at,
            int rows,
            HalfFloatArray source,
            int first,
            int count,
            int headDim,
            int item,
            int items) {
        load(tile, at, rows, source, first, headDim, count, headDim, item, items);
    }

    /**
     * As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int)}, of rows that begin {@code apart}
     * elements apart.
     */
    public static void load(
            int[] tile,
            int at,
            int rows,
            HalfFloatArray source,
            int first,
            int apart,
            int count,
            int headDim,
            int item,
            int items) {
        int width = blockWidth(headDim, items);
        for (int x = 0; x < headDim / width; x++) {
            int to = at + x * rows * WarpGroup.ROW_BYTES;
            loadBlock(tile, to, rows, source, first + x * width, apart, count, width, false, item, items);
        }
    }

    /**
     * As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int)} where there are all rows, which takes
     * fewer instructions.
     */
    public static void loadAll(
            int[] tile, int at, int rows, HalfFloatArray source, int first, int headDim, int item, int items) {
        int width = blockWidth(headDim, items);
        for (int x = 0; x < headDim / width; x++) {
            int to = at + x * rows * WarpGroup.ROW_BYTES;
            loadBlock(tile, to, rows, source, first + x * width, headDim, rows, width, true, item, items);
        }
    }

    private static void loadBlock(
            int[] tile,
            int at,
            int rows,
            HalfFloatArray source,
            int first,
            int apart,
            int count,
            int headDim,
            boolean all,
            int item,
            int items) {
        int chunks = paddedDim(headDim) / 8;
        for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
            int row = rowOf(i, chunks, item, items);
            int c = columnOf(i, chunks, item, items);
            int from = from(i, first, apart, row, c, headDim, item, items);
            int to = to(i, at, rows, row, c, headDim, item, items);
            if (rows * chunks % items == 0 || row < rows) {
                if (headDim % 8 == 0) {
                    Warp.copyAsync(tile, to, source, from, all || row < count ? bytesOf(c, headDim) : 0);
                } else {
                    Warp.copy(tile, to, source, from, all || row < count ? elementsOf(c, headDim) : 0);
                }
            }
        }
    }

    /** As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int)}. */
    public static void load(
            int[] tile, int at, int rows, ShortArray source, int first, int count, int headDim, int item, int items) {
        load(tile, at, rows, source, first, headDim, count, headDim, item, items);
    }

    /** As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int, int)}. */
    public static void load(
            int[] tile,
            int at,
            int rows,
            ShortArray source,
            int first,
            int apart,
            int count,
            int headDim,
            int item,
            int items) {
        int width = blockWidth(headDim, items);
        for (int x = 0; x < headDim / width; x++) {
            int to = at + x * rows * WarpGroup.ROW_BYTES;
            loadBlock(tile, to, rows, source, first + x * width, apart, count, width, false, item, items);
        }
    }

    /** As {@link #loadAll(int[], int, int, HalfFloatArray, int, int, int, int)}. */
    public static void loadAll(
            int[] tile, int at, int rows, ShortArray source, int first, int headDim, int item, int items) {
        int width = blockWidth(headDim, items);
        for (int x = 0; x < headDim / width; x++) {
            int to = at + x * rows * WarpGroup.ROW_BYTES;
            loadBlock(tile, to, rows, source, first + x * width, headDim, rows, width, true, item, items);
        }
    }

    private static void loadBlock(
            int[] tile,
            int at,
            int rows,
            ShortArray source,
            int first,
            int apart,
            int count,
            int headDim,
            boolean all,
            int item,
            int items) {
        int chunks = paddedDim(headDim) / 8;
        for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
            int row = rowOf(i, chunks, item, items);
            int c = columnOf(i, chunks, item, items);
            int from = from(i, first, apart, row, c, headDim, item, items);
            int to = to(i, at, rows, row, c, headDim, item, items);
            if (rows * chunks % items == 0 || row < rows) {
                if (headDim % 8 == 0) {
                    Warp.copyAsync(tile, to, source, from, all || row < count ? bytesOf(c, headDim) : 0);
                } else {
                    Warp.copy(tile, to, source, from, all || row < count ? elementsOf(c, headDim) : 0);
                }
            }
        }
    }

    /**
     * Columns that are copied one after the other: a block's where a tile's do not lie at constant distances from a
     * work-item's first chunk, and a block's do.
     */
    private static int blockWidth(int headDim, int items) {
        return headDim % 64 == 0 && items % (headDim / 2) != 0 ? 64 : headDim;
    }

    /** The row of a work-item's i-th chunk where a tile has so many chunks to a row. */
    public static int rowOf(int i, int chunks, int item, int items) {
        return items % chunks == 0 ? i * (items / chunks) + item / chunks : (i * items + item) / chunks;
    }

    /** The chunk of its row that a work-item's i-th chunk is. */
    public static int columnOf(int i, int chunks, int item, int items) {
        return items % chunks == 0 ? item % chunks : (i * items + item) % chunks;
    }

    /**
     * The first element of a chunk of 8: at constant distances from a work-item's first one, which takes fewer
     * registers.
     */
    static int from(int i, int first, int apart, int row, int c, int headDim, int item, int items) {
        int chunks = paddedDim(headDim) / 8;
        int from = first + row * apart + 8 * c;
        if (items % (4 * chunks) == 0) {
            int step = items / chunks;
            from = first + item / chunks * apart + 8 * c + i * step * apart;
        }
        return from;
    }

    /** Where that chunk goes: at constant distances from a work-item's first one or two. */
    static int to(int i, int at, int rows, int row, int c, int headDim, int item, int items) {
        int chunks = paddedDim(headDim) / 8;
        int to = at + chunk(rows, row, c);
        if (items % (4 * chunks) == 0) {
            int step = items / chunks;
            int apart = step % 8 == 0 ? 1 : 2;
            to = at + chunk(rows, item / chunks + i % apart * step, c) + i / apart * apart * step * WarpGroup.ROW_BYTES;
        }
        return to;
    }

    /** All of a chunk of 8 elements or nothing, which takes fewer instructions than any number of bytes. */
    public static int bytesOf(int c, int headDim) {
        return headDim % 16 == 0 ? 16 : 8 * c < headDim ? 16 : 0;
    }

    private static int elementsOf(int c, int headDim) {
        return TornadoMath.max(0, TornadoMath.min(8, headDim - 8 * c));
    }

    /** As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int)}, with 4 columns to a chunk. */
    public static void load(
            int[] tile, int at, int rows, FloatArray source, int first, int count, int headDim, int item, int items) {
        int chunks = (headDim + 7) / 8 * 2;
        for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
            int row = (i * items + item) / chunks;
            int c = (i * items + item) % chunks;
            int elements = TornadoMath.max(0, TornadoMath.min(4, headDim - 4 * c));
            int from = first + row * headDim + 4 * c;
            if (rows * chunks % items == 0 || row < rows) {
                if (headDim % 4 == 0) {
                    int bytes = headDim % 8 == 0 ? 16 : 4 * c < headDim ? 16 : 0;
                    Warp.copyAsync(tile, at + chunk(rows, row, c), source, from, row < count ? bytes : 0);
                } else {
                    Warp.copy(tile, at + chunk(rows, row, c), source, from, row < count ? elements : 0);
                }
            }
        }
    }

    /** Writes what a lane holds of row {@code r} of its part of O, element {@code first} on, times a factor. */
    public static void store(
            HalfFloatArray output, int first, int headDim, int type, float[] o, int r, int column, float factor) {
        storePart(output, first, headDim, headDim, type, o, r, column, factor);
    }

    /** Likewise {@code width} elements of a row of {@code headDim}. */
    public static void storePart(
            HalfFloatArray output,
            int first,
            int headDim,
            int width,
            int type,
            float[] o,
            int r,
            int column,
            float factor) {
        for (int n = 0; n < paddedDim(width) / 8; n++) {
            int at = (r / 2 * paddedDim(width) / 8 + n) * 4 + r % 2 * 2;
            int packed = Warp.pack(type, o[at] * factor, o[at + 1] * factor);
            if (headDim % 2 == 0) {
                if (8 * n + column < width) {
                    Warp.store(output, first + 8 * n + column, packed, 2);
                }
            } else {
                if (8 * n + column < width) {
                    Warp.store(output, first + 8 * n + column, packed, 1);
                }
                if (8 * n + column + 1 < width) {
                    Warp.store(output, first + 8 * n + column + 1, packed >> 16, 1);
                }
            }
        }
    }

    /** As {@link #store(HalfFloatArray, int, int, int, float[], int, int, float)}. */
    public static void store(
            ShortArray output, int first, int headDim, int type, float[] o, int r, int column, float factor) {
        storePart(output, first, headDim, headDim, type, o, r, column, factor);
    }

    /** As {@link #storePart(HalfFloatArray, int, int, int, int, float[], int, int, float)}. */
    public static void storePart(
            ShortArray output,
            int first,
            int headDim,
            int width,
            int type,
            float[] o,
            int r,
            int column,
            float factor) {
        for (int n = 0; n < paddedDim(width) / 8; n++) {
            int at = (r / 2 * paddedDim(width) / 8 + n) * 4 + r % 2 * 2;
            int packed = Warp.pack(type, o[at] * factor, o[at + 1] * factor);
            if (headDim % 2 == 0) {
                if (8 * n + column < width) {
                    Warp.store(output, first + 8 * n + column, packed, 2);
                }
            } else {
                if (8 * n + column < width) {
                    Warp.store(output, first + 8 * n + column, packed, 1);
                }
                if (8 * n + column + 1 < width) {
                    Warp.store(output, first + 8 * n + column + 1, packed >> 16, 1);
                }
            }
        }
    }

    /**
     * As {@link #store(HalfFloatArray, int, int, int, float[], int, int, float)}, in F32: the type is that of nothing.
     */
    public static void store(
            FloatArray output, int first, int headDim, int type, float[] o, int r, int column, float factor) {
        store(output, first, headDim, o, r, column, factor);
    }

    /** As {@link #store(HalfFloatArray, int, int, int, float[], int, int, float)}, in F32. */
    public static void store(FloatArray output, int first, int headDim, float[] o, int r, int column, float factor) {
        for (int n = 0; n < (headDim + 7) / 8; n++) {
            for (int e = 0; e < 2; e++) {
                if (8 * n + column + e < headDim) {
                    Warp.store(output, first + 8 * n + column + e, o[4 * n + 2 * r + e] * factor);
                }
            }
        }
    }

    /**
     * As {@link #store(HalfFloatArray, int, int, int, float[], int, int, float)} where {@code headDim} and
     * {@code first} are multiples of 32, in fewer transactions: four lanes give one another eight neighbours each. All
     * lanes of a warp call it.
     *
     * @param seen above 0 where there is such a row
     */
    public static void storeTurned(
            HalfFloatArray output,
            int first,
            int headDim,
            int type,
            float[] o,
            int r,
            int lane,
            float factor,
            int seen) {
        int[] packed = new int[headDim / 8];
        for (int n = 0; n < headDim / 8; n++) {
            packed[n] = Warp.pack(type, o[4 * n + 2 * r] * factor, o[4 * n + 2 * r + 1] * factor);
        }
        turn(packed, headDim / 8, lane);
        if (seen > 0) {
            for (int m = 0; m < headDim / 32; m++) {
                Warp.storeEight(output, first + 8 * (lane % 4) + 32 * m, packed, 4 * m);
            }
        }
    }

    /** As {@link #storeTurned(HalfFloatArray, int, int, int, float[], int, int, float, int)}. */
    public static void storeTurned(
            ShortArray output, int first, int headDim, int type, float[] o, int r, int lane, float factor, int seen) {
        int[] packed = new int[headDim / 8];
        for (int n = 0; n < headDim / 8; n++) {
            packed[n] = Warp.pack(type, o[4 * n + 2 * r] * factor, o[4 * n + 2 * r + 1] * factor);
        }
        turn(packed, headDim / 8, lane);
        if (seen > 0) {
            for (int m = 0; m < headDim / 32; m++) {
                Warp.storeEight(output, first + 8 * (lane % 4) + 32 * m, packed, 4 * m);
            }
        }
    }

    /**
     * As {@link #storeTurned(HalfFloatArray, int, int, int, float[], int, int, float, int)}, in F32, where there is
     * nothing to turn.
     */
    public static void storeTurned(
            FloatArray output, int first, int headDim, int type, float[] o, int r, int lane, float factor, int seen) {
        if (seen > 0) {
            store(output, first, headDim, o, r, lane % 4 * 2, factor);
        }
    }

    /**
     * Transposes matrices of 4 by 4 ints, of which each of four lanes has a row: what lane t has in place u of a matrix
     * goes to place t of lane u.
     *
     * @param ints of a lane, a multiple of 4
     */
    public static void turn(int[] matrices, int ints, int lane) {
        for (int at = 0; at < ints; at += 4) {
            exchange(matrices, at, at + 1, lane, 1);
            exchange(matrices, at + 2, at + 3, lane, 1);
            exchange(matrices, at, at + 2, lane, 2);
            exchange(matrices, at + 1, at + 3, lane, 2);
        }
    }

    /** A lane gives the other one of two ints, and gets the other's in its place. */
    private static void exchange(int[] ints, int low, int high, int lane, int mask) {
        int given = (lane & mask) == 0 ? ints[high] : ints[low];
        int got = Warp.shuffleXor(given, mask);
        ints[low] = (lane & mask) == 0 ? ints[low] : got;
        ints[high] = (lane & mask) == 0 ? got : ints[high];
    }

    /**
     * Starts C = A Bᵀ for 64 rows of a warp group: A and B are tiles of {@code rowsA} and {@code rowsB} rows in local
     * memory, {@code atA} the first of the 64 rows, and B's rows are C's columns.
     */
    public static void startProduct(
            int type, float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int paddedDim) {
        for (int x = 0; x < paddedDim / 16; x++) {
            int a = atA + x / 4 * rowsA * WarpGroup.ROW_BYTES + x % 4 * 32;
            int b = atB + x / 4 * rowsB * WarpGroup.ROW_BYTES + x % 4 * 32;
            WarpGroup.multiply(type, c, rowsB, tile, a, b, x);
        }
    }

    /**
     * Starts C = C + A B for 64 rows of a warp group: A in registers, B a tile of {@code rowsB} rows in local memory.
     */
    public static void startSum(int type, float[] c, int[] a, int[] tile, int atB, int rowsB, int paddedDim) {
        startSum(type, c, a, tile, atB, 0, rowsB, rowsB, paddedDim);
    }

    /** Likewise for {@code rows} of B's rows from {@code first} on, and the columns of A that meet them. */
    public static void startSum(
            int type, float[] c, int[] a, int[] tile, int atB, int first, int rows, int rowsB, int paddedDim) {
        for (int n = first / 16; n < (first + rows) / 16; n++) {
            int b = atB + n * 16 * WarpGroup.ROW_BYTES;
            WarpGroup.multiply(type, c, paddedDim, a, 4 * n, tile, b, rowsB * WarpGroup.ROW_BYTES, 1);
        }
    }
}
