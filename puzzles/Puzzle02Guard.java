//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 2: the same with 50 elements, and still 64 work-items: grids come in whole groups. Who has no element does
 * nothing.
 */
class Puzzle02Guard {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(50);
        FloatArray out = new FloatArray(50);
        return Puzzle.of(2, "guard", arguments)
                .grid(64, 32)
                .expect(out, i -> in.get(i) + 10f)
                .atMost("elements read", 50)
                .hints("an array knows its size: in.getSize()", "if (i < in.getSize()) …")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle02Guard::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
