//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 1: one work-item for each element. Write in[i] + 10 to out[i].
 *
 * <p>A kernel is what one work-item does; 64 run, in two groups of 32. <code>context.globalIdx</code> says which of
 * them you are. Arrays of the device are read with <code>in.get(i)</code> and written with <code>out.set(i,
 * value)</code>.
 */
class Puzzle01Map {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(64);
        FloatArray out = new FloatArray(64);
        return Puzzle.of(1, "map", arguments)
                .grid(64, 32)
                .expect(out, i -> in.get(i) + 10f)
                .atMost("elements read", 64)
                .atMost("elements written", 64)
                .hints("int i = context.globalIdx;", "out.set(i, in.get(i) + 10f);")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle01Map::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
