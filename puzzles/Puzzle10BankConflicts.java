//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 10: the same, and now without bank conflicts. Local memory has 32 banks of 4 bytes; element i is in bank i %
 * 32. A warp that reads a row takes one word of each bank. One that reads a column of a tile 32 wide takes 32 words of
 * one bank, one after the other. What if the tile were wider than it has to be?
 */
class Puzzle10BankConflicts {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(1056);
        int x = context.localIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(1024);
        FloatArray out = new FloatArray(1024);
        return Puzzle.of(10, "bank conflicts", arguments)
                .grid(32, 8, 32, 8)
                .expect(out, i -> in.get(i % 32 * 32 + i / 32))
                .atMost("elements read", 1024)
                .atMost("sectors", 2 * 32 * 5)
                .atMost("bank conflicts", 0)
                .hints("1056 is 32 × 33", "rows of 33 elements: 33 * y + x")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle10BankConflicts::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
