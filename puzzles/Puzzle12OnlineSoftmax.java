//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 12: the mean of 16 values, weighted by the softmax of 16 scores, for each of 32 rows; and each score and each
 * value is read once. So there is no loop for the maximum first.
 *
 * <p>Keep the largest score so far, m, the sum l of e<sup>s − m</sup> so far, and the weighted sum o. When a larger
 * score comes, all that was summed with the old m is too large by e<sup>new m − old m</sup>: multiply l and o by
 * e<sup>old m − new m</sup>, and go on. That is the step that makes FlashAttention possible.
 */
class Puzzle12OnlineSoftmax {

    static void solve(KernelContext context, FloatArray scores, FloatArray values, FloatArray out) {
        int row = context.globalIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray scores = Puzzle.numbers(512);
        FloatArray values = Puzzle.numbers(513);
        FloatArray out = new FloatArray(32);
        for (int i = 0; i < 512; i++) {
            scores.set(i, 50f * scores.get(i));
        }
        return Puzzle.of(12, "online softmax", arguments)
                .grid(32, 32)
                .expect(out, row -> {
                    double max = Double.NEGATIVE_INFINITY;
                    double sum = 0;
                    double weighted = 0;
                    for (int j = 16 * row; j < 16 * row + 16; j++) {
                        max = Math.max(max, scores.get(j));
                    }
                    for (int j = 16 * row; j < 16 * row + 16; j++) {
                        sum += Math.exp(scores.get(j) - max);
                        weighted += Math.exp(scores.get(j) - max) * values.get(j);
                    }
                    return (float) (weighted / sum);
                })
                .atMost("elements read", 1024)
                .atMost("elements written", 32)
                .hints(
                        "begin with m = -3.0e38f, l = 0f, o = 0f",
                        "for each score: newM = max(m, s); alpha = exp(m - newM); p = exp(s - newM);",
                        "l = alpha * l + p; o = alpha * o + p * value; m = newM;")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, scores, values)
                        .task("solve", Puzzle12OnlineSoftmax::solve, new KernelContext(), scores, values, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
