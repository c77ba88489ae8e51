//SOURCES ../examples/jbang/Setup.java
import org.tornadoattention.bench.Puzzle;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * Puzzle 16: tensor cores. A is 16 × 16 and B 16 × 8, of halves, row after row; their product is 16 × 8 floats. A warp
 * of 32 makes it in one instruction. The tiles are loaded for you, two halves in each int.
 *
 * <p><code>context.mmaLoadA(aTile, 16)</code> and <code>mmaLoadB(bTile, 16)</code> give each lane its part of the
 * operands, which is a <code>HalfFloat[]</code>; <code>mmaFragment(0f)</code> is a sum to begin with; <code>mma(a, b,
 * sum, MMAShape.M16N8K16)</code> multiplies and adds; <code>mmaStore(sum, out, 0, 0, 8)</code> writes it, 8 floats to
 * a row. All lanes of the warp must come there together.
 */
class Puzzle16TensorCores {

    static void solve(KernelContext context, HalfFloatArray a, HalfFloatArray b, FloatArray out) {
        int[] aTile = context.allocateIntLocalArray(128);
        int[] bTile = context.allocateIntLocalArray(64);
        int lane = context.localIdx;
        for (int i = lane; i < 128; i += 32) {
            aTile[i] = (a.get(2 * i).getHalfFloatValue() & 0xFFFF)
                    | (a.get(2 * i + 1).getHalfFloatValue() << 16);
        }
        for (int i = lane; i < 64; i += 32) {
            bTile[i] = (b.get(2 * i).getHalfFloatValue() & 0xFFFF)
                    | (b.get(2 * i + 1).getHalfFloatValue() << 16);
        }
        // Your code here.
    }

    static int grade(String... arguments) {
        HalfFloatArray a = new HalfFloatArray(256);
        HalfFloatArray b = new HalfFloatArray(128);
        FloatArray numbers = Puzzle.numbers(256);
        for (int i = 0; i < 256; i++) {
            a.set(i, new HalfFloat(numbers.get(i)));
            b.set(i / 2, new HalfFloat(numbers.get(255 - i)));
        }
        FloatArray out = new FloatArray(128);
        return Puzzle.of(16, "tensor cores", arguments)
                .grid(32, 32)
                .expect(out, i -> {
                    float sum = 0f;
                    for (int k = 0; k < 16; k++) {
                        sum += a.get(i / 8 * 16 + k).getFloat32()
                                * b.get(k * 8 + i % 8).getFloat32();
                    }
                    return sum;
                })
                .atMost("elements read", 384)
                .atMost("tensor-core products", 1)
                .hints(
                        "the tiles are written by all lanes and read by all: a barrier first",
                        "HalfFloat[] fragmentA = context.mmaLoadA(aTile, 16);",
                        "float[] sum = context.mma(fragmentA, fragmentB, context.mmaFragment(0f), MMAShape.M16N8K16);")
                .grade(graph -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, a, b)
                        .task("solve", Puzzle16TensorCores::solve, new KernelContext(), a, b, out)
                        .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
    }

    static void main(String[] arguments) {
        System.exit(grade(arguments));
    }
}
