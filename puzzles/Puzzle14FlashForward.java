//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 14: FlashAttention. The same without a mask, for 64 queries and keys of 8 numbers, in groups of 32 rows. A
 * group loads 16 keys and values at a time into local memory, and all its rows use them: K and V are read once for
 * each group, and not once for each row.
 */
class Puzzle14FlashForward {

    static void solve(KernelContext context, FloatArray q, FloatArray k, FloatArray v, FloatArray out) {
        float[] keyTile = context.allocateFloatLocalArray(128);
        float[] valueTile = context.allocateFloatLocalArray(128);
        int row = context.globalIdx;
        float[] query = new float[8];
        float[] sums = new float[8];
        // Your code here.
    }

    /** Attention in double precision. */
    private static float oracle(FloatArray q, FloatArray k, FloatArray v, int row, int x) {
        double max = Double.NEGATIVE_INFINITY;
        double[] scores = new double[64];
        for (int j = 0; j < 64; j++) {
            for (int c = 0; c < 8; c++) {
                scores[j] += q.get(8 * row + c) * k.get(8 * j + c) / Math.sqrt(8);
            }
            max = Math.max(max, scores[j]);
        }
        double sum = 0;
        double weighted = 0;
        for (int j = 0; j < 64; j++) {
            sum += Math.exp(scores[j] - max);
            weighted += Math.exp(scores[j] - max) * v.get(8 * j + x);
        }
        return (float) (weighted / sum);
    }

    static int grade(String... arguments) {
        FloatArray q = Puzzle.numbers(512);
        FloatArray k = Puzzle.numbers(512);
        FloatArray v = Puzzle.numbers(512);
        FloatArray out = new FloatArray(512);
        return Puzzle.of(14, "flash forward", arguments)
                .grid(64, 32)
                .expect(out, i -> oracle(q, k, v, i / 8, i % 8))
                .atMost("elements read", 512 + 2 * 2 * 512)
                .atMost("elements written", 512)
                .hints(
                        "for (int j0 = 0; j0 < 64; j0 += 16): load, barrier, 16 steps of the online softmax, barrier",
                        "for (int at = context.localIdx; at < 128; at += 32) keyTile[at] = k.get(8 * j0 + at);")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q, k, v)
                        .task("solve", Puzzle14FlashForward::solve, new KernelContext(), q, k, v, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
