//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 2: the online softmax. A row keeps the largest score so far, m, the sum l of e^(s − m), and o, the sum of e^(s −
 * m) v. When a larger score comes, l and o are scaled by e^(m − m'). One pass over the keys; S and P are gone.
 */
class Ladder2OnlineSoftmax {

    static void attention(
            FloatArray q, FloatArray k, FloatArray v, FloatArray o, FloatArray l, int n, int d, float scale) {
        for (@Parallel int row = 0; row < l.getSize(); row++) {
            int firstKey = row / n * n;
            float[] query = new float[64];
            float[] sums = new float[64];
            for (int x = 0; x < d; x++) {
                query[x] = scale * q.get(row * d + x);
                sums[x] = 0f;
            }
            float max = -3.0e38f;
            float sum = 0f;
            for (int j = 0; j < n; j++) {
                int at = (firstKey + j) * d;
                float s = 0f;
                for (int x = 0; x < d; x++) {
                    s += query[x] * k.get(at + x);
                }
                // m' = max(m, s); l = e^(m - m') l + e^(s - m'); o = e^(m - m') o + e^(s - m') v
                float newMax = TornadoMath.max(max, s);
                float alpha = TornadoMath.exp(max - newMax);
                float p = TornadoMath.exp(s - newMax);
                sum = alpha * sum + p;
                for (int x = 0; x < d; x++) {
                    sums[x] = alpha * sums[x] + p * v.get(at + x);
                }
                max = newMax;
            }
            for (int x = 0; x < d; x++) {
                o.set(row * d + x, sums[x] / sum);
            }
            l.set(row, max + TornadoMath.log(sum));
        }
    }

    static void main(String[] arguments) {
        Example.run(Ladder2OnlineSoftmax.class, "[HEADS [TOKENS]]", arguments, Ladder2OnlineSoftmax::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.of("Rung 2, the online softmax: one kernel, nothing stored", arguments);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        // Each tensor once, if caches hold K and V; each row reads all of them.
        lesson.predict(lesson.flops(), 4.0 * rows * (4.0 * d + 1));

        TaskGraph graph = lesson.graph()
                .task(
                        "attention",
                        Ladder2OnlineSoftmax::attention,
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        lesson.o(),
                        lesson.l(),
                        n,
                        d,
                        lesson.scale());
        GridScheduler grids = new GridScheduler("lesson.attention", Lesson.grid(rows, 64));

        lesson.run("online softmax", graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
    }
}
