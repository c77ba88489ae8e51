package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.Bits;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * FlashAttention-2's forward pass with both products on tensor cores, through TornadoVM's public {@code KernelContext}
 * calls only. F16 inputs and probabilities, F32 sums, scores and softmax.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 1. Java cannot read a fragment that {@code mma} returns,
 * and {@code mmaStore} writes only to global memory, so S goes through a scratch tile of the group's own, which stays
 * in the caches. It is computed transposed, {@code S^T = K Q^T}, because K then is an A operand and V a B operand as
 * they lie in memory. A lane reads the scores of one query, so a row's maximum and sum need no other lane, and writes P
 * to local memory as the A operand of {@code O += P V}.
 *
 * <p>O stays in fragments, which cannot be scaled. So the key loop runs with a fixed reference m for each row, the
 * maximum that its first tile had, as long as P stays far below F16's largest number. When it would not, the run ends:
 * O is added to what earlier runs left in scratch memory, scaled, and a new run begins at the same tile with a new m.
 * The result is exact whatever m is; with usual inputs there is one run.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key and value {@code [batch, kvHeads, seqK, headDim]},
 * output like query, logSumExp {@code [batch, heads, seqQ]} (natural logarithm), headTerms of {@link HeadTerms},
 * keyLengths {@code [batch]} (keys), scratch {@code [groups, }{@link #scratchElements}{@code ]}.
 *
 * <p><b>Grid.</b> One dimension: any number of groups of {@link #groupSize} work-items, each with its part of scratch.
 * A group takes every {@code groups}-th tile of {@code blockQ} queries. 32 queries belong to one warp, or to two or
 * four from head dimension 65 or 129 on, which share out O's columns and the tile's keys. {@code blockQ} is a multiple
 * of 32; {@code blockK} is 16, 32 or 64.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: the tiles of Q, K, V and P in 16 bits, and a few numbers a query.
 *
 * <p><b>Device.</b> TornadoVM's CUDA backend on compute capability 8.0 or later: asynchronous copies exist on no other,
 * and what the PTX backend emits for a fragment that a loop carries does not assemble.
 *
 * <p><b>Not done here.</b> The loads of a group do not overlap its own products (other groups on the multiprocessor
 * fill the time), and S costs a store and a load of 4 bytes a score.
 *
 * <p>The form for ShortArrays reads BF16 as raw bits and multiplies with {@code mmaBF16}.
 */
public final class TensorCoreAttention {

    /** What a tile of P may sum to in a row before a new reference is taken: half of F16's largest number. */
    private static final float SUM_AT_MOST = 32768f;

    private TensorCoreAttention() {}

    /** Head dimension as the tiles see it: rounded up to 32, 64, 96, 128, 192 or 256. */
    public static int paddedDim(int headDim) {
        return headDim <= 128 ? (headDim + 31) / 32 * 32 : (headDim + 63) / 64 * 64;
    }

    /** Warps that share 32 queries, each with its part of O's columns and of the keys. */
    public static int columnWarps(int headDim) {
        return headDim <= 64 ? 1 : headDim <= 128 ? 2 : 4;
    }

    /** A tile shape as {@link #attention} takes it, since a task has 20 arguments at most. */
    public static int packed(int blockQ, int blockK) {
        return blockQ << 16 | blockK;
    }

    /** Work-items in a group for this tile shape. */
    public static int groupSize(int headDim, int blockQ) {
        return blockQ * columnWarps(headDim);
    }

    /** Bytes of local memory that a group uses for this tile shape. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        int tiles = (blockQ + 2 * blockK) * paddedDim(headDim) + blockQ * blockK;
        return 2 * tiles + 4 * blockQ * (1 + columnWarps(headDim)) + 16;
    }

    /** Elements of {@code scratch} that a group needs for this tile shape. */
    public static int scratchElements(int headDim, int blockQ, int blockK) {
        int dims = paddedDim(headDim);
        return blockQ * ((blockK + dims - 1) / dims * dims + dims);
    }

    /**
     * What softmax is taken of. The scale is not left for the exponential's multiply-add, which is not rounded between:
     * P of a row's largest score is to be 1.
     */
    private static float score(float product, float scale, float softcap, int features, float slope, int distance) {
        return Score.of(scale * product, softcap, slope, distance, features);
    }

    // spotless:off: fragments and many parameters are written in rows
    /** Loads a tile of queries transposed: B operands of 16 dimensions by 8 queries. */
    @Phase
    private static void loadQueries(
            HalfFloatArray query, int queryBase, int rows, int headDim,
            int[] queryTile, int blockQ, int dims, int item, int step) {
        for (int at = item; at < blockQ * dims / 2; at += step) {
            int r = at / dims * 2;
            int x = at % dims;
            int low = 0;
            int high = 0;
            if (x < headDim && r < rows) {
                low = Bits.load(query, queryBase + r * headDim + x);
            }
            if (x < headDim && r + 1 < rows) {
                high = Bits.load(query, queryBase + r * headDim + headDim + x);
            }
            queryTile[(r / 8 * (dims / 16) + x / 16) * 64 + x % 16 * 4 + r % 8 / 2] = low | high << 16;
        }
    }

    /** Loads whole tiles of keys and values, where the type of the array has them by asynchronous copies. */
    @Phase
    private static void loadWhole(
            KernelContext context, HalfFloatArray key, HalfFloatArray value, int loadFrom, int headDim, int blockK,
            int kSteps, int loaders, int[] keyTile, int[] valueTile, int loadKey, int loadValue, int z) {
        for (int r = 0; r < blockK; r += 4 * loaders) {
            for (int x = 0; x < kSteps; x++) {
                int keyTo = z + loadKey + (r / 16 * kSteps + x) * 128 + r % 16 * 8;
                int valueTo = z + loadValue + (r / 16 * kSteps + x) * 128 + r % 16 * 4;
                int from = loadFrom + r * headDim + x * 16;
                if (Bits.areCopiedAsync(key)) {
                    context.asyncCopyToLocal(keyTile, keyTo, key, from);
                    context.asyncCopyToLocal(valueTile, valueTo, value, from);
                } else {
                    keyTile[keyTo] = Bits.load(key, from) | Bits.load(key, from + 1) << 16;
                    valueTile[valueTo] = Bits.load(value, from) | Bits.load(value, from + 1) << 16;
                }
            }
        }
    }

    /** Loads tiles of keys and values, and 0 past the last key and the last dimension. */
    @Phase
    private static void loadRagged(
            HalfFloatArray key, HalfFloatArray value, int loadFrom, int headDim, int blockK, int j0, int length,
            int kSteps, int loaders, int[] keyTile, int[] valueTile, int loadKey, int loadValue,
            int loadRow, int loadPair) {
        for (int r = 0; r < blockK; r += 4 * loaders) {
            for (int x = 0; x < kSteps; x++) {
                int from = loadFrom + r * headDim + x * 16;
                int k = 0;
                int v = 0;
                if (j0 + r + loadRow < length && x * 16 + loadPair * 2 < headDim) {
                    k = Bits.load(key, from);
                    v = Bits.load(value, from);
                }
                if (j0 + r + loadRow < length && x * 16 + loadPair * 2 + 1 < headDim) {
                    k = k | Bits.load(key, from + 1) << 16;
                    v = v | Bits.load(value, from + 1) << 16;
                }
                keyTile[loadKey + (r / 16 * kSteps + x) * 128 + r % 16 * 8] = k;
                valueTile[loadValue + (r / 16 * kSteps + x) * 128 + r % 16 * 4] = v;
            }
        }
    }

    /** The warp's part of {@code S^T = K Q^T}, through scratch memory. */
    @Phase
    private static void scores(
            KernelContext context, HalfFloatArray query, int[] queryTile, int[] keyTile, FloatArray scratch, int scoreRow,
            int blockK, int keyTiles, int kSteps, int scoreTiles, int rowWarp, int column, int z) {
        for (int t = 0; t < scoreTiles; t += 2) {
            int t0 = column * scoreTiles + t;
            if (t0 < keyTiles) {
                float[] s00 = context.mmaFragment(0f), s01 = context.mmaFragment(0f);
                float[] s02 = context.mmaFragment(0f), s03 = context.mmaFragment(0f);
                float[] s10 = context.mmaFragment(0f), s11 = context.mmaFragment(0f);
                float[] s12 = context.mmaFragment(0f), s13 = context.mmaFragment(0f);
                for (int x = 0; x < kSteps; x++) {
                    int q = z + (rowWarp * 4 * kSteps + x) * 256;
                    int k = z + (t0 * kSteps + x) * 512;
                    HalfFloat[] q0 = context.mmaLoadB(queryTile, 16, q);
                    HalfFloat[] q1 = context.mmaLoadB(queryTile, 16, q + kSteps * 256);
                    HalfFloat[] q2 = context.mmaLoadB(queryTile, 16, q + kSteps * 512);
                    HalfFloat[] q3 = context.mmaLoadB(queryTile, 16, q + kSteps * 768);
                    HalfFloat[] k0 = context.mmaLoadA(keyTile, 16, k);
                    s00 = Bits.multiply(context, query, k0, q0, s00);
                    s01 = Bits.multiply(context, query, k0, q1, s01);
                    s02 = Bits.multiply(context, query, k0, q2, s02);
                    s03 = Bits.multiply(context, query, k0, q3, s03);
                    if (scoreTiles > 1) {
                        HalfFloat[] k1 = context.mmaLoadA(keyTile, 16, k + kSteps * 512);
                        s10 = Bits.multiply(context, query, k1, q0, s10);
                        s11 = Bits.multiply(context, query, k1, q1, s11);
                        s12 = Bits.multiply(context, query, k1, q2, s12);
                        s13 = Bits.multiply(context, query, k1, q3, s13);
                    }
                }
                int scoreTile = z + scoreRow + t0 * 16;
                context.mmaStore(s00, scratch, scoreTile, 0, 16);
                context.mmaStore(s01, scratch, scoreTile, 8, 16);
                context.mmaStore(s02, scratch, scoreTile + blockK, 0, 16);
                context.mmaStore(s03, scratch, scoreTile + blockK, 8, 16);
                if (scoreTiles > 1) {
                    context.mmaStore(s10, scratch, scoreTile + 16, 0, 16);
                    context.mmaStore(s11, scratch, scoreTile + 16, 8, 16);
                    context.mmaStore(s12, scratch, scoreTile + 16 + blockK, 0, 16);
                    context.mmaStore(s13, scratch, scoreTile + 16 + blockK, 8, 16);
                }
            }
        }
    }

    /** The largest score of a row among the keys of a tile that it sees, {@code from} to {@code to}; −∞ without one. */
    @Phase
    private static float maximum(
            FloatArray scratch, int scoreAt, int blockK, int from, int to, int distance,
            float scale, float softcap, float slope, int features, int z) {
        float max = Float.NEGATIVE_INFINITY;
        for (int c = 0; c < blockK; c++) {
            float score = score(scratch.get(z + scoreAt + c * 16), scale, softcap, features, slope, distance - c);
            int outside = TornadoMath.max(from - c, c - to);
            max = outside > 0 ? max : TornadoMath.max(max, score);
        }
        return max;
    }

    /** P of a row and the warp's share of a tile's keys, as the A operand of {@code P V}; returns their sum. */
    @Phase
    private static float weigh(
            HalfFloatArray query, FloatArray scratch, int scoreAt, int[] probabilities, int probabilityAt,
            float[] s, int[] p, int[] turned, int turn, float[] m, int share, int pairs, int column, int from, int to, int hidden, int distance,
            float scale, float softcap, float slope, int features, int z) {
        float sum = 0f;
        for (int c = 0; c < share; c += 2 * pairs) {
            int k = column * share + c;
            for (int i = 0; i < 2 * pairs; i++) {
                float product = scratch.get(z + scoreAt + k * 16 + i * 16);
                s[i] = score(product, scale, softcap, features, slope, distance - k - i);
            }
            if (hidden > 0) {
                for (int i = 0; i < 2 * pairs; i++) {
                    int outside = TornadoMath.max(from - k - i, k + i - to);
                    s[i] = outside > 0 ? Float.NEGATIVE_INFINITY : s[i];
                }
            }
            for (int i = 0; i < pairs; i++) {
                float p0 = TornadoMath.exp(s[2 * i] - m[0]);
                float p1 = TornadoMath.exp(s[2 * i + 1] - m[0]);
                sum += p0 + p1;
                p[i] = Bits.pair(query, p0, p1);
            }
            // Neighbouring rows start at different pairs: stored in step, their pairs share a bank.
            for (int by = 1; by < pairs; by += by) {
                for (int i = 0; i < pairs; i++) {
                    turned[i] = (turn & by) != 0 ? p[(i + by) % pairs] : p[i];
                }
                for (int i = 0; i < pairs; i++) {
                    p[i] = turned[i];
                }
            }
            for (int i = 0; i < pairs; i++) {
                probabilities[z + probabilityAt + k / 16 * 128 + k % 16 / 2 + (z + turn + i) % pairs] = p[i];
            }
        }
        return sum;
    }

    /** Stores the warp's O, of 32 rows and so many blocks of 8 columns. */
    @Phase
    private static void storeFragments(
            KernelContext context, FloatArray scratch, int oRow, int oColumn, int dims, int warpTiles,
            float[] o00, float[] o01, float[] o02, float[] o03, float[] o04, float[] o05, float[] o06, float[] o07,
            float[] o10, float[] o11, float[] o12, float[] o13, float[] o14, float[] o15, float[] o16, float[] o17) {
        context.mmaStore(o00, scratch, oRow, oColumn, dims);
        context.mmaStore(o01, scratch, oRow, oColumn + 8, dims);
        context.mmaStore(o02, scratch, oRow, oColumn + 16, dims);
        context.mmaStore(o03, scratch, oRow, oColumn + 24, dims);
        context.mmaStore(o10, scratch, oRow + 16, oColumn, dims);
        context.mmaStore(o11, scratch, oRow + 16, oColumn + 8, dims);
        context.mmaStore(o12, scratch, oRow + 16, oColumn + 16, dims);
        context.mmaStore(o13, scratch, oRow + 16, oColumn + 24, dims);
        if (warpTiles > 4) {
            context.mmaStore(o04, scratch, oRow, oColumn + 32, dims);
            context.mmaStore(o05, scratch, oRow, oColumn + 40, dims);
            context.mmaStore(o14, scratch, oRow + 16, oColumn + 32, dims);
            context.mmaStore(o15, scratch, oRow + 16, oColumn + 40, dims);
        }
        if (warpTiles > 6) {
            context.mmaStore(o06, scratch, oRow, oColumn + 48, dims);
            context.mmaStore(o07, scratch, oRow, oColumn + 56, dims);
            context.mmaStore(o16, scratch, oRow + 16, oColumn + 48, dims);
            context.mmaStore(o17, scratch, oRow + 16, oColumn + 56, dims);
        }
    }

    /**
     * The run's O joins that of earlier runs; at the end O = O / l.
     *
     * @return other than 0 if something of the output is not finite
     */
    @Phase
    private static float joinRuns(
            FloatArray scratch, int base, int sums, float[] correction, float[] rowSum, HalfFloatArray output,
            int queryBase, int rows, int headDim, int dims, int blockQ, int columns, int item, int step,
            int run, int first, boolean more) {
        float zero = 0f;
        for (int at = item; at < blockQ * dims; at += step) {
            int r = at / dims;
            int x = at % dims;
            float o = scratch.get(base + at);
            if (run != first) {
                o += correction[r] * scratch.get(sums + at);
            }
            if (more) {
                scratch.set(sums + at, o);
            } else {
                float sum = 0f;
                for (int c = 0; c < columns; c++) {
                    sum += rowSum[c * blockQ + r];
                }
                if (r < rows && x < headDim) {
                    float normalized = sum == 0f ? 0f : o / sum;
                    // In one column the last row tells for all: times 0 what is hidden makes each of them NaN.
                    float before = step % dims == 0 ? 0f : zero;
                    zero = before + normalized * 0f;
                    Bits.store(output, queryBase + r * headDim + x, normalized);
                }
            }
        }
        return zero;
    }

    /** What of a tile is not finite, once more from the keys that its row sees. */
    @Phase
    private static void mend(
            HalfFloatArray query, HalfFloatArray key, HalfFloatArray value, HalfFloatArray output, FloatArray logSumExp,
            int firstRow, int keyBase, int i0, int rows, int headDim, int dims, int item, int step, int offset,
            int length, int windowLeft, int windowRight, float scale, float softcap, float slope, int features) {
        for (int at = item; at < rows * dims; at += step) {
            int i = i0 + at / dims;
            int x = at % dims;
            float lse = logSumExp.get(firstRow + i);
            if (x < headDim && lse == lse) {
                int from = (firstRow + i) * headDim;
                float stored = Bits.value(output, from + x) * 0f;
                if (stored != 0f) {
                    float mended = Mending.element(
                            x, lse, query, from, key, value, keyBase, headDim, i + offset,
                            Window.firstKey(i + offset, windowLeft),
                            Window.lastKey(i + offset, length, windowRight),
                            scale, softcap, slope, features);
                    Bits.store(output, from + x, mended);
                }
            }
        }
    }

    /**
     * Computes the group's tiles of queries; see the class for arrays, grid and memory.
     *
     * @param tileShape {@link #packed} blockQ and blockK
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI} and {@code KEY_LENGTHS}, added
     */
    public static void attention(
            KernelContext context,
            @Element HalfFloatArray query,
            @Element HalfFloatArray key,
            @Element HalfFloatArray value,
            @Element HalfFloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            FloatArray scratch,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            int tileShape,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int blockQ = tileShape >> 16;
        int blockK = tileShape & 0xffff;
        int dims = paddedDim(headDim);
        int columns = columnWarps(headDim);
        int rowWarps = blockQ / 32;
        int step = 32 * rowWarps * columns; // work-items in the group: what each strides by
        int kSteps = dims / 16;
        int keyTiles = blockK / 16;
        int dimTiles = dims / 8;
        int warpTiles = dimTiles / columns;
        int share = blockK / columns;
        int scoreTiles = (keyTiles + columns - 1) / columns;
        int pairs = TornadoMath.min(8, share / 2);

        // Tiles as the loads of operands take them: A in blocks of 16x16, B of 16x8, two halves an int, a block in one piece.
        int[] queryTile = context.allocateIntLocalArray(blockQ * dims / 2);
        int[] keyTile = context.allocateIntLocalArray(blockK * dims / 2);
        int[] valueTile = context.allocateIntLocalArray(blockK * dims / 2);
        int[] probabilities = context.allocateIntLocalArray(blockQ * blockK / 2);
        float[] correction = context.allocateFloatLocalArray(blockQ);
        float[] rowSum = context.allocateFloatLocalArray(blockQ * columns);
        int[] overflows = context.allocateIntLocalArray(4); // one is used: what lies behind it must begin at 16 bytes

        // m and l are arrays of one because they leave a loop that has a break: the code that TornadoVM 5.2 puts after
        // such a loop gives plain variables the values of the break even where the loop ended by its condition.
        float[] m = new float[1];
        float[] l = new float[1];
        float[] s = new float[16];
        int[] p = new int[8];
        int[] turned = new int[8];

        int item = context.localIdx;
        int lane = item % 32;
        int warp = item / 32;
        int rowWarp = warp / columns;
        int column = warp % columns;
        int row = rowWarp * 32 + lane;
        int group = context.groupIdx;
        int elements = scratchElements(headDim, blockQ, blockK);
        int groups = scratch.getSize() / elements;
        int base = group * elements; // S, later a run's O; then the sum of earlier runs
        int sums = base + elements - blockQ * dims;
        int scoreRow = base / 16 + rowWarp * 2 * blockK;
        int scoreAt = base + (rowWarp * 2 + lane / 16) * blockK * 16 + lane % 16;
        int probabilityAt = (rowWarp * 2 + lane / 16) * keyTiles * 128 + lane % 16 * 8;
        int turn = lane / 4 % pairs;
        int warps = rowWarps * columns;
        int loaders = warps > 3 ? 4 : warps > 1 ? 2 : 1;
        int loadPair = lane % 8;
        int loadRow = warp * 4 + lane / 8;
        int loadKey = loadRow * 8 + loadPair;
        int loadValue = loadPair / 4 * 64 + loadRow * 4 + loadPair % 4;

        if (item == 0) {
            overflows[0] = 0;
        }
        int overflowsBefore = 0;

        // The last tiles first, since under a causal mask they see the most keys.
        int tilesQ = (seqQ + blockQ - 1) / blockQ;
        int tiles = logSumExp.getSize() / seqQ * tilesQ;
        for (int tile = group; tile < tiles; tile += groups) {
            int batchHead = tile / tilesQ;
            int i0 = (tilesQ - 1 - tile % tilesQ) * blockQ;
            int head = batchHead % heads;
            int batch = batchHead / heads;
            int queryBase = (batchHead * seqQ + i0) * headDim;
            int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
            int rows = TornadoMath.min(blockQ, seqQ - i0);
            int length = Window.length(keyLengths, batch, seqK, features);
            float slope = HeadTerms.slope(headTerms, head, features);

            // Query i stands at key position i + offset (bottom-right alignment); the tile sees keys firstKey ... lastKey.
            int offset = length - seqQ;
            int firstKey = Window.firstKey(i0 + offset, windowLeft);
            int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
            int position = i0 + row + offset;

            // Load Q_i transposed: B operands of 16 dimensions by 8 queries. m = -inf, l = 0.
            context.localBarrier();
            loadQueries(query, queryBase, rows, headDim, queryTile, blockQ, dims, item, step);

            m[0] = Score.NO_SCORE;
            l[0] = 0f;
            int run = firstKey / blockK * blockK;
            int first = run;
            boolean more = true;
            while (more) {
                float[] o00 = context.mmaFragment(0f), o01 = context.mmaFragment(0f);
                float[] o02 = context.mmaFragment(0f), o03 = context.mmaFragment(0f);
                float[] o04 = context.mmaFragment(0f), o05 = context.mmaFragment(0f);
                float[] o06 = context.mmaFragment(0f), o07 = context.mmaFragment(0f);
                float[] o10 = context.mmaFragment(0f), o11 = context.mmaFragment(0f);
                float[] o12 = context.mmaFragment(0f), o13 = context.mmaFragment(0f);
                float[] o14 = context.mmaFragment(0f), o15 = context.mmaFragment(0f);
                float[] o16 = context.mmaFragment(0f), o17 = context.mmaFragment(0f);
                int j0 = run;
                while (j0 <= lastKey) {
                    // 0, but no compiler sees it: it would compute a hundred addresses before the loop and keep them all.
                    int z = seqK < 1 << 30 ? j0 >> 30 : 0;
                    // Load K_j and V_j, where a tile is whole by asynchronous copies, 8 pairs of 4 keys a warp.
                    context.localBarrier();
                    boolean whole = headDim == dims && length - j0 >= blockK;
                    if (warp < loaders) {
                        int loadFrom = z + keyBase + (j0 + loadRow) * headDim + loadPair * 2;
                        if (whole) {
                            loadWhole(
                                    context, key, value, loadFrom, headDim, blockK, kSteps, loaders,
                                    keyTile, valueTile, loadKey, loadValue, z);
                        } else {
                            loadRagged(
                                    key, value, loadFrom, headDim, blockK, j0, length, kSteps, loaders,
                                    keyTile, valueTile, loadKey, loadValue, loadRow, loadPair);
                        }
                    }
                    context.asyncCopyCommit();
                    context.asyncCopyWaitGroup(0);
                    context.localBarrier();

                    // S^T = K_j Q_i^T, through scratch memory.
                    scores(
                            context, query, queryTile, keyTile, scratch, scoreRow,
                            blockK, keyTiles, kSteps, scoreTiles, rowWarp, column, z);
                    context.localBarrier();

                    // P = exp(S - m), l = l + sum P, a row a lane. A mask is an interval of keys, tested at edges only.
                    int from = Window.firstInTile(position, j0, windowLeft);
                    int to = Window.lastInTile(position, j0, length - j0, windowRight);
                    int everyLeft = Window.everyLeft(i0 + blockQ - 1 + offset, windowLeft);
                    int everyRight = Window.everyRight(i0 + offset, length, windowRight);
                    int hidden = Window.outside(j0, blockK, everyLeft, everyRight); // keys at an end of the tile that some row, real or not, does not see
                    // m = max(m, max S) where a run begins, or the row sees its first key and O is 0 there. One comparison
                    // asks for both: behind an || whose second part reads memory TornadoVM 5.2 writes the rest twice.
                    float begun = TornadoMath.min(m[0], j0 == run ? Score.NO_SCORE : -Score.NO_SCORE);
                    if (begun == Score.NO_SCORE) {
                        float max = maximum(
                                scratch, scoreAt, blockK, from, to, position - j0, scale, softcap, slope, features, z);
                        float old = m[0];
                        m[0] = TornadoMath.max(old, max);
                        if (j0 == run) {
                            float alpha = TornadoMath.exp(old - m[0]);
                            l[0] = l[0] * alpha;
                            if (column == 0) {
                                correction[row] = alpha;
                            }
                        }
                    }
                    float sum = weigh(
                            query, scratch, scoreAt, probabilities, probabilityAt, s, p, turned, turn, m, share, pairs,
                            column, from, to, hidden, position - j0, scale, softcap, slope, features, z);
                    // A run's first tile has a reference of its own: whatever it sums to, another would not make it less.
                    if (j0 > run) {
                        if (sum > SUM_AT_MOST) {
                            context.atomicAdd(overflows, 0, 1);
                        }
                    }
                    context.localBarrier();
                    if (overflows[0] != overflowsBefore) {
                        break;
                    }
                    l[0] += sum;
                    // O = O + P V_j.
                    for (int t = 0; t < keyTiles; t++) {
                        HalfFloat[] p0 = context.mmaLoadA(probabilities, 16, z + (rowWarp * 2 * keyTiles + t) * 512);
                        HalfFloat[] p1 = context.mmaLoadA(probabilities, 16, z + ((rowWarp * 2 + 1) * keyTiles + t) * 512);
                        int v = z + (t * dimTiles + column * warpTiles) * 256;
                        HalfFloat[] v0 = context.mmaLoadB(valueTile, 16, v);
                        o00 = Bits.multiply(context, query, p0, v0, o00);
                        o10 = Bits.multiply(context, query, p1, v0, o10);
                        HalfFloat[] v1 = context.mmaLoadB(valueTile, 16, v + 256);
                        o01 = Bits.multiply(context, query, p0, v1, o01);
                        o11 = Bits.multiply(context, query, p1, v1, o11);
                        HalfFloat[] v2 = context.mmaLoadB(valueTile, 16, v + 512);
                        o02 = Bits.multiply(context, query, p0, v2, o02);
                        o12 = Bits.multiply(context, query, p1, v2, o12);
                        HalfFloat[] v3 = context.mmaLoadB(valueTile, 16, v + 768);
                        o03 = Bits.multiply(context, query, p0, v3, o03);
                        o13 = Bits.multiply(context, query, p1, v3, o13);
                        if (warpTiles > 4) {
                            HalfFloat[] v4 = context.mmaLoadB(valueTile, 16, v + 1024);
                            o04 = Bits.multiply(context, query, p0, v4, o04);
                            o14 = Bits.multiply(context, query, p1, v4, o14);
                            HalfFloat[] v5 = context.mmaLoadB(valueTile, 16, v + 1280);
                            o05 = Bits.multiply(context, query, p0, v5, o05);
                            o15 = Bits.multiply(context, query, p1, v5, o15);
                        }
                        if (warpTiles > 6) {
                            HalfFloat[] v6 = context.mmaLoadB(valueTile, 16, v + 1536);
                            o06 = Bits.multiply(context, query, p0, v6, o06);
                            o16 = Bits.multiply(context, query, p1, v6, o16);
                            HalfFloat[] v7 = context.mmaLoadB(valueTile, 16, v + 1792);
                            o07 = Bits.multiply(context, query, p0, v7, o07);
                            o17 = Bits.multiply(context, query, p1, v7, o17);
                        }
                    }
                    j0 += blockK;
                }
                more = j0 <= lastKey;

                // The run's O joins that of earlier runs; at the end O = O / l and L = m + ln l, 0 and -inf without a key.
                int oRow = base / dims + rowWarp * 32;
                int oColumn = column * warpTiles * 8;
                context.localBarrier();
                storeFragments(
                        context, scratch, oRow, oColumn, dims, warpTiles,
                        o00, o01, o02, o03, o04, o05, o06, o07, o10, o11, o12, o13, o14, o15, o16, o17);
                overflowsBefore = overflows[0];
                rowSum[column * blockQ + row] = l[0];
                context.localBarrier();
                float zero = joinRuns(
                        scratch, base, sums, correction, rowSum, output, queryBase,
                        rows, headDim, dims, blockQ, columns, item, step, run, first, more);
                if (!more && row < rows && column == 0) {
                    float sum = 0f;
                    for (int c = 0; c < columns; c++) {
                        sum += rowSum[c * blockQ + row];
                    }
                    float lse = Float.NEGATIVE_INFINITY;
                    if (sum != 0f) {
                        lse = m[0] + TornadoMath.log(sum);
                    }
                    logSumExp.set(batchHead * seqQ + i0 + row, lse);
                }
                // What is not finite, once more: rows whose sum is NaN see what makes it so.
                if (Mending.isNeeded(windowLeft, windowRight) > 0) {
                    context.localBarrier();
                    if (zero != 0f) {
                        mend(
                                query, key, value, output, logSumExp, batchHead * seqQ, keyBase, i0, rows, headDim,
                                dims, item, step, offset, length, windowLeft, windowRight, scale, softcap, slope,
                                features);
                    }
                }
                run = j0;
            }
        }
    }
    // spotless:on
}
