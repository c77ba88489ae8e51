//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 9: transpose a matrix of 32 × 32: out[x][y] = in[y][x]. The group is 32 × 8; each work-item moves four
 * elements.
 *
 * <p>Device memory moves in sectors of 32 bytes. A warp, which is 32 work-items with neighbouring x, reads a row of
 * 128 bytes in 5 sectors (rows begin 16 bytes into a sector). Who writes a column touches 32 sectors for the same 128
 * bytes. Go through local memory: read rows, write rows.
 */
class Puzzle09Coalescing {

    static void solve(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(1024);
        int x = context.localIdx;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray in = Puzzle.numbers(1024);
        FloatArray out = new FloatArray(1024);
        return Puzzle.of(9, "coalescing", arguments)
                .grid(32, 8, 32, 8)
                .expect(out, i -> in.get(i % 32 * 32 + i / 32))
                .atMost("elements read", 1024)
                .atMost("sectors", 2 * 32 * 5)
                .hints(
                        "for (int y = context.localIdy; y < 32; y += 8), twice, with a barrier between",
                        "read in row by row into the tile; write out row by row, from the columns of the tile")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                        .task("solve", Puzzle09Coalescing::solve, new KernelContext(), in, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
