//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 3: a matrix of 12 rows and 20 columns, row after row in one array, and a grid of 32 × 16 in groups of 8 × 8.
 * Double each element.
 *
 * <p><code>context.globalIdx</code> is the column and <code>context.globalIdy</code> the row: neighbours in x are
 * neighbours in memory, which is what a GPU wants.
 */
class Puzzle03TwoDimensions {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        int columns = 20;
        int rows = 12;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(240);
        FloatArray out = new FloatArray(240);
        return Puzzle.of(3, "two dimensions", arguments)
                .grid(32, 16, 8, 8)
                .expect(out, i -> 2f * in.get(i))
                .atMost("elements read", 240)
                .hints("the element of row y and column x is y * columns + x", "both x and y need a guard")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle03TwoDimensions::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
