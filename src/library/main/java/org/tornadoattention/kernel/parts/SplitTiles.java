package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * F32 numbers as sums of two of 16 bits, for products on asynchronous tensor cores: x = 2^e (h + s) with h = x · 2^-e
 * rounded to F16, and s what is left, rounded likewise. Together they hold 22 bits and more, and of (h + s)(h' + s')
 * only s s' is left out, below 2⁻²⁴ of the product.
 *
 * <p>A tile in local memory is one of the h, as {@link WarpTiles} has them, and behind it one of the s. Each
 * {@link #BLOCK} rows of a tensor have one e, which brings the largest of their numbers to {@link #LARGEST_EXPONENT}:
 * numbers that are smaller than that by up to 2¹⁶ lose nothing, and the others no more than 2⁻⁴⁰ of the largest.
 */
public final class SplitTiles {

    /** Rows with a scale in common. */
    public static final int BLOCK = 64;

    /** Of the largest number of a block, in powers of two, once it is scaled. */
    public static final int LARGEST_EXPONENT = 13;

    /** The factor of numbers up to 1. */
    public static final float OF_ONE = 1 << LARGEST_EXPONENT;

    private static final int LEAST_EXPONENT = -100;
    private static final float LARGEST_FLOAT = 0x1.fffffep127f;

    private SplitTiles() {}

    /** Bytes of a tile in local memory. */
    public static int tileBytes(int rows, int headDim) {
        return 2 * WarpTiles.tileBytes(rows, headDim);
    }

    /** Blocks of a head. */
    public static int blocks(int seq) {
        return (seq + BLOCK - 1) / BLOCK;
    }

    /** Ints of a row in global memory: its h, then its s, two to an int. */
    public static int rowInts(int headDim) {
        return WarpTiles.paddedDim(headDim);
    }

    /** A magnitude, 0 for ∞ and NaN, which no scale can bring anywhere. */
    public static float finiteMagnitude(float value) {
        float magnitude = TornadoMath.abs(value);
        return magnitude <= LARGEST_FLOAT ? magnitude : 0f;
    }

    /** The largest of what a warp's lanes have. */
    public static float largestOfWarp(float own) {
        float max = own;
        for (int bit = 0; bit < 5; bit++) {
            max = TornadoMath.max(max, Warp.shuffleXor(max, 1 << bit));
        }
        return max;
    }

    /** e of numbers of which {@code largest} is the largest magnitude. */
    public static int exponent(float largest) {
        return TornadoMath.max(LEAST_EXPONENT, (Reinterpret.asInt(largest) >> 23) - 127) - LARGEST_EXPONENT;
    }

    /** 2 to the power of an exponent, or of its negation, as {@link #exponent} gives it. */
    public static float power(int exponent) {
        return Reinterpret.asFloat(127 + exponent << 23);
    }

    /**
     * Reads a block of rows of an F32 tensor from row {@code first} on, rows from {@code count} on as 0: a work-item
     * has 4 columns of some rows.
     */
    public static void read(float[] x, FloatArray source, int first, int count, int headDim, int item, int items) {
        int quads = WarpTiles.paddedDim(headDim) / 4;
        for (int i = 0; i < BLOCK * quads / items; i++) {
            int row = (i * items + item) / quads;
            int column = (i * items + item) % quads * 4;
            int columns = row < count ? headDim - column : 0;
            for (int e = 0; e < 4; e++) {
                x[4 * i + e] = 0f;
            }
            if (headDim % 4 == 0) {
                if (columns > 0) {
                    Warp.loadFour(x, 4 * i, source, (first + row) * headDim + column);
                }
            } else {
                for (int e = 0; e < 4; e++) {
                    if (e < columns) {
                        x[4 * i + e] = source.get((first + row) * headDim + column + e);
                    }
                }
            }
        }
    }

    /** The largest magnitude of a block that a group's work-items have read, which all of them call. */
    public static float largestOfBlock(
            KernelContext context, float[] x, float[] largest, int headDim, int item, int items) {
        float max = 0f;
        for (int at = 0; at < BLOCK * (WarpTiles.paddedDim(headDim) / 4) / items * 4; at++) {
            max = TornadoMath.max(max, finiteMagnitude(x[at]));
        }
        max = largestOfWarp(max);
        if (item % 32 == 0) {
            largest[item / 32] = max;
        }
        context.localBarrier();
        return largestOfWarp(largest[item % (items / 32)]);
    }

    /** s of two numbers, packed, whose h are {@code high}. */
    public static int rest(float first, float second, int high) {
        return Warp.pack(Warp.F16, first - Warp.unpack(Warp.F16, high, 0), second - Warp.unpack(Warp.F16, high, 1));
    }

    /** An accumulator tile of 64 rows, times a factor, as operands h and s. */
    public static void split(float[] c, int[] high, int[] rest, int columns, float factor) {
        for (int at = 0; at < columns / 4; at++) {
            float first = c[2 * at] * factor;
            float second = c[2 * at + 1] * factor;
            high[at] = Warp.pack(Warp.F16, first, second);
            rest[at] = rest(first, second, high[at]);
        }
    }

    /**
     * Starts the copy of {@code count} of {@code rows} rows, from row {@code first} on, to byte {@code at}; the rest is
     * 0.
     */
    public static void load(
            int[] tile, int at, int rows, IntArray source, int first, int count, int headDim, int item, int items) {
        int chunks = WarpTiles.paddedDim(headDim) / 8;
        for (int part = 0; part < 2; part++) {
            for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
                int row = WarpTiles.rowOf(i, chunks, item, items);
                int c = WarpTiles.columnOf(i, chunks, item, items);
                int to = WarpTiles.to(
                        i, at + part * WarpTiles.tileBytes(rows, headDim), rows, row, c, headDim, item, items);
                int from = (first + row) * (8 * chunks) + part * (4 * chunks) + 4 * c;
                if (rows * chunks % items == 0 || row < rows) {
                    Warp.copyAsync(tile, to, source, from, row < count ? 16 : 0);
                }
            }
        }
    }

    /** Writes a block that work-items have read, times a factor, as a tile at byte {@code at}. */
    public static void write(int[] tile, int at, float[] x, float factor, int headDim, int item, int items) {
        int quads = WarpTiles.paddedDim(headDim) / 4;
        for (int i = 0; i < BLOCK * quads / items; i++) {
            int row = (i * items + item) / quads;
            int quad = (i * items + item) % quads;
            int to = at + WarpTiles.chunk(BLOCK, row, quad / 2) + quad % 2 * 8;
            for (int pair = 0; pair < 2; pair++) {
                float first = x[4 * i + 2 * pair] * factor;
                float second = x[4 * i + 2 * pair + 1] * factor;
                int high = Warp.pack(Warp.F16, first, second);
                Warp.storeInt(tile, to + 4 * pair, high);
                Warp.storeInt(tile, to + 4 * pair + WarpTiles.tileBytes(BLOCK, headDim), rest(first, second, high));
            }
        }
    }

    /**
     * Starts C = A Bᵀ as {@link WarpTiles#startProduct}, in three products, the small ones first, of which s of A times
     * h of B.
     */
    public static void startProduct(float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int headDim) {
        int paddedDim = WarpTiles.paddedDim(headDim);
        int restA = atA + WarpTiles.tileBytes(rowsA, headDim);
        WarpTiles.startProduct(Warp.F16, c, tile, restA, rowsA, atB, rowsB, paddedDim);
        addProduct(c, tile, atA, rowsA, atB + WarpTiles.tileBytes(rowsB, headDim), rowsB, paddedDim);
        addProduct(c, tile, atA, rowsA, atB, rowsB, paddedDim);
    }

    /**
     * Likewise, of the small ones h of A times s of B first: the same sums as {@link #startProduct} of B and A,
     * transposed.
     */
    public static void startTransposed(float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int headDim) {
        int paddedDim = WarpTiles.paddedDim(headDim);
        int restB = atB + WarpTiles.tileBytes(rowsB, headDim);
        WarpTiles.startProduct(Warp.F16, c, tile, atA, rowsA, restB, rowsB, paddedDim);
        addProduct(c, tile, atA + WarpTiles.tileBytes(rowsA, headDim), rowsA, atB, rowsB, paddedDim);
        addProduct(c, tile, atA, rowsA, atB, rowsB, paddedDim);
    }

    private static void addProduct(float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int paddedDim) {
        for (int x = 0; x < paddedDim / 16; x++) {
            int a = atA + x / 4 * rowsA * WarpGroup.ROW_BYTES + x % 4 * 32;
            int b = atB + x / 4 * rowsB * WarpGroup.ROW_BYTES + x % 4 * 32;
            WarpGroup.multiply(Warp.F16, c, rowsB, tile, a, b, 1);
        }
    }

    /**
     * Starts C = A B with A in registers, in three products, the small ones first: of {@code columns} columns of B,
     * from byte {@code atB} on, whose rows are as deep as A.
     */
    public static void startSum(
            float[] c, int columns, int[] high, int[] rest, int[] tile, int atB, int rowsB, int headDim) {
        addSum(c, columns, rest, tile, atB, rowsB, 0);
        addSum(c, columns, high, tile, atB + WarpTiles.tileBytes(rowsB, headDim), rowsB, 1);
        addSum(c, columns, high, tile, atB, rowsB, 1);
    }

    private static void addSum(float[] c, int columns, int[] a, int[] tile, int atB, int rowsB, int accumulate) {
        for (int n = 0; n < rowsB / 16; n++) {
            int b = atB + n * 16 * WarpGroup.ROW_BYTES;
            WarpGroup.multiply(Warp.F16, c, columns, a, 4 * n, tile, b, rowsB * WarpGroup.ROW_BYTES, accumulate + n);
        }
    }

    /** X = X + factor · C, where C is of {@code columns} columns of X from {@code first} on. */
    public static void add(float[] x, float[] c, int first, int columns, float factor) {
        for (int at = 0; at < columns / 2; at++) {
            x[first / 2 + at] = x[first / 2 + at] + c[at] * factor;
        }
    }
}
