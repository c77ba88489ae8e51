package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Rounds 16-bit tensors to E4M3 for {@link WarpGroupFp8FlashAttention}, each tile with a scale of its own.
 *
 * <p>Source: Shah et al., <i>FlashAttention-3</i> (2024), section 3.3. A tile's scale is the power of two that brings
 * its largest element to 128 or more, below 256: it moves exponents only, so what E4M3 can hold stays as it is. NaN and
 * ∞ count for nothing in it. It is 2⁻⁴⁰ or more, so that what is below 2⁻⁵⁰ becomes 0: exponents of V's scales go into
 * those of P, which would not reach further.
 *
 * <p><b>Rows</b> (of Q and K) are first multiplied by an orthogonal matrix, so that where two outliers meet, the error
 * of their product is shared among 32 others: each 32 columns by M = D·H, where H is the Walsh–Hadamard matrix and D
 * has signs on its diagonal, so that columns that are all alike do not become one large number. (Q M)(K M)ᵀ = 32 Q Kᵀ.
 * The paper takes all columns at once, which must then be a power of two.
 *
 * <p><b>Columns</b> (of V) are written transposed, since tensor cores read 8-bit operands along the sum only. Of each
 * 16 keys, those at 4t to 4t + 3 are 2t, 2t + 1, 2t + 8 and 2t + 9: then what a lane holds of two neighbouring
 * accumulators of scores, packed, is what it must hold of operand A.
 *
 * <p><b>Arrays.</b> source {@code [batch, heads, seq, headDim]}, where rows from {@code keyLengths[batch]} on count as
 * 0; target, four numbers to an int, {@code [batch, heads, tiles · block, paddedDim]} of rows, {@code [batch, heads,
 * paddedDim, tiles · block]} of columns, 0 where the source has nothing; scales {@code [batch, heads, tiles, spacing]},
 * of which the first (rows) or second (columns, as the exponent of 2) is written. ∞ becomes NaN, since E4M3 has none.
 *
 * <p><b>Grid.</b> One dimension, {@code staying} groups of {@link #groupSize} work-items, no more than tiles: each
 * rounds one tile after the other, and the next is on its way meanwhile. <b>Local memory.</b>
 * {@link #localMemoryBytes}.
 *
 * <p><b>Device.</b> Compute capability 9.0, through TornadoVM's CUDA backend with this project's intrinsics; the
 * simulator.
 */
public final class QuantizeTiles {

    /** By what M multiplies a product of two rows. */
    public static final int GAIN = 32;

    private static final int MOST_WARPS = 32;

    /** The widest head of which half as many work-items have a tile, so that a multiprocessor runs two groups. */
    private static final int NARROW = 128;

    private static final float LARGEST_FLOAT = 0x1.fffffep127f;

    /** Bit i is the number of i's bits, modulo 2. */
    private static final int PARITIES = 0x6996;

    private QuantizeTiles() {}

    /** Head dimension as E4M3 tiles see it: rounded up to the depth of one product. */
    public static int paddedDim(int headDim) {
        return (headDim + 31) / 32 * 32;
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int block) {
        return 2 * WarpTiles.tileBytes(block, headDim) + MOST_WARPS * Float.BYTES;
    }

    /** Work-items of a group. */
    public static int groupSize(int headDim) {
        return headDim > NARROW ? 1024 : 512;
    }

    /**
     * Rounds tiles of rows.
     *
     * @param heads of the source
     * @param block rows in a tile, a multiple of 32
     * @param spacing elements of {@code scales} to a tile
     * @param staying groups, which round one tile after the other
     * @param factor of the products of these rows: its magnitude goes into the scale, its sign into the numbers
     * @param features {@code KEY_LENGTHS} and {@code F16_BITS} of {@link Features}, added
     */
    public static void rows(
            KernelContext context,
            @Element HalfFloatArray source,
            IntArray target,
            FloatArray scales,
            IntArray keyLengths,
            int heads,
            int seq,
            int headDim,
            int block,
            int spacing,
            int staying,
            float factor,
            int features) {
        int items = groupSize(headDim);
        Warp.requireGroupSize(items);
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 32 * block * 2);
        float[] largest = context.allocateFloatLocalArray(MOST_WARPS);
        int item = context.localIdx;
        int chunks = (headDim + 31) / 32 * 32 / 8;
        int type = WarpTiles.type(source, features);
        int bytes = WarpTiles.tileBytes(block, headDim);
        int tiles = scales.getSize() / spacing;
        int rounds = (tiles - context.groupIdx + staying - 1) / staying;
        load(tile, 0, context.groupIdx, item, items, source, keyLengths, heads, seq, headDim, block, features);
        context.asyncCopyCommit();

        // A work-item has 8 columns of some rows, always the same of 32, and its neighbours the rest of 32.
        float[] x =
                new float[(block * ((headDim + 31) / 32 * 32 / 8) + groupSize(headDim) - 1) / groupSize(headDim) * 8];
        int count = (block * chunks + items - 1) / items * 8;
        float[] signs = new float[8];
        for (int e = 0; e < 8; e++) {
            signs[e] = sign(item % 4 * 8 + e);
        }
        float[] four = new float[4];
        for (int t = 0; t < rounds; t++) {
            int group = context.groupIdx + t * staying;
            if (t + 1 < rounds) {
                int at = (t + 1) % 2 * bytes;
                load(tile, at, group + staying, item, items, source, keyLengths, heads, seq, headDim, block, features);
            }
            context.asyncCopyCommit();
            context.asyncCopyWaitGroup(1);
            context.localBarrier();

            // X = X M, and the largest element.
            for (int i = 0; i < count / 8; i++) {
                int chunk = i * items + item;
                int row = TornadoMath.min(block - 1, chunk / chunks);
                int c = chunk % chunks;
                Warp.elements(four, 0, tile, t % 2 * bytes + place(block, headDim, row, c));
                for (int e = 0; e < 4; e++) {
                    int pair = Reinterpret.asInt(four[e]);
                    x[8 * i + 2 * e] = inside(Warp.unpack(type, pair, 0), c * 8, headDim) * signs[2 * e];
                    x[8 * i + 2 * e + 1] = inside(Warp.unpack(type, pair, 1), c * 8, headDim) * signs[2 * e + 1];
                }
            }
            addAndSubtract(x, count, 0);
            addAndSubtract(x, count, 1);
            addAndSubtract(x, count, 2);
            addAndSubtractLanes(x, count, item, 0);
            addAndSubtractLanes(x, count, item, 1);
            float max = 0f;
            for (int at = 0; at < count; at++) {
                max = TornadoMath.max(max, finiteMagnitude(x[at]));
            }
            max = largestOfWarp(max);
            if (item % 32 == 0) {
                largest[item / 32] = max;
            }
            context.localBarrier();
            max = largestOfWarp(largest[item % (items / 32)]);
            int exponent = exponent(max, 120);
            float inverse = Reinterpret.asFloat(127 - exponent << 23);
            if (factor < 0f) {
                inverse = -inverse;
            }
            if (item == 0) {
                float scale = Reinterpret.asFloat(127 + exponent << 23) * TornadoMath.abs(factor);
                scales.set(group * spacing, TornadoMath.max(0x1p-60f, scale));
            }

            for (int i = 0; i < count / 8; i++) {
                int at = i * items + item;
                if (block * chunks % items == 0 || at < block * chunks) {
                    for (int half = 0; half < 2; half++) {
                        int packed = Warp.packE4M3(
                                scaled(x[8 * i + 4 * half], inverse),
                                scaled(x[8 * i + 4 * half + 1], inverse),
                                scaled(x[8 * i + 4 * half + 2], inverse),
                                scaled(x[8 * i + 4 * half + 3], inverse));
                        target.set((group * block * chunks + at) * 2 + half, packed);
                    }
                }
            }
        }
    }

    /** Rounds tiles of V and transposes them; see {@link #rows} for the numbers. */
    public static void columns(
            KernelContext context,
            @Element HalfFloatArray source,
            IntArray target,
            FloatArray scales,
            IntArray keyLengths,
            int heads,
            int seq,
            int headDim,
            int block,
            int spacing,
            int staying,
            int features) {
        int items = groupSize(headDim);
        Warp.requireGroupSize(items);
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 32 * block * 2);
        float[] largest = context.allocateFloatLocalArray(MOST_WARPS);
        int item = context.localIdx;
        int lane = item % 32;
        int warps = items / 32;
        int paddedDim = (headDim + 31) / 32 * 32;
        int type = WarpTiles.type(source, features);
        int bytes = WarpTiles.tileBytes(block, headDim);
        int tilesOfHead = (seq + block - 1) / block;
        int tiles = scales.getSize() / spacing;
        int rounds = (tiles - context.groupIdx + staying - 1) / staying;
        load(tile, 0, context.groupIdx, item, items, source, keyLengths, heads, seq, headDim, block, features);
        context.asyncCopyCommit();

        // A warp has some pieces of 32 keys and 8 columns, transposed; of each a lane has 8 keys of one column.
        int[] v = new int
                [(block / 32 * ((headDim + 31) / 32 * 32 / 8) + groupSize(headDim) / 32 - 1)
                        / (groupSize(headDim) / 32)
                        * 4];
        int pieces = block / 32 * (paddedDim / 8);
        int count = (pieces + warps - 1) / warps;
        for (int t = 0; t < rounds; t++) {
            int group = context.groupIdx + t * staying;
            if (t + 1 < rounds) {
                int at = (t + 1) % 2 * bytes;
                load(tile, at, group + staying, item, items, source, keyLengths, heads, seq, headDim, block, features);
            }
            context.asyncCopyCommit();
            context.asyncCopyWaitGroup(1);
            context.localBarrier();
            float max = 0f;
            for (int i = 0; i < count; i++) {
                int piece = TornadoMath.min(pieces - 1, item / 32 * count + i);
                int c = piece / (block / 32);
                int key = piece % (block / 32) * 32 + lane;
                Warp.loadMatricesTransposed(v, 4 * i, tile, t % 2 * bytes + place(block, headDim, key, c));
                for (int e = 0; e < 4; e++) {
                    v[4 * i + e] = c * 8 < (headDim + 15) / 16 * 16 ? v[4 * i + e] : 0;
                    max = TornadoMath.max(max, finiteMagnitude(Warp.unpack(type, v[4 * i + e], 0)));
                    max = TornadoMath.max(max, finiteMagnitude(Warp.unpack(type, v[4 * i + e], 1)));
                }
            }
            max = largestOfWarp(max);
            if (lane == 0) {
                largest[item / 32] = max;
            }
            context.localBarrier();
            max = largestOfWarp(largest[item % warps]);
            int exponent = exponent(max, 80);
            float inverse = Reinterpret.asFloat(127 - exponent << 23);
            if (item == 0) {
                scales.set(group * spacing + 1, (float) exponent);
            }

            // Lane 4g + t has of column g the keys that quads t and 4 + t of the piece want.
            int ofHead = group / tilesOfHead * paddedDim * tilesOfHead + group % tilesOfHead;
            for (int i = 0; i < count; i++) {
                int piece = item / 32 * count + i;
                int column = piece / (block / 32) * 8 + lane / 4;
                int quad = piece % (block / 32) * 8 + lane % 4;
                if (pieces % warps == 0 || piece < pieces) {
                    for (int half = 0; half < 2; half++) {
                        int at = 4 * i + 2 * half;
                        int packed = Warp.packE4M3(
                                scaled(Warp.unpack(type, v[at], 0), inverse),
                                scaled(Warp.unpack(type, v[at], 1), inverse),
                                scaled(Warp.unpack(type, v[at + 1], 0), inverse),
                                scaled(Warp.unpack(type, v[at + 1], 1), inverse));
                        target.set((ofHead + column * tilesOfHead) * (block / 4) + quad + 4 * half, packed);
                    }
                }
            }
        }
    }

    /** Starts to bring a tile to byte {@code at} of local memory, up to the key length. */
    private static void load(
            int[] tile,
            int at,
            int group,
            int item,
            int items,
            HalfFloatArray source,
            IntArray keyLengths,
            int heads,
            int seq,
            int headDim,
            int block,
            int features) {
        int tiles = (seq + block - 1) / block;
        int batchHead = group / tiles;
        int first = group % tiles * block;
        int length = Window.length(keyLengths, batchHead / heads, seq, features);
        int from = (batchHead * seq + first) * headDim;
        WarpTiles.load(tile, at, block, source, from, length - first, headDim, item, items);
    }

    /** Where 8 columns of a row lie in a tile of 16 bits; beyond its last columns, those. */
    private static int place(int block, int headDim, int row, int c) {
        return WarpTiles.chunk(block, row, TornadoMath.min(c, (headDim + 15) / 16 * 2 - 1));
    }

    /** An element, 0 beyond the last columns of a tile of 16 bits. */
    private static float inside(float value, int column, int headDim) {
        return column < (headDim + 15) / 16 * 16 ? value : 0f;
    }

    /** Of a column in D: that of a bent function of the column's bits, which no row of H comes near to. */
    private static float sign(int column) {
        return 1f - 2f * (PARITIES >> (column & column >> 1) & 1);
    }

    /** A step of X = X H: sums and differences of elements whose numbers differ in a bit. */
    private static void addAndSubtract(float[] x, int count, int bit) {
        for (int i = 0; i < count / 2; i++) {
            int low = (i >> bit << bit + 1) + (i & (1 << bit) - 1);
            int high = low + (1 << bit);
            float sum = x[low] + x[high];
            x[high] = x[low] - x[high];
            x[low] = sum;
        }
    }

    /** Likewise of the elements of two lanes. */
    private static void addAndSubtractLanes(float[] x, int count, int item, int bit) {
        float sign = 1f - 2f * (item >> bit & 1);
        for (int at = 0; at < count; at++) {
            x[at] = x[at] * sign + Warp.shuffleXor(x[at], 1 << bit);
        }
    }

    private static float finiteMagnitude(float value) {
        float magnitude = TornadoMath.abs(value);
        return magnitude <= LARGEST_FLOAT ? magnitude : 0f;
    }

    private static float largestOfWarp(float own) {
        float max = own;
        for (int bit = 0; bit < 5; bit++) {
            max = TornadoMath.max(max, Warp.shuffleXor(max, 1 << bit));
        }
        return max;
    }

    /** The scale, as an exponent of 2, of a tile whose largest magnitude is {@code max}: from -40 to what is given. */
    private static int exponent(float max, int highest) {
        return TornadoMath.max(-40, TornadoMath.min(highest, (Reinterpret.asInt(max) >> 23) - 127 - 7));
    }

    /** The last term makes NaN of ∞, which would become 448. */
    private static float scaled(float value, float inverse) {
        return value * inverse + value * 0f;
    }
}
