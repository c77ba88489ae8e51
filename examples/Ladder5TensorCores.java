//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * Rung 5: tensor cores, by TornadoVM's own calls. {@code mma} multiplies 16 × 16 by 16 × 8 elements in one instruction
 * of a warp, F16 in, F32 out. What it returns, a fragment, cannot be read from Java; {@code mmaStore} writes it to
 * device memory only. So S goes through a scratch tile of each group, and P V too: device memory by name, the caches by
 * use.
 *
 * <p>Two warps have 32 queries each. Sᵀ = K Qᵀ is computed, because K then is an operand A, and V an operand B, as they
 * lie in memory; and because lanes that own a query each then read neighbouring elements.
 */
class Ladder5TensorCores {

    static final int BLOCK_Q = 64;
    static final int BLOCK_K = 32;
    static final int GROUP = 64;

    /** Rows of 64 numbers in a group's scratch: Sᵀ, a row a key, and then P V, a row a query. */
    static final int SCRATCH_ROWS = BLOCK_K + BLOCK_Q;

    // Operands lie in local memory as mmaLoadA and mmaLoadB take them: blocks of 16 × 16 and 16 × 8, two halves an int.
    static void attention(
            KernelContext context,
            HalfFloatArray q,
            HalfFloatArray k,
            HalfFloatArray v,
            FloatArray o,
            FloatArray l,
            FloatArray scratch,
            int n,
            float scale) {
        int[] queryTile = context.allocateIntLocalArray(64 * 32); // Qᵀ: 4 × 8 blocks B
        int[] keyTile = context.allocateIntLocalArray(32 * 32); // K: 2 × 4 blocks A
        int[] valueTile = context.allocateIntLocalArray(32 * 32); // V: 2 × 8 blocks B
        int[] probabilities = context.allocateIntLocalArray(64 * 16); // P: 4 × 2 blocks A
        float[] correction = context.allocateFloatLocalArray(64);
        float[] rowSum = context.allocateFloatLocalArray(64);
        int row = context.localIdx; // this lane's query
        int lane = row % 32;
        int warp = row / 32;
        int firstQuery = context.groupIdx * 64;
        int firstKey = firstQuery / n * n;
        int scoreRow = context.groupIdx * 96; // where this group's scratch begins, in rows
        int productRow = scoreRow + 32;
        float[] s = new float[32];
        float[] sums = new float[64]; // O of the warp's 32 queries, columns lane and lane + 32
        float max = -3.0e38f;
        float sum = 0f;
        for (int i = 0; i < 64; i++) {
            sums[i] = 0f;
        }

        for (int at = row; at < 32 * 64; at += 64) {
            int pair = firstQuery + at / 64 * 2;
            int x = at % 64;
            int low = q.get(pair * 64 + x).getHalfFloatValue() & 0xffff;
            int high = q.get(pair * 64 + 64 + x).getHalfFloatValue() & 0xffff;
            queryTile[(at / 256 * 4 + x / 16) * 64 + x % 16 * 4 + at / 64 % 4] = low | high << 16;
        }
        for (int j0 = 0; j0 < n; j0 += 32) {
            for (int at = row; at < 32 * 32; at += 64) {
                int j = at / 32;
                int pair = at % 32;
                int from = (firstKey + j0 + j) * 64 + 2 * pair;
                context.asyncCopyToLocal(keyTile, (j / 16 * 4 + pair / 8) * 128 + j % 16 * 8 + pair % 8, k, from);
                context.asyncCopyToLocal(valueTile, (j / 16 * 8 + pair / 4) * 64 + j % 16 * 4 + pair % 4, v, from);
            }
            context.asyncCopyCommit();
            context.asyncCopyWaitGroup(0);
            context.localBarrier();

            // Sᵀ = K Qᵀ: 16 keys, and four fragments of 8 queries for each load of K.
            for (int i = 0; i < 2; i++) {
                float[] s0 = context.mmaFragment(0f), s1 = context.mmaFragment(0f);
                float[] s2 = context.mmaFragment(0f), s3 = context.mmaFragment(0f);
                for (int x = 0; x < 4; x++) {
                    int at = (warp * 16 + x) * 256; // bytes; the next 8 queries are 1024 on
                    HalfFloat[] keys = context.mmaLoadA(keyTile, 16, (i * 4 + x) * 512);
                    s0 = context.mma(keys, context.mmaLoadB(queryTile, 16, at), s0, MMAShape.M16N8K16);
                    s1 = context.mma(keys, context.mmaLoadB(queryTile, 16, at + 1024), s1, MMAShape.M16N8K16);
                    s2 = context.mma(keys, context.mmaLoadB(queryTile, 16, at + 2048), s2, MMAShape.M16N8K16);
                    s3 = context.mma(keys, context.mmaLoadB(queryTile, 16, at + 3072), s3, MMAShape.M16N8K16);
                }
                context.mmaStore(s0, scratch, scoreRow + 16 * i, warp * 32, 64);
                context.mmaStore(s1, scratch, scoreRow + 16 * i, warp * 32 + 8, 64);
                context.mmaStore(s2, scratch, scoreRow + 16 * i, warp * 32 + 16, 64);
                context.mmaStore(s3, scratch, scoreRow + 16 * i, warp * 32 + 24, 64);
            }
            context.localBarrier();

            // The online softmax, a row a lane, which has all of its scores.
            float newMax = max;
            for (int j = 0; j < 32; j++) {
                s[j] = scale * scratch.get((scoreRow + j) * 64 + row);
                newMax = TornadoMath.max(newMax, s[j]);
            }
            float alpha = TornadoMath.exp(max - newMax);
            max = newMax;
            sum = alpha * sum;
            for (int j = 0; j < 32; j += 2) {
                float p0 = TornadoMath.exp(s[j] - max);
                float p1 = TornadoMath.exp(s[j + 1] - max);
                sum += p0 + p1;
                int low = new HalfFloat(p0).getHalfFloatValue() & 0xffff;
                int high = new HalfFloat(p1).getHalfFloatValue() & 0xffff;
                probabilities[(row / 16 * 2 + j / 16) * 128 + row % 16 * 8 + j % 16 / 2] = low | high << 16;
            }
            correction[row] = alpha;
            context.localBarrier();

            // P V: 8 columns at a time, for the warp's two times 16 queries.
            HalfFloat[] p00 = context.mmaLoadA(probabilities, 16, warp * 2048);
            HalfFloat[] p01 = context.mmaLoadA(probabilities, 16, warp * 2048 + 512);
            HalfFloat[] p10 = context.mmaLoadA(probabilities, 16, warp * 2048 + 1024);
            HalfFloat[] p11 = context.mmaLoadA(probabilities, 16, warp * 2048 + 1536);
            for (int x = 0; x < 8; x++) {
                HalfFloat[] v0 = context.mmaLoadB(valueTile, 16, x * 256);
                HalfFloat[] v1 = context.mmaLoadB(valueTile, 16, x * 256 + 2048);
                float[] o0 = context.mma(p00, v0, context.mmaFragment(0f), MMAShape.M16N8K16);
                float[] o1 = context.mma(p10, v0, context.mmaFragment(0f), MMAShape.M16N8K16);
                o0 = context.mma(p01, v1, o0, MMAShape.M16N8K16);
                o1 = context.mma(p11, v1, o1, MMAShape.M16N8K16);
                context.mmaStore(o0, scratch, productRow + warp * 32, 8 * x, 64);
                context.mmaStore(o1, scratch, productRow + warp * 32 + 16, 8 * x, 64);
            }
            context.localBarrier();

            // O = diag(alpha) O + P V.
            for (int i = 0; i < 32; i++) {
                int from = (productRow + warp * 32 + i) * 64 + lane;
                float a = correction[warp * 32 + i];
                sums[2 * i] = a * sums[2 * i] + scratch.get(from);
                sums[2 * i + 1] = a * sums[2 * i + 1] + scratch.get(from + 32);
            }
        }

        rowSum[row] = sum;
        l.set(firstQuery + row, max + TornadoMath.log(sum));
        context.localBarrier();
        for (int i = 0; i < 32; i++) {
            int to = (firstQuery + warp * 32 + i) * 64 + lane;
            float total = rowSum[warp * 32 + i];
            o.set(to, sums[2 * i] / total);
            o.set(to + 32, sums[2 * i + 1] / total);
        }
    }

    static void main(String[] arguments) {
        Example.run(Ladder5TensorCores.class, "[HEADS [TOKENS]]", arguments, Ladder5TensorCores::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.ofHalves(
                "Rung 5, tensor cores through TornadoVM's own calls", arguments, AttentionKernel.TENSOR_CORE);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        int tiles = rows / BLOCK_Q * (n / BLOCK_K);
        double scratchBytes = 8.0 * tiles * SCRATCH_ROWS * 64; // written and read
        lesson.predict(lesson.flops(), rows * (2.0 * d + 4.0 * d + 4.0 * d * n / BLOCK_Q + 4) + scratchBytes);
        System.out.printf("of these bytes, %.3g are scratch, which the caches may hold%n", scratchBytes);

        FloatArray scratch = new FloatArray(rows / BLOCK_Q * SCRATCH_ROWS * 64);
        TaskGraph graph = lesson.graph(scratch)
                .task(
                        "attention",
                        Ladder5TensorCores::attention,
                        new KernelContext(),
                        lesson.halfQ(),
                        lesson.halfK(),
                        lesson.halfV(),
                        lesson.o(),
                        lesson.l(),
                        scratch,
                        n,
                        lesson.scale());
        GridScheduler grids = new GridScheduler("lesson.attention", Lesson.grid(rows, GROUP));

        lesson.run("tensor cores", graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
    }
}
