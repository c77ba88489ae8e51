//SOURCES jbang/Setup.java
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 10: your own attention. Most models change the scores a little: a bias for the distance, a bound, documents that
 * do not see each other. Stored, such a change is a matrix of N² numbers, which FlashAttention exists to avoid. Written
 * as a lambda it becomes part of the kernel: it is asked where the score is, in a register, and its derivative in the
 * backward pass.
 */
class Ladder10YourOwnAttention {

    static final int HEAD_DIM = 32;
    static final int DOCUMENT = 50;

    static void main(String[] arguments) {
        Example.run(Ladder10YourOwnAttention.class, "[HEADS [TOKENS]]", arguments, Ladder10YourOwnAttention::lesson);
    }

    static void lesson(String[] arguments) {
        int heads = Example.number(arguments, 0, 2, 1);
        int n = Example.number(arguments, 1, 160, 1);
        System.out.println("Rung 10, your own attention: the function moves into the kernel");
        System.out.printf(
                "%d heads, %d tokens, headDim %d, F32, on %s%n", heads, n, HEAD_DIM, Devices.bestForTaskGraphs());
        System.out.printf(
                "predicted: a bias for each distance is a table of %,d numbers a head; stored as a matrix it would be %,d%n",
                2 * n - 1, (long) n * n);

        // What a lambda captures: an array of TornadoVM's becomes an array of the kernel, a number a constant of it.
        FloatArray table = new FloatArray(heads * (2 * n - 1));
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, (float) Math.cos(0.05 * i));
        }
        int row = 2 * n - 1;
        AttentionOptions options = AttentionOptions.defaults()
                .withScore((s, b, h, i, j) -> s + table.get(h * row + j - i + n - 1))
                .withMask(Mask.causal().and(Mask.of((b, h, i, j) -> i / DOCUMENT == j / DOCUMENT)));

        Tensor q = Tensor.random(DType.F32, 1, 1, heads, n, HEAD_DIM);
        Tensor k = Tensor.random(DType.F32, 2, 1, heads, n, HEAD_DIM);
        Tensor v = Tensor.random(DType.F32, 3, 1, heads, n, HEAD_DIM);
        Tensor dOut = Tensor.random(DType.F32, 4, 1, heads, n, HEAD_DIM);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs())) {
            // The first call writes the kernel, compares the function on the device with the function on the JVM, and
            // compiles.
            long first = System.nanoTime();
            AttentionResult result = attention.forward(q, k, v, options);
            long second = System.nanoTime();
            attention.forward(q, k, v, options);
            long end = System.nanoTime();
            System.out.printf(
                    "first call %,d ms, second call %,d ms%n",
                    (second - first) / 1_000_000, (end - second) / 1_000_000);
            require(check.forward(result.output(), result.logSumExp()));

            // d score′ / d score comes from the lambda's bytecode.
            Gradients gradients = attention.backward(result, dOut);
            require(check.gradients(gradients));
        }
        System.out.println("the lambda, forward and backward, is what the float64 oracle computes with it");
    }

    private static void require(java.util.List<Comparison> comparisons) {
        for (Comparison comparison : comparisons) {
            System.out.println("  " + comparison);
            if (!comparison.passed()) {
                throw new IllegalStateException("Too large an error");
            }
        }
    }
}
