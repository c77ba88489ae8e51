//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 15: a gradient of attention, without the matrix of probabilities. For 32 queries and keys of 4 numbers, out
 * is dQ: row i is the sum over keys j of p<sub>ij</sub> (dO<sub>i</sub> · v<sub>j</sub> − D<sub>i</sub>) k<sub>j</sub>
 * / √4. The forward pass has left L<sub>i</sub>, the logarithm of the sum of e<sup>s</sup> over the row, so that
 * p<sub>ij</sub> = e<sup>s<sub>ij</sub> − L<sub>i</sub></sup> is made again and not stored; and D<sub>i</sub> =
 * dO<sub>i</sub> · O<sub>i</sub>. One row a work-item; terms holds L<sub>i</sub> at 2 i and D<sub>i</sub> at 2 i + 1.
 */
class Puzzle15FlashBackward {

    static void solve(
            KernelContext context,
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray dO,
            FloatArray terms,
            FloatArray out) {
        int row = context.globalIdx;
        float[] query = new float[4];
        float[] gradient = new float[4];
        float[] sums = new float[4];
        // Your code here.
    }

    private static double dot(FloatArray a, int i, FloatArray b, int j) {
        double sum = 0;
        for (int c = 0; c < 4; c++) {
            sum += (double) a.get(4 * i + c) * b.get(4 * j + c);
        }
        return sum;
    }

    /** The probabilities of a row, and behind them the logarithm of the sum. */
    private static double[] probabilities(FloatArray q, FloatArray k, int row) {
        double[] p = new double[33];
        double max = Double.NEGATIVE_INFINITY;
        double sum = 0;
        for (int j = 0; j < 32; j++) {
            p[j] = dot(q, row, k, j) / 2;
            max = Math.max(max, p[j]);
        }
        for (int j = 0; j < 32; j++) {
            sum += Math.exp(p[j] - max);
        }
        p[32] = max + Math.log(sum);
        for (int j = 0; j < 32; j++) {
            p[j] = Math.exp(p[j] - p[32]);
        }
        return p;
    }

    static int grade(String... arguments) {
        FloatArray q = Puzzle.numbers(128);
        FloatArray k = Puzzle.numbers(130);
        FloatArray v = Puzzle.numbers(132);
        FloatArray dO = Puzzle.numbers(134);
        FloatArray terms = new FloatArray(64);
        FloatArray out = new FloatArray(128);
        for (int i = 0; i < 32; i++) {
            double[] p = probabilities(q, k, i);
            double d = 0;
            for (int j = 0; j < 32; j++) {
                d += p[j] * dot(dO, i, v, j);
            }
            terms.set(2 * i, (float) p[32]);
            terms.set(2 * i + 1, (float) d);
        }
        return Puzzle.of(15, "flash backward", arguments)
                .grid(32, 32)
                .expect(out, i -> {
                    double[] p = probabilities(q, k, i / 4);
                    double sum = 0;
                    for (int j = 0; j < 32; j++) {
                        sum += p[j] * (dot(dO, i / 4, v, j) - terms.get(2 * (i / 4) + 1)) * k.get(4 * j + i % 4) / 2;
                    }
                    return (float) sum;
                })
                .atMost("elements read", 32 * (4 + 4 + 2 + 32 * 8))
                .atMost("elements written", 128)
                .hints(
                        "read the row of q and of dO once each; each k and v of a key once each, into private arrays if need be",
                        "s = q · k / 2; p = exp(s - L); dS = p * (dO · v - D); sums += dS * k / 2")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q, k, v, dO, terms)
                        .task("solve", Puzzle15FlashBackward::solve, new KernelContext(), q, k, v, dO, terms, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
