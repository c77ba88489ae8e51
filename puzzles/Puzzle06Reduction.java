//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 6: out[g] is the sum of the 64 elements of group g. One work-item could add them all, in 64 steps; halves do
 * it in 6: in each step the lower half adds the upper one to itself.
 */
class Puzzle06Reduction {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        float[] partial = context.allocateFloatLocalArray(64);
        int id = context.localIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(128);
        FloatArray out = new FloatArray(2);
        return Puzzle.of(6, "reduction", arguments)
                .grid(128, 64)
                .expect(out, g -> {
                    float sum = 0f;
                    for (int i = 0; i < 64; i++) {
                        sum += in.get(64 * g + i);
                    }
                    return sum;
                })
                .atMost("elements read", 128)
                .atMost("elements written", 2)
                .atMost("barriers", 2 * 7)
                .hints(
                        "for (int half = 32; half > 0; half /= 2) { if (id < half) … }",
                        "the barrier is behind the if, not in it: all must reach it",
                        "one barrier after the load and one after each of 6 steps")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle06Reduction::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
