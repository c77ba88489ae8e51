//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 7: running sums within each group of 32: out[i] is the sum of in from the group's first element to in[i]. In
 * five steps: in the first everybody adds its left neighbour, then who is two places to the left, then four, eight,
 * sixteen.
 */
class Puzzle07Scan {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        float[] sums = context.allocateFloatLocalArray(32);
        int id = context.localIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(64);
        FloatArray out = new FloatArray(64);
        return Puzzle.of(7, "scan", arguments)
                .grid(64, 32)
                .expect(out, i -> {
                    float sum = 0f;
                    for (int j = i / 32 * 32; j <= i; j++) {
                        sum += in.get(j);
                    }
                    return sum;
                })
                .atMost("elements read", 64)
                .atMost("barriers", 2 * 11)
                .hints(
                        "in a step everybody reads first, then there is a barrier, then everybody writes, then there is another one",
                        "float left = id >= step ? sums[id - step] : 0f;")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle07Scan::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
