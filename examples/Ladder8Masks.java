//SOURCES jbang/Setup.java
import org.tornadoattention.Mask;
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 8: masks. Under a causal mask half of the score matrix is never looked at. A mask within a tile costs a
 * comparison for each score; a tile that nobody sees is not even loaded. Rung 3's kernel, with a window: its loop over
 * the tiles begins and ends where the window of its queries does.
 */
class Ladder8Masks {

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
            int windowLeft,
            int windowRight,
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

        // The keys that this query sees, and those that some query of the group does.
        int position = row % n;
        int seenFirst = TornadoMath.max(0, position - windowLeft);
        int seenLast = TornadoMath.min(n - 1, position + windowRight);
        int groupFirst = TornadoMath.max(0, position - item - windowLeft);
        int groupLast = TornadoMath.min(n - 1, position - item + blockQ - 1 + windowRight);

        for (int j0 = groupFirst / blockK * blockK; j0 <= groupLast; j0 += blockK) {
            // The group loads the tile; neighbours load neighbours.
            for (int at = item; at < blockK * d; at += blockQ) {
                keyTile[at] = k.get((firstKey + j0) * d + at);
                valueTile[at] = v.get((firstKey + j0) * d + at);
            }
            context.localBarrier(); // all is loaded before any is used
            // The bounds of this loop are the mask: in a full tile they are the tile's.
            int end = TornadoMath.min(blockK, seenLast - j0 + 1);
            for (int j = TornadoMath.max(0, seenFirst - j0); j < end; j++) {
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

    static double run(Lesson lesson, String name, int left, int right, double flops) {
        int n = lesson.keys();
        TaskGraph graph = lesson.graph()
                .task(
                        "attention",
                        Ladder8Masks::attention,
                        new KernelContext(),
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        lesson.o(),
                        lesson.l(),
                        n,
                        Lesson.HEAD_DIM,
                        BLOCK_Q,
                        BLOCK_K,
                        left,
                        right,
                        lesson.scale());
        GridScheduler grids = new GridScheduler("lesson.attention", Lesson.grid(lesson.heads() * n, BLOCK_Q));
        double milliseconds = lesson.run(name, graph, grids, flops, lesson.o(), lesson.l());
        lesson.check();
        return milliseconds;
    }

    static void main(String[] arguments) {
        Example.run(Ladder8Masks.class, "[HEADS [TOKENS]]", arguments, Ladder8Masks::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson full = Lesson.of("Rung 8, masks: tiles that nobody sees are skipped", arguments);
        Lesson causal = full.with(Mask.causal());
        int n = full.keys();
        double tiles = (double) n / BLOCK_Q;
        System.out.printf("predicted: the causal mask leaves %.0f%% of the tiles%n", 50 * (tiles + 1) / tiles);
        double all = run(full, "no mask", n, n, full.flops());
        double half = run(causal, "causal", n, 0, full.flops() / 2);
        System.out.printf("measured: causal takes %.0f%% of the time%n", 100 * half / all);
    }
}
