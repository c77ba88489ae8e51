//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 11: the softmax of each row of 16 numbers, one row a work-item, 32 rows: e<sup>x</sup> divided by the sum of
 * e<sup>x</sup> over the row. Some numbers are large: e<sup>300</sup> is no float. The quotient is the same if the
 * row's maximum is taken from each x before.
 */
class Puzzle11Softmax {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        int row = context.globalIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(512);
        FloatArray out = new FloatArray(512);
        for (int i = 0; i < 512; i++) {
            in.set(i, 100f * in.get(i));
        }
        return Puzzle.of(11, "softmax", arguments)
                .grid(32, 32)
                .expect(out, i -> {
                    double max = Double.NEGATIVE_INFINITY;
                    double sum = 0;
                    for (int j = i / 16 * 16; j < i / 16 * 16 + 16; j++) {
                        max = Math.max(max, in.get(j));
                    }
                    for (int j = i / 16 * 16; j < i / 16 * 16 + 16; j++) {
                        sum += Math.exp(in.get(j) - max);
                    }
                    return (float) (Math.exp(in.get(i) - max) / sum);
                })
                .atMost("elements read", 3 * 512)
                .atMost("elements written", 512)
                .hints(
                        "three loops over the row: the maximum, the sum, the quotients",
                        "TornadoMath.max and TornadoMath.exp are for floats")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle11Softmax::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
