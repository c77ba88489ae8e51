//SOURCES jbang/Setup.java
import java.util.SplittableRandom;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Triangle attention around the starting node, the layer that protein folding is made of (AlphaFold 2, algorithm 13).
 * There is a vector for each pair of residues; each row of pairs attends to itself, and the third side of the triangle
 * is a bias: {@code softmax_k(q_ij · k_ik / √c + b_jk) v_ik}.
 *
 * <p>The rows are the batch, and the bias is one for all of them: {@code [1, heads, residues, residues]}. Its gradient
 * is the sum over the rows, in the same order in every run.
 */
public class TriangleAttention {

    private static final int RESIDUES = 24;
    private static final int CHANNELS = 16;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 8;

    static void main() {
        SplittableRandom random = new SplittableRandom(1);
        float[] pairs = numbers(random, RESIDUES * RESIDUES * CHANNELS, 1);
        double each = 1 / Math.sqrt(CHANNELS);

        // Linear layers of the pairs: queries, keys and values of each head, a bias of each head, and a gate.
        Tensor q = heads(project(pairs, numbers(random, CHANNELS * HEADS * HEAD_DIM, each), HEADS * HEAD_DIM));
        Tensor k = heads(project(pairs, numbers(random, CHANNELS * HEADS * HEAD_DIM, each), HEADS * HEAD_DIM));
        Tensor v = heads(project(pairs, numbers(random, CHANNELS * HEADS * HEAD_DIM, each), HEADS * HEAD_DIM));
        float[] biases = project(pairs, numbers(random, CHANNELS * HEADS, each), HEADS);
        Tensor bias = Tensor.allocate(DType.F32, 1, HEADS, RESIDUES, RESIDUES);
        for (int j = 0; j < RESIDUES; j++) {
            for (int third = 0; third < RESIDUES; third++) {
                for (int head = 0; head < HEADS; head++) {
                    bias.set(biases[(j * RESIDUES + third) * HEADS + head], 0, head, j, third);
                }
            }
        }
        float[] gates = project(pairs, numbers(random, CHANNELS * HEADS * HEAD_DIM, each), HEADS * HEAD_DIM);

        AttentionOptions options = AttentionOptions.defaults().withBias(bias);
        Tensor dOut = heads(numbers(random, RESIDUES * RESIDUES * HEADS * HEAD_DIM, 1));
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.create()) {
            AttentionResult result = attention.forward(q, k, v, options);
            Gradients gradients = attention.backward(result, dOut);
            System.out.printf(
                    "%d residues: q, k and v are %s, the bias is %s, its gradient %s, on %s%n",
                    RESIDUES, q, bias, gradients.dBias().orElseThrow(), attention.device());
            require(check.forward(result.output(), result.logSumExp()));
            require(check.gradients(gradients));
            System.out.printf("the layer's output for pair (0, 0), gated: %.4f%n", gated(result.output(), gates, 0, 0));
        }
    }

    private static void require(java.util.List<Comparison> comparisons) {
        for (Comparison comparison : comparisons) {
            System.out.println("  " + comparison);
            if (!comparison.passed()) {
                System.exit(1);
            }
        }
    }

    /** The first channel of head 0 for pair (i, j), through the gate. */
    private static double gated(Tensor output, float[] gates, int i, int j) {
        float gate = gates[(i * RESIDUES + j) * HEADS * HEAD_DIM];
        return output.get(i, 0, j, 0) / (1 + Math.exp(-gate));
    }

    private static float[] numbers(SplittableRandom random, int count, double scale) {
        float[] numbers = new float[count];
        for (int n = 0; n < count; n++) {
            numbers[n] = (float) random.nextGaussian(0, scale);
        }
        return numbers;
    }

    /** {@code [residues², channels] · [channels, width]}. */
    private static float[] project(float[] pairs, float[] weights, int width) {
        float[] projected = new float[RESIDUES * RESIDUES * width];
        for (int pair = 0; pair < RESIDUES * RESIDUES; pair++) {
            for (int c = 0; c < CHANNELS; c++) {
                for (int x = 0; x < width; x++) {
                    projected[pair * width + x] += pairs[pair * CHANNELS + c] * weights[c * width + x];
                }
            }
        }
        return projected;
    }

    /** {@code [row, column, heads · headDim]} as {@code [row, heads, column, headDim]}: the rows are the batch. */
    private static Tensor heads(float[] projected) {
        Tensor tensor = Tensor.allocate(DType.F32, RESIDUES, HEADS, RESIDUES, HEAD_DIM);
        for (int pair = 0; pair < RESIDUES * RESIDUES; pair++) {
            for (int x = 0; x < HEADS * HEAD_DIM; x++) {
                tensor.set(
                        projected[pair * HEADS * HEAD_DIM + x],
                        pair / RESIDUES,
                        x / HEAD_DIM,
                        pair % RESIDUES,
                        x % HEAD_DIM);
            }
        }
        return tensor;
    }
}
