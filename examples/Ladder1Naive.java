//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 1: attention as the formula has it, O = softmax(QKᵀ) V in three kernels. S and P are N × N and go through device
 * memory four times: S written, S read, P written, P read.
 */
class Ladder1Naive {

    /** S = scale · QKᵀ, an element a work-item. Loops end at an array's size: see docs/ladder.md. */
    static void scores(FloatArray q, FloatArray k, FloatArray s, int n, int d, float scale) {
        for (@Parallel int element = 0; element < s.getSize(); element++) {
            int row = element / n;
            int key = row / n * n + element % n; // of the same head
            float dot = 0f;
            for (int x = 0; x < d; x++) {
                dot += q.get(row * d + x) * k.get(key * d + x);
            }
            s.set(element, scale * dot);
        }
    }

    /** P = e^(S − L) with L = m + ln Σ e^(S − m), a row a work-item. */
    static void softmax(FloatArray s, FloatArray p, FloatArray l, int n) {
        for (@Parallel int row = 0; row < l.getSize(); row++) {
            float max = -3.0e38f;
            for (int j = 0; j < n; j++) {
                max = TornadoMath.max(max, s.get(row * n + j));
            }
            float sum = 0f;
            for (int j = 0; j < n; j++) {
                sum += TornadoMath.exp(s.get(row * n + j) - max);
            }
            for (int j = 0; j < n; j++) {
                p.set(row * n + j, TornadoMath.exp(s.get(row * n + j) - max) / sum);
            }
            l.set(row, max + TornadoMath.log(sum));
        }
    }

    /** O = PV, an element a work-item. */
    static void output(FloatArray p, FloatArray v, FloatArray o, int n, int d) {
        for (@Parallel int element = 0; element < o.getSize(); element++) {
            int row = element / d;
            int firstKey = row / n * n;
            float sum = 0f;
            for (int j = 0; j < n; j++) {
                sum += p.get(row * n + j) * v.get((firstKey + j) * d + element % d);
            }
            o.set(element, sum);
        }
    }

    static void main(String[] arguments) {
        Example.run(Ladder1Naive.class, "[HEADS [TOKENS]]", arguments, Ladder1Naive::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.of("Rung 1, naive: three kernels, S and P stored", arguments);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        lesson.predict(lesson.flops(), 4.0 * rows * (4.0 * d + 4.0 * n + 1));

        FloatArray s = new FloatArray(rows * n);
        FloatArray p = new FloatArray(rows * n);
        TaskGraph graph = lesson.graph(s, p)
                .task("scores", Ladder1Naive::scores, lesson.q(), lesson.k(), s, n, d, lesson.scale())
                .task("softmax", Ladder1Naive::softmax, s, p, lesson.l(), n)
                .task("output", Ladder1Naive::output, p, lesson.v(), lesson.o(), n, d);
        GridScheduler grids = new GridScheduler("lesson.scores", Lesson.grid(rows * n, 64));
        grids.addWorkerGrid("lesson.softmax", Lesson.grid(rows, 64));
        grids.addWorkerGrid("lesson.output", Lesson.grid(rows * d, 64));

        lesson.run("naive", graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
    }
}
