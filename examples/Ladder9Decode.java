//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 9: decode. When text is generated there is one query a head, and all kernels so far leave the device idle: a row
 * a work-item is one work-item a head. So the keys are split over many work-items, each makes a result of its own part,
 * and a second kernel merges them: L = M + ln Σ e^(Lᵢ − M), O = Σ e^(Lᵢ − L) Oᵢ. The time is that of reading K and V.
 */
class Ladder9Decode {

    /** The output and the log-sum-exp of one part of the keys, a part a work-item. */
    static void partial(
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray partialO,
            FloatArray partialL,
            int n,
            int d,
            int parts,
            float scale) {
        for (@Parallel int work = 0; work < partialL.getSize(); work++) {
            int head = work / parts;
            int part = work % parts;
            float[] sums = new float[64];
            for (int x = 0; x < d; x++) {
                sums[x] = 0f;
            }
            float max = -3.0e38f;
            float sum = 0f;
            for (int j = part; j < n; j += parts) { // neighbours read neighbouring keys
                int at = (head * n + j) * d;
                float s = 0f;
                for (int x = 0; x < d; x++) {
                    s += q.get(head * d + x) * k.get(at + x);
                }
                s = scale * s;
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
                partialO.set(work * d + x, sums[x] / sum);
            }
            partialL.set(work, max + TornadoMath.log(sum));
        }
    }

    /** The merge, an element of the output a work-item. */
    static void merge(FloatArray partialO, FloatArray partialL, FloatArray o, FloatArray l, int d, int parts) {
        for (@Parallel int element = 0; element < o.getSize(); element++) {
            int head = element / d;
            int x = element % d;
            float max = -3.0e38f;
            for (int part = 0; part < parts; part++) {
                max = TornadoMath.max(max, partialL.get(head * parts + part));
            }
            float sum = 0f;
            float output = 0f;
            for (int part = 0; part < parts; part++) {
                float weight = TornadoMath.exp(partialL.get(head * parts + part) - max);
                sum += weight;
                output += weight * partialO.get((head * parts + part) * d + x);
            }
            o.set(element, output / sum);
            if (x == 0) {
                l.set(head, max + TornadoMath.log(sum));
            }
        }
    }

    static double run(Lesson lesson, int parts) {
        int d = Lesson.HEAD_DIM;
        int work = lesson.heads() * parts;
        FloatArray partialO = new FloatArray(work * d);
        FloatArray partialL = new FloatArray(work);
        TaskGraph graph = lesson.graph(partialO, partialL)
                .task(
                        "partial",
                        Ladder9Decode::partial,
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        partialO,
                        partialL,
                        lesson.keys(),
                        d,
                        parts,
                        lesson.scale())
                .task("merge", Ladder9Decode::merge, partialO, partialL, lesson.o(), lesson.l(), d, parts);
        GridScheduler grids = new GridScheduler("lesson.partial", Lesson.grid(work, 64));
        grids.addWorkerGrid("lesson.merge", Lesson.grid(lesson.heads() * d, 64));
        double milliseconds = lesson.run("split over " + parts, graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
        return milliseconds;
    }

    static void main(String[] arguments) {
        Example.run(Ladder9Decode.class, "[HEADS [TOKENS]]", arguments, Ladder9Decode::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.ofOneQuery("Rung 9, decode: one query, the keys split over work-items", arguments);
        lesson.predict(lesson.flops(), 4.0 * lesson.heads() * 2 * lesson.keys() * Lesson.HEAD_DIM);
        double whole = run(lesson, 1);
        double split = run(lesson, Math.min(512, lesson.keys() / 2));
        System.out.printf("measured: splitting makes it %.1f times as fast%n", whole / split);
    }
}
