//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 13: attention of one head: 32 queries, keys and values of 4 numbers each. The score of query i and key j is
 * q<sub>i</sub> · k<sub>j</sub> / √4, and row i of the result is the mean of the values, weighted by the softmax of
 * its scores. Causal: query i sees the keys 0 to i only. One row a work-item, with the online softmax of puzzle 12,
 * and no key is read that is not seen.
 */
class Puzzle13Causal {

    static void solve(KernelContext context, FloatArray q, FloatArray k, FloatArray v, FloatArray out) {
        int row = context.globalIdx;
        float[] sums = new float[4];
        // Your code here.
    }

    /** Attention in double precision. */
    private static float oracle(FloatArray q, FloatArray k, FloatArray v, int row, int x) {
        double max = Double.NEGATIVE_INFINITY;
        double[] scores = new double[32];
        for (int j = 0; j <= row; j++) {
            for (int c = 0; c < 4; c++) {
                scores[j] += q.get(4 * row + c) * k.get(4 * j + c) / Math.sqrt(4);
            }
            max = Math.max(max, scores[j]);
        }
        double sum = 0;
        double weighted = 0;
        for (int j = 0; j <= row; j++) {
            sum += Math.exp(scores[j] - max);
            weighted += Math.exp(scores[j] - max) * v.get(4 * j + x);
        }
        return (float) (weighted / sum);
    }

    static int grade(String... arguments) {
        FloatArray q = Puzzle.numbers(128);
        FloatArray k = Puzzle.numbers(128);
        FloatArray v = Puzzle.numbers(128);
        FloatArray out = new FloatArray(128);
        return Puzzle.of(13, "causal attention", arguments)
                .grid(32, 32)
                .expect(out, i -> oracle(q, k, v, i / 4, i % 4))
                .atMost("elements read", 32 * 4 + 2 * 4 * 32 * 33 / 2)
                .atMost("elements written", 128)
                .hints(
                        "read the query once, into an array of your own: float[] query = new float[4];",
                        "set sums to 0 yourself: TornadoVM does not",
                        "the loop over keys ends at j <= row")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q, k, v)
                        .task("solve", Puzzle13Causal::solve, new KernelContext(), q, k, v, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
