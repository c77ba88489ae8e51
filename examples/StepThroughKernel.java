//SOURCES jbang/Setup.java
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.Tensor;

/**
 * A problem that is small enough to be watched: 3 queries, 40 keys, head dimension 2.
 *
 * <p>Without TornadoVM, set a breakpoint in {@code TiledFlashAttention.attention}, for instance where the online
 * softmax computes {@code alpha}, and debug this program. It stops in each work-item of the group. The thread is called
 * after its work-item; {@code context} shows its ids; {@code queryTile}, {@code keyValueTile} and {@code scores} are
 * the group's local memory; {@code o00} to {@code o77} are the work-item's own part of the output. The 40 keys are two
 * tiles, so the second time round {@code rowMax} and {@code rowSum} hold what the first tile left.
 *
 * <p>With {@code -Dtornadoattention.simulator.threads=1} one group runs at a time. A condition such as
 * {@code context.localIdx == 1} stops in one work-item only.
 */
class StepThroughKernel {

    static final int QUERIES = 3;
    static final int KEYS = 40;
    static final int HEAD_DIM = 2;

    static void main() {
        Tensor q = Tensor.of(pattern(QUERIES), 1, 1, QUERIES, HEAD_DIM);
        Tensor k = Tensor.of(pattern(KEYS), 1, 1, KEYS, HEAD_DIM);
        Tensor v = Tensor.of(pattern(KEYS), 1, 1, KEYS, HEAD_DIM);
        AttentionOptions options = AttentionOptions.causal();

        try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs(), AttentionKernel.TILED)) {
            AttentionResult result = attention.forward(q, k, v, options);
            Tile tile = attention
                    .choose(AttentionShape.of(q, k, v, options), q.dtype(), options)
                    .tile()
                    .orElseThrow();
            System.out.printf("tile %s: 1 group of %d work-items%n", tile, tile.groupSize(HEAD_DIM));

            double[] expected = ReferenceAttention.forward(q, k, v, options).output();
            for (int i = 0; i < QUERIES; i++) {
                System.out.printf("query %d:", i);
                for (int x = 0; x < HEAD_DIM; x++) {
                    System.out.printf(
                            "  %8.5f (oracle %8.5f)", result.output().get(0, 0, i, x), expected[i * HEAD_DIM + x]);
                }
                System.out.println();
            }
        }
    }

    /** Numbers that are easy to recognise: 0.0, 0.1, 0.2, … 0.9, 0.0, … */
    static float[] pattern(int rows) {
        float[] values = new float[rows * HEAD_DIM];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 10 / 10f;
        }
        return values;
    }
}
