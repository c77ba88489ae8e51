//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 3: tiles in local memory. A work-group of 64 rows loads 32 keys and values together, and all its rows use them:
 * K and V are read once for 64 queries and not once for each.
 */
class Ladder3LocalTiles {

    static final int BLOCK_Q = 64;
    static final int BLOCK_K = 32;

    static void attention(
            KernelContext context,
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray o,
            FloatArray l,
            int n,
            int d,
            int blockQ,
            int blockK,
            float scale) {
        float[] keyTile = context.allocateFloatLocalArray(blockK * d);
        float[] valueTile = context.allocateFloatLocalArray(blockK * d);
        int item = context.localIdx;
        int row = context.groupIdx * blockQ + item;
        int firstKey = row / n * n; // n is a multiple of blockQ: a group is within one head
        float[] query = new float[64];
        float[] sums = new float[64];
        for (int x = 0; x < d; x++) {
            query[x] = scale * q.get(row * d + x);
            sums[x] = 0f;
        }
        float max = -3.0e38f;
        float sum = 0f;

        for (int j0 = 0; j0 < n; j0 += blockK) {
            // The group loads the tile; neighbours load neighbours.
            for (int at = item; at < blockK * d; at += blockQ) {
                keyTile[at] = k.get((firstKey + j0) * d + at);
                valueTile[at] = v.get((firstKey + j0) * d + at);
            }
            context.localBarrier(); // all is loaded before any is used
            for (int j = 0; j < blockK; j++) {
                float s = 0f;
                for (int x = 0; x < d; x++) {
                    s += query[x] * keyTile[j * d + x];
                }
                float newMax = TornadoMath.max(max, s);
                float alpha = TornadoMath.exp(max - newMax);
                float p = TornadoMath.exp(s - newMax);
                sum = alpha * sum + p;
                for (int x = 0; x < d; x++) {
                    sums[x] = alpha * sums[x] + p * valueTile[j * d + x];
                }
                max = newMax;
            }
            context.localBarrier(); // all is used before the next tile comes
        }
        for (int x = 0; x < d; x++) {
            o.set(row * d + x, sums[x] / sum);
        }
        l.set(row, max + TornadoMath.log(sum));
    }

    static void main(String[] arguments) {
        Example.run(Ladder3LocalTiles.class, "[HEADS [TOKENS]]", arguments, Ladder3LocalTiles::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.of("Rung 3, tiles in local memory: K and V once for 64 queries", arguments);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        lesson.predict(lesson.flops(), 4.0 * rows * (2.0 * d + 2.0 * d * n / BLOCK_Q + 1));

        TaskGraph graph = lesson.graph()
                .task(
                        "attention",
                        Ladder3LocalTiles::attention,
                        new KernelContext(),
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        lesson.o(),
                        lesson.l(),
                        n,
                        d,
                        BLOCK_Q,
                        BLOCK_K,
                        lesson.scale());
        GridScheduler grids = new GridScheduler("lesson.attention", Lesson.grid(rows, BLOCK_Q));

        lesson.run("local tiles", graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
    }
}
