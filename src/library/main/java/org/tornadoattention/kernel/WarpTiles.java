package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * The parts of attention that the tensor-core kernels share: tiles on their way to local memory, and the online softmax on
 * score tiles that a warp holds in registers, in the layout of {@link Warp}'s accumulators.
 *
 * <p>A register tile of {@code rowTiles} · 16 rows by {@code columns} is an array in which element
 * {@code ((r / 2) * columns / 8 + n) * 4 + r % 2 * 2 + e} is, in lane 4g + t, row 8r + g and column 8n + 2t + e. TornadoVM
 * inlines these methods and unrolls their loops, so that the arrays stay in registers.
 */
final class WarpTiles {

    static final float LOG2_E = 1.4426950408889634f;
    static final float LN_2 = 0.6931471805599453f;

    /** Where the running maximum starts: below every score, yet finite, so that its differences are never NaN. */
    static final float NO_SCORE = -3.0e38f;

    private static final int NEGATIVE_INFINITY_BITS = 0xff800000;

    private WarpTiles() {}

    /** −∞. Of {@link Float#NEGATIVE_INFINITY} TornadoVM makes {@code -1.0F / 0.0F}, which CUDA carries out, slowly. */
    static float negativeInfinity() {
        return Warp.asFloat(NEGATIVE_INFINITY_BITS);
    }

    /** Head dimension as the tiles see it: rounded up to the depth of one product. */
    static int paddedDim(int headDim) {
        return (headDim + 15) / 16 * 16;
    }

    /** Bytes of a tile in local memory: blocks of 64 columns, one behind the other. */
    static int tileBytes(int rows, int headDim) {
        return (paddedDim(headDim) + 63) / 64 * rows * WarpGroup.ROW_BYTES;
    }

    /** Where chunk c (8 columns) of row r lies in a tile of so many rows. */
    static int chunk(int rows, int r, int c) {
        return c / 8 * rows * WarpGroup.ROW_BYTES + WarpGroup.chunk(r, c % 8);
    }

    static int type(HalfFloatArray array, int features) {
        return Warp.F16;
    }

    static int type(ShortArray array, int features) {
        return (features & Storage.F16_BITS) != 0 ? Warp.F16 : Warp.BF16;
    }

    static int type(HalfFloatArray array) {
        return Warp.F16;
    }

    /** Of pairs of raw 16-bit floats. */
    static int type(IntArray array) {
        return Warp.BF16;
    }

    /** Starts the copy of a chunk of 8 elements, the first a multiple of 8. */
    static void copyChunk(int[] tile, int at, HalfFloatArray source, int element, int bytes) {
        Warp.copyAsync(tile, at, source, element, bytes);
    }

    /** As {@link #copyChunk(int[], int, HalfFloatArray, int, int)}, two elements to an int. */
    static void copyChunk(int[] tile, int at, IntArray source, int element, int bytes) {
        Warp.copyAsync(tile, at, source, element / 2, bytes);
    }

    /** Starts the copy of {@code count} of {@code rows} rows, element {@code first} on, to byte {@code at}; the rest is 0. */
    static void load(
            int[] tile,
            int at,
            int rows,
            HalfFloatArray source,
            int first,
            int count,
            int headDim,
            int item,
            int items) {
        int chunks = paddedDim(headDim) / 8;
        for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
            int row = items % chunks == 0 ? i * (items / chunks) + item / chunks : (i * items + item) / chunks;
            int c = items % chunks == 0 ? item % chunks : (i * items + item) % chunks;
            int elements = TornadoMath.max(0, TornadoMath.min(8, headDim - 8 * c));
            int from = first + row * headDim + 8 * c;
            int to = at + chunk(rows, row, c);
            if (items % (4 * chunks) == 0) {
                // The same, at constant distances from one or two chunks, which takes fewer registers.
                int step = items / chunks;
                int apart = step % 8 == 0 ? 1 : 2;
                from = first + item / chunks * headDim + 8 * c + i * step * headDim;
                to = at
                        + chunk(rows, item / chunks + i % apart * step, c)
                        + i / apart * apart * step * WarpGroup.ROW_BYTES;
            }
            if (rows * chunks % items == 0 || row < rows) {
                if (headDim % 8 == 0) {
                    // All of a chunk or nothing, which takes fewer instructions than any number of bytes.
                    int bytes = headDim % 16 == 0 ? 16 : 8 * c < headDim ? 16 : 0;
                    Warp.copyAsync(tile, to, source, from, row < count ? bytes : 0);
                } else {
                    Warp.copy(tile, to, source, from, row < count ? elements : 0);
                }
            }
        }
    }

    /** As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int)}. */
    static void load(
            int[] tile, int at, int rows, ShortArray source, int first, int count, int headDim, int item, int items) {
        int chunks = paddedDim(headDim) / 8;
        for (int i = 0; i < (rows * chunks + items - 1) / items; i++) {
            int row = items % chunks == 0 ? i * (items / chunks) + item / chunks : (i * items + item) / chunks;
            int c = items % chunks == 0 ? item % chunks : (i * items + item) % chunks;
            int elements = TornadoMath.max(0, TornadoMath.min(8, headDim - 8 * c));
            int from = first + row * headDim + 8 * c;
            int to = at + chunk(rows, row, c);
            if (items % (4 * chunks) == 0) {
                // The same, at constant distances from one or two chunks, which takes fewer registers.
                int step = items / chunks;
                int apart = step % 8 == 0 ? 1 : 2;
                from = first + item / chunks * headDim + 8 * c + i * step * headDim;
                to = at
                        + chunk(rows, item / chunks + i % apart * step, c)
                        + i / apart * apart * step * WarpGroup.ROW_BYTES;
            }
            if (rows * chunks % items == 0 || row < rows) {
                if (headDim % 8 == 0) {
                    // All of a chunk or nothing, which takes fewer instructions than any number of bytes.
                    int bytes = headDim % 16 == 0 ? 16 : 8 * c < headDim ? 16 : 0;
                    Warp.copyAsync(tile, to, source, from, row < count ? bytes : 0);
                } else {
                    Warp.copy(tile, to, source, from, row < count ? elements : 0);
                }
            }
        }
    }

    /** As {@link #load(int[], int, int, HalfFloatArray, int, int, int, int, int)}, with 4 columns to a chunk. */
    static void load(
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

    /** Whether scores need more than one factor on their way into the exponential. */
    static boolean isPlain(float scale, float softcap, int features) {
        return scale > 0f && softcap == 0f && (features & TiledFlashAttention.ALIBI) == 0;
    }

    /** What turns q·k into an exponent of 2, if that is all there is to do; else 1, and {@link #bend} does the rest. */
    static float factor(float scale, float softcap, int features) {
        return isPlain(scale, softcap, features) ? scale * LOG2_E : 1f;
    }

    /** S = log2(e) * (softcap(scale * S) - slope * |distance|), where it is not plain. */
    static void bend(
            float[] s, int rowTiles, int columns, int distance, float scale, float softcap, float slope, int features) {
        if (!isPlain(scale, softcap, features)) {
            for (int r = 0; r < 2 * rowTiles; r++) {
                for (int n = 0; n < columns / 8; n++) {
                    for (int e = 0; e < 2; e++) {
                        int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                        float x = scale * s[at];
                        if (softcap > 0f) {
                            x = Softcap.apply(x, softcap);
                        }
                        if ((features & TiledFlashAttention.ALIBI) != 0) {
                            x -= slope * TornadoMath.abs((float) (distance + 8 * r - 8 * n - e));
                        }
                        s[at] = x * LOG2_E;
                    }
                }
            }
        }
    }

    /** The slope of the softcap at each raw score, where there is a softcap. */
    static void capSlopes(float[] s, float[] slopes, int columns, float scale, float softcap) {
        if (softcap > 0f) {
            for (int at = 0; at < columns / 2; at++) {
                slopes[at] = Softcap.slope(Softcap.apply(scale * s[at], softcap), softcap);
            }
        }
    }

    /**
     * S = -inf outside of the keys {@code first} to {@code last} that a lane's row 0 sees, counted from its column 0. A
     * single comparison each: TornadoVM's CUDA backend forgets negations inside an {@code ||} of two.
     */
    static void mask(
            float[] s, int rowTiles, int columns, int first, int last, int length, int windowLeft, int windowRight) {
        for (int r = 0; r < 2 * rowTiles; r++) {
            int to = length - 1;
            if (windowRight >= 0) {
                to = TornadoMath.min(to, last + 8 * r);
            }
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int column = 8 * n + e;
                    int outside = column - to;
                    if (windowLeft >= 0) {
                        outside = TornadoMath.max(outside, first + 8 * r - column);
                    }
                    int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2 + e;
                    s[at] = outside > 0 ? negativeInfinity() : s[at];
                }
            }
        }
    }

    /**
     * One step of the online softmax: m = max(m, rowmax S) where that has grown by more than {@code threshold},
     * P = 2^(S - m) over S, correction = 2^(old m - m), l = correction * l + rowsum P. A stale m is as exact: the final
     * division uses the same one.
     */
    static void softmax(
            float[] s,
            float[] m,
            float[] l,
            float[] correction,
            int rowTiles,
            int columns,
            float factor,
            int threshold) {
        softmaxOfBlocks(s, m, l, correction, 2 * rowTiles, columns, factor, threshold);
    }

    /** {@link #softmax} of the first {@code rowBlocks} blocks of 8 rows. */
    static void softmaxOfBlocks(
            float[] s,
            float[] m,
            float[] l,
            float[] correction,
            int rowBlocks,
            int columns,
            float factor,
            int threshold) {
        for (int r = 0; r < rowBlocks; r++) {
            int row = r / 2 * columns / 2 + r % 2 * 2;
            float even = s[row];
            float odd = s[row + 1];
            for (int n = 1; n < columns / 8; n++) {
                even = TornadoMath.max(even, s[row + 4 * n]);
                odd = TornadoMath.max(odd, s[row + 4 * n + 1]);
            }
            float top = TornadoMath.max(even, odd);
            top = TornadoMath.max(top, Warp.shuffleXor(top, 1));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 2)) * factor;
            float now = top > m[r] + threshold ? top : m[r];
            correction[r] = Warp.exp2(m[r] - now);
            m[r] = now;
            even = 0f;
            odd = 0f;
            for (int n = 0; n < columns / 8; n++) {
                float p0 = Warp.exp2(s[row + 4 * n] * factor - now);
                float p1 = Warp.exp2(s[row + 4 * n + 1] * factor - now);
                even += p0;
                odd += p1;
                s[row + 4 * n] = p0;
                s[row + 4 * n + 1] = p1;
            }
            l[r] = l[r] * correction[r] + (even + odd);
        }
    }

    /** P = Z ∘ P, Z the dropout of a tile whose rows are queries, this lane's from {@code query} and {@code key} on. */
    static void drop(float[] p, int rowTiles, int columns, IntArray keyLengths, int batchHead, int query, int key) {
        int words = keyLengths.getSize() - DropoutMask.WORDS;
        int threshold = keyLengths.get(words + 3);
        for (int r = 0; r < 2 * rowTiles; r++) {
            for (int n = 0; n < columns / 8; n++) {
                int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
                long random = DropoutMask.words(
                        keyLengths.get(words),
                        keyLengths.get(words + 1),
                        (key >> 2) + 2 * n,
                        query + 8 * r,
                        batchHead,
                        keyLengths.get(words + 2),
                        key >> 1 & 1);
                p[at] *= DropoutMask.factor((int) random, threshold);
                p[at + 1] *= DropoutMask.factor((int) (random >> 32), threshold);
            }
        }
    }

    /** The dropout of a tile whose rows are keys, as a bit for each of a lane's elements that is kept. */
    static void keptTransposed(int[] kept, int columns, IntArray keyLengths, int batchHead, int query, int key) {
        int words = keyLengths.getSize() - DropoutMask.WORDS;
        for (int at = 0; at < columns / 2; at++) {
            int random = DropoutMask.word(
                    keyLengths.get(words),
                    keyLengths.get(words + 1),
                    key + at / 2 % 2 * 8 >> 2,
                    query + at / 4 * 8 + at % 2,
                    batchHead,
                    keyLengths.get(words + 2),
                    key & 3);
            int bit = (random >> 8 & 0xffffff) < keyLengths.get(words + 3) ? 0 : 1;
            kept[at / 32] = (at % 32 == 0 ? 0 : kept[at / 32]) | bit << at % 32;
        }
    }

    /** What is kept of X, times a factor; 0 elsewhere. */
    static void keep(float[] x, float[] from, int[] kept, int columns, float factor) {
        for (int at = 0; at < columns / 2; at++) {
            x[at] = (kept[at / 32] >> at % 32 & 1) == 0 ? 0f : from[at] * factor;
        }
    }

    /** O = correction * O. */
    static void rescale(float[] o, float[] correction, int rowTiles, int columns) {
        rescaleBlocks(o, correction, 2 * rowTiles, columns);
    }

    /** {@link #rescale} of the first {@code rowBlocks} blocks of 8 rows. */
    static void rescaleBlocks(float[] o, float[] correction, int rowBlocks, int columns) {
        for (int r = 0; r < rowBlocks; r++) {
            for (int n = 0; n < columns / 8; n++) {
                int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
                o[at] *= correction[r];
                o[at + 1] *= correction[r];
            }
        }
    }

    /** Row {@code r} of O = 0, whatever it held, unless it is to be kept. */
    static void clearRow(float[] o, int r, int columns, boolean kept) {
        for (int n = 0; n < columns / 8; n++) {
            int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
            o[at] = kept ? o[at] : 0f;
            o[at + 1] = kept ? o[at + 1] : 0f;
        }
    }

    /** Two neighbouring accumulators, packed, are an operand A of 16 rows, 16 deep. */
    static void pack(int type, float[] s, int[] p, int rowTiles, int columns) {
        packBlocks(type, s, p, 2 * rowTiles, columns);
    }

    /** {@link #pack} of the first {@code rowBlocks} blocks of 8 rows. */
    static void packBlocks(int type, float[] s, int[] p, int rowBlocks, int columns) {
        for (int r = 0; r < rowBlocks; r++) {
            for (int n = 0; n < columns / 8; n++) {
                int at = (r / 2 * columns / 8 + n) * 4 + r % 2 * 2;
                p[(r / 2 * columns / 8 + n) * 2 + r % 2] = Warp.pack(type, s[at], s[at + 1]);
            }
        }
    }

    /** Writes what a lane holds of row {@code r} of its part of O, element {@code first} on, times a factor. */
    static void store(
            HalfFloatArray output, int first, int headDim, int type, float[] o, int r, int column, float factor) {
        for (int n = 0; n < paddedDim(headDim) / 8; n++) {
            int at = (r / 2 * paddedDim(headDim) / 8 + n) * 4 + r % 2 * 2;
            int packed = Warp.pack(type, o[at] * factor, o[at + 1] * factor);
            if (headDim % 2 == 0) {
                if (8 * n + column < headDim) {
                    Warp.store(output, first + 8 * n + column, packed, 2);
                }
            } else {
                if (8 * n + column < headDim) {
                    Warp.store(output, first + 8 * n + column, packed, 1);
                }
                if (8 * n + column + 1 < headDim) {
                    Warp.store(output, first + 8 * n + column + 1, packed >> 16, 1);
                }
            }
        }
    }

    /** As {@link #store(HalfFloatArray, int, int, int, float[], int, int, float)}. */
    static void store(ShortArray output, int first, int headDim, int type, float[] o, int r, int column, float factor) {
        for (int n = 0; n < paddedDim(headDim) / 8; n++) {
            int at = (r / 2 * paddedDim(headDim) / 8 + n) * 4 + r % 2 * 2;
            int packed = Warp.pack(type, o[at] * factor, o[at + 1] * factor);
            if (headDim % 2 == 0) {
                if (8 * n + column < headDim) {
                    Warp.store(output, first + 8 * n + column, packed, 2);
                }
            } else {
                if (8 * n + column < headDim) {
                    Warp.store(output, first + 8 * n + column, packed, 1);
                }
                if (8 * n + column + 1 < headDim) {
                    Warp.store(output, first + 8 * n + column + 1, packed >> 16, 1);
                }
            }
        }
    }

    /** As {@link #store(HalfFloatArray, int, int, int, float[], int, int, float)}, in F32. */
    static void store(FloatArray output, int first, int headDim, float[] o, int r, int column, float factor) {
        for (int n = 0; n < (headDim + 7) / 8; n++) {
            for (int e = 0; e < 2; e++) {
                if (8 * n + column + e < headDim) {
                    Warp.store(output, first + 8 * n + column + e, o[4 * n + 2 * r + e] * factor);
                }
            }
        }
    }

    /**
     * Starts C = A Bᵀ for 64 rows of a warp group: A and B are tiles of {@code rowsA} and {@code rowsB} rows in local memory,
     * {@code atA} the first of the 64 rows, and B's rows are C's columns.
     */
    static void startProduct(int type, float[] c, int[] tile, int atA, int rowsA, int atB, int rowsB, int paddedDim) {
        for (int x = 0; x < paddedDim / 16; x++) {
            int a = atA + x / 4 * rowsA * WarpGroup.ROW_BYTES + x % 4 * 32;
            int b = atB + x / 4 * rowsB * WarpGroup.ROW_BYTES + x % 4 * 32;
            WarpGroup.multiply(type, c, rowsB, tile, a, b, x);
        }
    }

    /** Starts C = C + A B for 64 rows of a warp group: A in registers, B a tile of {@code rowsB} rows in local memory. */
    static void startSum(int type, float[] c, int[] a, int[] tile, int atB, int rowsB, int paddedDim) {
        for (int n = 0; n < rowsB / 16; n++) {
            int b = atB + n * 16 * WarpGroup.ROW_BYTES;
            WarpGroup.multiply(type, c, paddedDim, a, 4 * n, tile, b, rowsB * WarpGroup.ROW_BYTES, 1);
        }
    }
}
