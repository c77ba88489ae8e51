//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * Rung 6: warp intrinsics. Rung 5 cannot see the scores that it computes, so they go through scratch memory. With this
 * project's {@link Warp} an accumulator is a plain private array: S, P and O never leave the registers of a warp, and P
 * is in the right lanes already to be the operand of the next product. A warp has 16 queries, four warps share the
 * tiles of K and V.
 */
class Ladder6WarpIntrinsics {

    static final int BLOCK_Q = 64;
    static final int GROUP = 128;

    // Lane 4g + t holds, of 16 rows by 8 columns, columns 2t and 2t + 1 of rows g and g + 8: elements 0, 1 and 2, 3.
    static void attention(
            KernelContext context,
            HalfFloatArray q,
            HalfFloatArray k,
            HalfFloatArray v,
            FloatArray o,
            FloatArray l,
            int n,
            float scale) {
        Warp.requireGroupSize(128);
        int[] queryTile = context.allocateIntLocalArray(64 * 32); // 64 rows of 128 bytes, as for the tiles below
        int[] keyTile = context.allocateIntLocalArray(64 * 32);
        int[] valueTile = context.allocateIntLocalArray(64 * 32);
        int item = context.localIdx;
        int lane = item % 32;
        int warpRow = item / 32 * 16;
        int firstQuery = context.groupIdx * 64;
        int firstKey = firstQuery / n * n;
        int[] query = new int[16];
        float[] s = new float[32]; // 16 × 64 scores in the lanes of the warp
        int[] p = new int[16]; // the same as pairs of halves
        int[] b = new int[4];
        float[] sums = new float[32]; // O, before its division by the sum: 16 × 64
        float[] max = new float[2]; // of rows g and g + 8
        float[] sum = new float[2];
        float[] alpha = new float[2];

        load(queryTile, q, firstQuery, item);
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        context.localBarrier();
        for (int x = 0; x < 4; x++) {
            Warp.loadMatrices(query, 4 * x, queryTile, WarpGroup.chunk(warpRow + lane % 16, 2 * x + lane / 16));
        }
        for (int i = 0; i < 32; i++) {
            sums[i] = 0f;
        }
        for (int row = 0; row < 2; row++) {
            max[row] = -3.0e38f;
            sum[row] = 0f;
        }

        for (int j0 = 0; j0 < n; j0 += 64) {
            load(keyTile, k, firstKey + j0, item);
            load(valueTile, v, firstKey + j0, item);
            context.asyncCopyCommit();
            context.asyncCopyWaitGroup(0);
            context.localBarrier();

            // S = Q Kᵀ: 16 deep each, two accumulators of 8 keys for each load of K.
            for (int i = 0; i < 32; i++) {
                s[i] = 0f;
            }
            for (int j = 0; j < 4; j++) {
                for (int x = 0; x < 4; x++) {
                    int key = 16 * j + lane % 8 + lane / 16 * 8;
                    Warp.loadMatrices(b, 0, keyTile, WarpGroup.chunk(key, 2 * x + lane / 8 % 2));
                    Warp.multiply(Warp.F16, s, 8 * j, query, 4 * x, b, 0);
                    Warp.multiply(Warp.F16, s, 8 * j + 4, query, 4 * x, b, 2);
                }
            }

            // The online softmax, two rows a lane; four lanes share a row.
            for (int row = 0; row < 2; row++) {
                float newMax = max[row];
                for (int j = 0; j < 8; j++) {
                    newMax = TornadoMath.max(newMax, scale * s[4 * j + 2 * row]);
                    newMax = TornadoMath.max(newMax, scale * s[4 * j + 2 * row + 1]);
                }
                newMax = TornadoMath.max(newMax, Warp.shuffleXor(newMax, 1));
                newMax = TornadoMath.max(newMax, Warp.shuffleXor(newMax, 2));
                alpha[row] = exp(max[row] - newMax);
                max[row] = newMax;
                sum[row] = alpha[row] * sum[row];
                for (int j = 0; j < 8; j++) {
                    float p0 = exp(scale * s[4 * j + 2 * row] - newMax);
                    float p1 = exp(scale * s[4 * j + 2 * row + 1] - newMax);
                    sum[row] += p0 + p1;
                    p[2 * j + row] = Warp.pack(Warp.F16, p0, p1);
                }
            }

            // O = diag(alpha) O + P V: two neighbouring accumulators of S, packed, are an operand 16 deep.
            for (int i = 0; i < 32; i++) {
                sums[i] *= alpha[i / 2 % 2];
            }
            for (int j = 0; j < 4; j++) {
                for (int x = 0; x < 4; x++) {
                    int chunk = WarpGroup.chunk(16 * j + lane % 16, 2 * x + lane / 16);
                    Warp.loadMatricesTransposed(b, 0, valueTile, chunk);
                    Warp.multiply(Warp.F16, sums, 8 * x, p, 4 * j, b, 0);
                    Warp.multiply(Warp.F16, sums, 8 * x + 4, p, 4 * j, b, 2);
                }
            }
            context.localBarrier(); // all is used before the next tile comes
        }

        for (int row = 0; row < 2; row++) {
            sum[row] += Warp.shuffleXor(sum[row], 1);
            sum[row] += Warp.shuffleXor(sum[row], 2);
            int to = firstQuery + warpRow + lane / 4 + 8 * row;
            for (int j = 0; j < 8; j++) {
                Warp.store(o, to * 64 + 8 * j + lane % 4 * 2, sums[4 * j + 2 * row] / sum[row]);
                Warp.store(o, to * 64 + 8 * j + lane % 4 * 2 + 1, sums[4 * j + 2 * row + 1] / sum[row]);
            }
            if (lane % 4 == 0) {
                Warp.store(l, to, max[row] + TornadoMath.log(sum[row]));
            }
        }
    }

    /**
     * Starts the copy of 64 rows to a tile, 16 bytes at a time; {@code chunk} turns each row, against conflicts of
     * banks.
     */
    static void load(int[] tile, HalfFloatArray source, int firstRow, int item) {
        for (int i = 0; i < 4; i++) {
            int row = 16 * i + item / 8;
            Warp.copyAsync(tile, WarpGroup.chunk(row, item % 8), source, (firstRow + row) * 64 + item % 8 * 8, 16);
        }
    }

    /** e to the power of x, through the instruction that tensor-core kernels have time for. */
    static float exp(float x) {
        return Warp.exp2(x * 1.4426950408889634f);
    }

    static void main(String[] arguments) {
        Example.run(Ladder6WarpIntrinsics.class, "[HEADS [TOKENS]]", arguments, Ladder6WarpIntrinsics::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.ofHalves(
                "Rung 6, warp intrinsics: S, P and O in the registers of a warp", arguments, AttentionKernel.WARP);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        lesson.predict(lesson.flops(), rows * (2.0 * d + 4.0 * d + 4.0 * d * n / BLOCK_Q + 4));

        TaskGraph graph = lesson.graph()
                .task(
                        "attention",
                        Ladder6WarpIntrinsics::attention,
                        new KernelContext(),
                        lesson.halfQ(),
                        lesson.halfK(),
                        lesson.halfV(),
                        lesson.o(),
                        lesson.l(),
                        n,
                        lesson.scale());
        GridScheduler grids = new GridScheduler("lesson.attention", Lesson.grid(rows / BLOCK_Q * GROUP, GROUP));

        lesson.run("warp intrinsics", graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
    }
}
