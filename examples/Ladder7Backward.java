//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 7: backward. P was never stored, and is not needed: with L of each row, P = e^(S − L) comes back from q and k
 * when it is wanted. One kernel goes over the queries for dQ, one over the keys for dK and dV, so that each element is
 * written by one work-item: no atomics, the same bits each time.
 */
class Ladder7Backward {

    /** O, L: rung 2 in short. D = rowsum(dO ∘ O) comes with it. */
    static void forward(
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray dO,
            FloatArray o,
            FloatArray l,
            FloatArray rowTerms,
            int n,
            int d,
            float scale) {
        for (@Parallel int row = 0; row < l.getSize(); row++) {
            int firstKey = row / n * n;
            float[] sums = new float[64];
            for (int x = 0; x < d; x++) {
                sums[x] = 0f;
            }
            float max = -3.0e38f;
            float sum = 0f;
            for (int j = 0; j < n; j++) {
                float s = 0f;
                for (int x = 0; x < d; x++) {
                    s += q.get(row * d + x) * k.get((firstKey + j) * d + x);
                }
                s = scale * s;
                float newMax = TornadoMath.max(max, s);
                float alpha = TornadoMath.exp(max - newMax);
                float p = TornadoMath.exp(s - newMax);
                sum = alpha * sum + p;
                for (int x = 0; x < d; x++) {
                    sums[x] = alpha * sums[x] + p * v.get((firstKey + j) * d + x);
                }
                max = newMax;
            }
            float term = 0f;
            for (int x = 0; x < d; x++) {
                float output = sums[x] / sum;
                o.set(row * d + x, output);
                term += output * dO.get(row * d + x);
            }
            l.set(row, max + TornadoMath.log(sum));
            rowTerms.set(row, term);
        }
    }

    /** dQ = scale · dS K with dS = P ∘ (dO Vᵀ − D), a query a work-item. */
    static void queryGradient(
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray dO,
            FloatArray l,
            FloatArray rowTerms,
            FloatArray dQ,
            int n,
            int d,
            float scale) {
        for (@Parallel int row = 0; row < l.getSize(); row++) {
            int firstKey = row / n * n;
            float[] sums = new float[64];
            for (int x = 0; x < d; x++) {
                sums[x] = 0f;
            }
            for (int j = 0; j < n; j++) {
                int at = (firstKey + j) * d;
                float s = 0f;
                float dP = 0f;
                for (int x = 0; x < d; x++) {
                    s += q.get(row * d + x) * k.get(at + x);
                    dP += dO.get(row * d + x) * v.get(at + x);
                }
                float p = TornadoMath.exp(scale * s - l.get(row));
                float dS = p * (dP - rowTerms.get(row));
                for (int x = 0; x < d; x++) {
                    sums[x] += dS * k.get(at + x);
                }
            }
            for (int x = 0; x < d; x++) {
                dQ.set(row * d + x, scale * sums[x]);
            }
        }
    }

    /** dK = scale · dSᵀ Q and dV = Pᵀ dO, a key a work-item. */
    static void keyValueGradients(
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray dO,
            FloatArray l,
            FloatArray rowTerms,
            FloatArray dK,
            FloatArray dV,
            int n,
            int d,
            float scale) {
        for (@Parallel int key = 0; key < l.getSize(); key++) {
            int firstRow = key / n * n;
            float[] keySums = new float[64];
            float[] valueSums = new float[64];
            for (int x = 0; x < d; x++) {
                keySums[x] = 0f;
                valueSums[x] = 0f;
            }
            for (int i = 0; i < n; i++) {
                int at = (firstRow + i) * d;
                float s = 0f;
                float dP = 0f;
                for (int x = 0; x < d; x++) {
                    s += q.get(at + x) * k.get(key * d + x);
                    dP += dO.get(at + x) * v.get(key * d + x);
                }
                float p = TornadoMath.exp(scale * s - l.get(firstRow + i));
                float dS = p * (dP - rowTerms.get(firstRow + i));
                for (int x = 0; x < d; x++) {
                    keySums[x] += dS * q.get(at + x);
                    valueSums[x] += p * dO.get(at + x);
                }
            }
            for (int x = 0; x < d; x++) {
                dK.set(key * d + x, scale * keySums[x]);
                dV.set(key * d + x, valueSums[x]);
            }
        }
    }

    static void main(String[] arguments) {
        Example.run(Ladder7Backward.class, "[HEADS [TOKENS]]", arguments, Ladder7Backward::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.of("Rung 7, backward: P comes back from L", arguments);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        // The field counts 2.5 times the forward's operations; these kernels compute S and dP twice: 3.5 times.
        lesson.predict(2.5 * lesson.flops(), 4.0 * rows * (8.0 * d + 2));

        Tensor dOutput = Tensor.random(DType.F32, 4, 1, lesson.heads(), n, d);
        Tensor dQ = Tensor.allocate(DType.F32, 1, lesson.heads(), n, d);
        Tensor dK = Tensor.allocate(DType.F32, 1, lesson.heads(), n, d);
        Tensor dV = Tensor.allocate(DType.F32, 1, lesson.heads(), n, d);
        FloatArray dO = dOutput.floatArray();
        FloatArray rowTerms = new FloatArray(rows);
        float scale = lesson.scale();
        GridScheduler grids = new GridScheduler();
        for (String task : new String[] {"forward", "dq", "dkdv"}) {
            grids.addWorkerGrid("lesson." + task, Lesson.grid(rows, 64));
        }

        TaskGraph forward = lesson.graph(dO, rowTerms);
        forward(forward, lesson, dO, rowTerms, n, d, scale);
        double before = lesson.run("forward", forward, grids, lesson.flops(), lesson.o(), lesson.l(), rowTerms);
        lesson.check();

        TaskGraph both = lesson.graph(dO, rowTerms, dQ.floatArray(), dK.floatArray(), dV.floatArray());
        forward(both, lesson, dO, rowTerms, n, d, scale);
        both.task(
                        "dq",
                        Ladder7Backward::queryGradient,
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        dO,
                        lesson.l(),
                        rowTerms,
                        dQ.floatArray(),
                        n,
                        d,
                        scale)
                .task(
                        "dkdv",
                        Ladder7Backward::keyValueGradients,
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        dO,
                        lesson.l(),
                        rowTerms,
                        dK.floatArray(),
                        dV.floatArray(),
                        n,
                        d,
                        scale);
        double all = lesson.run(
                "forward and backward",
                both,
                grids,
                3.5 * lesson.flops(),
                dQ.floatArray(),
                dK.floatArray(),
                dV.floatArray());
        lesson.check(dOutput, dQ, dK, dV);
        System.out.printf("measured: the backward pass takes %.1f times as long as the forward%n", all / before - 1);
    }

    static void forward(TaskGraph graph, Lesson lesson, FloatArray dO, FloatArray rowTerms, int n, int d, float scale) {
        graph.task(
                "forward",
                Ladder7Backward::forward,
                lesson.q(),
                lesson.k(),
                lesson.v(),
                dO,
                lesson.o(),
                lesson.l(),
                rowTerms,
                n,
                d,
                scale);
    }
}
