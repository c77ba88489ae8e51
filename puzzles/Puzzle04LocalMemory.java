//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 4: out[i] is the sum of in[i] and its two neighbours in the group of 32, which are in[i - 1] and in[i + 1];
 * where the group ends there is no neighbour. Each element may be read from device memory once.
 *
 * <p><code>context.allocateFloatLocalArray(32)</code> is an array that a group shares; <code>context.localIdx</code>
 * is your place in the group.
 */
class Puzzle04LocalMemory {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32);
        int id = context.localIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(64);
        FloatArray out = new FloatArray(64);
        return Puzzle.of(4, "local memory", arguments)
                .grid(64, 32)
                .expect(out, i -> (i % 32 > 0 ? in.get(i - 1) : 0f) + in.get(i) + (i % 32 < 31 ? in.get(i + 1) : 0f))
                .atMost("elements read", 64)
                .hints(
                        "first everybody puts its element into the tile: tile[id] = in.get(context.globalIdx);",
                        "then context.localBarrier(); so that all is there before any is read",
                        "then sum tile[id - 1], tile[id] and tile[id + 1], with guards at both ends")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle04LocalMemory::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
