//SOURCES jbang/Setup.java
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Block-sparse attention, the last system of the FlashAttention paper: the score matrix is divided into tiles, and
 * those that the mask hides whole are never loaded. Documents in one sequence, drawn, computed with and without the
 * tiles, and checked.
 */
public class BlockSparse {

    private static final int HEADS = 2;
    private static final int LENGTH = 384;
    private static final int HEAD_DIM = 32;
    private static final int BLOCK = 32;

    static void main() {
        IntArray documents = new IntArray(LENGTH);
        int[] begins = {0, 60, 150, 160, 300};
        for (int token = 0; token < LENGTH; token++) {
            int document = 0;
            while (document + 1 < begins.length && begins[document + 1] <= token) {
                document++;
            }
            documents.set(token, document);
        }

        // The same function twice: once asked for every pair, once for the pairs of tiles that are partly seen.
        Mask everywhere = Mask.of((b, h, i, j) -> documents.get(i) == documents.get(j) && j <= i);
        BlockMask tiles = BlockMask.of(
                (b, h, i, j) -> documents.get(i) == documents.get(j) && j <= i, 1, 1, LENGTH, LENGTH, BLOCK, BLOCK);

        Tensor q = Tensor.random(DType.F32, 1, 1, HEADS, LENGTH, HEAD_DIM);
        Tensor k = Tensor.random(DType.F32, 2, 1, HEADS, LENGTH, HEAD_DIM);
        Tensor v = Tensor.random(DType.F32, 3, 1, HEADS, LENGTH, HEAD_DIM);
        try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs(), AttentionKernel.TILED)) {
            AttentionOptions sparse = AttentionOptions.defaults().withMask(Mask.blocks(tiles));
            AttentionResult result = attention.forward(q, k, v, sparse); // finds the tiles, on the device
            System.out.print(tiles.picture());
            System.out.printf(
                    "%d documents of %d tokens in tiles of %d x %d: density %.3f%n",
                    begins.length, LENGTH, BLOCK, BLOCK, tiles.density());
            double withTiles = milliseconds(attention, q, k, v, sparse);
            double asked =
                    milliseconds(attention, q, k, v, AttentionOptions.defaults().withMask(everywhere));
            System.out.printf(
                    "on %s: %.2f ms with the tiles, %.2f ms where the function is asked for every pair%n",
                    attention.device(), withTiles, asked);
            for (Comparison comparison :
                    AccuracyCheck.of(q, k, v, sparse).forward(result.output(), result.logSumExp())) {
                System.out.println("  " + comparison);
                if (!comparison.passed()) {
                    System.exit(1);
                }
            }
        }
    }

    private static double milliseconds(
            FlashAttention attention, Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        attention.forward(q, k, v, options);
        AttentionResult result = attention.forward(q, k, v, options);
        return result.execution().orElseThrow().kernelTime().toNanos() / 1e6;
    }
}
