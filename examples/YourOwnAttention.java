//SOURCES jbang/Setup.java
import java.util.LinkedHashMap;
import java.util.Map;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Your own attention: score and mask functions as plain lambdas, which become part of the kernel, forward and backward.
 *
 * <p>Each is run on the best device that there is and compared with the oracle, which calls the same function on the
 * JVM.
 */
public class YourOwnAttention {

    private static final int BATCH = 2;
    private static final int HEADS = 4;
    private static final int LENGTH = 200;
    private static final int HEAD_DIM = 32;

    /** A helper that a lambda calls: static, of the same class. */
    private static float slope(int head) {
        return TornadoMath.pow(2f, -2f * (head + 1));
    }

    static void main() {
        // What a lambda captures: arrays of TornadoVM's become arrays of the kernel, numbers become constants of it.
        FloatArray table = new FloatArray(2 * LENGTH - 1);
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, (float) Math.sin(i * 0.1));
        }
        IntArray documents = new IntArray(LENGTH);
        for (int i = 0; i < LENGTH; i++) {
            documents.set(i, i / 70);
        }
        int last = LENGTH - 1;
        int prefix = 20;

        AttentionOptions plain = AttentionOptions.defaults();
        Map<String, AttentionOptions> attentions = new LinkedHashMap<>();
        attentions.put("a relative bias from a table", plain.withScore((s, b, h, i, j) -> s + table.get(j - i + last)));
        attentions.put("ALiBi, with a helper", plain.withScore((s, b, h, i, j) -> s - slope(h) * Math.abs(i - j)));
        attentions.put(
                "a bounded score", AttentionOptions.causal().withScore((s, b, h, i, j) -> 5 * TornadoMath.tanh(s / 5)));
        attentions.put(
                "documents, causal",
                plain.withMask(Mask.causal().and(Mask.of((b, h, i, j) -> documents.get(i) == documents.get(j)))));
        attentions.put("a prefix that all see", plain.withMask(Mask.causal().or(Mask.of((b, h, i, j) -> j < prefix))));
        attentions.put(
                "documents as a block mask",
                plain.withMask(Mask.blocks(BlockMask.of(
                        (b, h, i, j) -> documents.get(i) == documents.get(j), 1, 1, LENGTH, LENGTH, 32, 32))));
        attentions.put(
                "a dense bias and sinks",
                plain.withBias(Tensor.random(DType.F32, 5, 1, HEADS, LENGTH, LENGTH))
                        .withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, HEADS)));
        attentions.put("all but a window", plain.withMask(Mask.window(9, 9).not()));

        Tensor q = Tensor.random(DType.F32, 1, BATCH, HEADS, LENGTH, HEAD_DIM);
        Tensor k = Tensor.random(DType.F32, 2, BATCH, HEADS, LENGTH, HEAD_DIM);
        Tensor v = Tensor.random(DType.F32, 3, BATCH, HEADS, LENGTH, HEAD_DIM);
        Tensor dOut = Tensor.random(DType.F32, 4, BATCH, HEADS, LENGTH, HEAD_DIM);
        boolean good = true;
        try (FlashAttention attention = FlashAttention.create()) {
            System.out.println("On " + attention.device() + ", largest errors against the oracle in float64:");
            for (Map.Entry<String, AttentionOptions> entry : attentions.entrySet()) {
                AttentionOptions options = entry.getValue();
                AttentionResult result = attention.forward(q, k, v, options);
                Gradients gradients = attention.backward(result, dOut);
                ReferenceAttention.Forward forward = ReferenceAttention.forward(q, k, v, options);
                ReferenceAttention.Backward backward = ReferenceAttention.backward(q, k, v, dOut, options);
                double output = error(result.output(), forward.output());
                double gradient = Math.max(
                        error(gradients.dQ(), backward.dQ()),
                        Math.max(error(gradients.dK(), backward.dK()), error(gradients.dV(), backward.dV())));
                System.out.printf("  %-30s output %.1e, gradients %.1e%n", entry.getKey(), output, gradient);
                good &= output < 1e-4 && gradient < 1e-4;
            }
        }
        System.exit(good ? 0 : 1);
    }

    private static double error(Tensor tensor, double[] expected) {
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(tensor.getFlat(i) - expected[i]));
        }
        return largest;
    }
}
