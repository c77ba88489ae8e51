//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 5: each group of 32 goes over the four groups' parts of in, and adds the element opposite its own of each
 * part. The loop is right but for two barriers: one line of it is yours, the other one is there. Say why there have to
 * be two.
 */
class Puzzle05Barrier {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32);
        int id = context.localIdx;
        float sum = 0f;
        for (int part = 0; part < 4; part++) {
            tile[id] = in.get(part * 32 + id);
            context.localBarrier();
            sum += tile[31 - id];
            // Your code here.
        }
        out.set(context.globalIdx, sum);
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(128);
        FloatArray out = new FloatArray(128);
        return Puzzle.of(5, "barrier", arguments)
                .grid(128, 32)
                .expect(
                        out,
                        i -> in.get(31 - i % 32) + in.get(63 - i % 32) + in.get(95 - i % 32) + in.get(127 - i % 32))
                .atMost("barriers", 4 * 8)
                .hints(
                        "who is fast loads the next part while others still read this one",
                        "a barrier at the end of each turn")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle05Barrier::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
