//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Puzzle 8: the product of two matrices of 16 × 16, row after row. (b has room for two; the second is not used.) Each
 * work-item makes one element; a group makes 8 × 8 of them. If each read its row and column from device memory that
 * would be 8,192 reads. Load tiles of 8 × 8 of both into local memory, and it is 1,024.
 */
class Puzzle08TiledProduct {

    static void solve(KernelContext context, FloatArray a, FloatArray b, FloatArray out) {
        float[] aTile = context.allocateFloatLocalArray(64);
        float[] bTile = context.allocateFloatLocalArray(64);
        int x = context.localIdx;
        int y = context.localIdy;
        int column = context.globalIdx;
        int row = context.globalIdy;
        // Your code here.
    }

    static int grade(String... arguments) {
        FloatArray a = Puzzle.numbers(256);
        FloatArray b = Puzzle.numbers(512);
        FloatArray out = new FloatArray(256);
        return Puzzle.of(8, "tiled product", arguments)
                .grid(16, 16, 8, 8)
                .expect(out, i -> {
                    float sum = 0f;
                    for (int k = 0; k < 16; k++) {
                        sum += a.get(i / 16 * 16 + k) * b.get(k * 16 + i % 16);
                    }
                    return sum;
                })
                .atMost("elements read", 1024)
                .atMost("elements written", 256)
                .hints(
                        "for (int k0 = 0; k0 < 16; k0 += 8): two tiles along the row of a and the column of b",
                        "aTile[8 * y + x] = a.get(16 * row + k0 + x); and of b the row k0 + y",
                        "two barriers a turn, as in puzzle 5")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, a, b)
                        .task("solve", Puzzle08TiledProduct::solve, new KernelContext(), a, b, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
