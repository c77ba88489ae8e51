import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The same few small problems over and over, each result compared bit by bit with the first, which an oracle has checked: for
 * faults that show once in thousands of launches. Start several of them at once to put a device under load.
 */
class Soak {

    record Problem(String name, AttentionKernel kernel, DType dtype, int batch, int queries, int keys, int headDim) {}

    static final List<Problem> PROBLEMS = List.of(
            new Problem("standard 17 x 17", AttentionKernel.STANDARD, DType.F32, 1, 17, 17, 16),
            new Problem("online 33 x 65", AttentionKernel.ONLINE, DType.F32, 2, 33, 65, 32),
            new Problem("tiled 33 x 65", AttentionKernel.TILED, DType.F32, 2, 33, 65, 32),
            new Problem("tiled 113 x 203 BF16", AttentionKernel.TILED, DType.BF16, 1, 113, 203, 64));

    static void main(String... arguments) {
        Example.run(Soak.class, "[ROUNDS [BACKEND]]", arguments, Soak::soak);
    }

    static void soak(String[] arguments) {
        int rounds = Example.number(arguments, 0, 100, 1);
        Optional<Backend> backend = arguments.length > 1 ? Optional.of(Backend.parse(arguments[1])) : Optional.empty();
        ComputeDevice device = Devices.find(backend, Optional.empty());
        System.out.println("Device: " + device);
        long wrong = 0;
        for (Problem problem : PROBLEMS) {
            wrong += soak(problem, device, rounds);
        }
        System.out.printf("%,d launches, %,d wrong%n", (long) rounds * PROBLEMS.size(), wrong);
        if (wrong > 0) {
            throw new IllegalStateException("Results differed from the first.");
        }
    }

    static long soak(Problem problem, ComputeDevice device, int rounds) {
        Tensor q = Tensor.random(problem.dtype(), 1, problem.batch(), 2, problem.queries(), problem.headDim());
        Tensor k = Tensor.random(problem.dtype(), 2, problem.batch(), 2, problem.keys(), problem.headDim());
        Tensor v = Tensor.random(problem.dtype(), 3, problem.batch(), 2, problem.keys(), problem.headDim());
        AttentionOptions options = AttentionOptions.causal();
        List<String> faults = new ArrayList<>();
        long wrong = 0;
        try (FlashAttention attention = FlashAttention.on(device, problem.kernel())) {
            AttentionResult first = attention.forward(q, k, v, options);
            boolean right = AccuracyCheck.of(q, k, v, options).forward(first.output(), first.logSumExp()).stream()
                    .allMatch(Comparison::passed);
            if (!right) {
                throw new IllegalStateException(problem.name() + ": the first result is wrong");
            }
            for (int round = 1; round < rounds; round++) {
                String fault = "";
                try {
                    AttentionResult again = attention.forward(q, k, v, options);
                    fault = difference(first.output(), again.output())
                            + difference(first.logSumExp(), again.logSumExp());
                } catch (AttentionException e) {
                    fault = e.getMessage();
                }
                if (!fault.isEmpty()) {
                    wrong++;
                    faults.add("round %,d: %s".formatted(round, fault));
                }
            }
        }
        System.out.printf("%-22s %,d rounds, %,d wrong%n", problem.name(), rounds, wrong);
        faults.stream().limit(5).forEach(fault -> System.out.println("  " + fault));
        return wrong;
    }

    /** Where two tensors differ, by rows of the last axis; empty where they do not. */
    static String difference(Tensor first, Tensor again) {
        if (first.array().getSegment().mismatch(again.array().getSegment()) < 0) {
            return "";
        }
        float[] expected = first.toFloatArray();
        float[] found = again.toFloatArray();
        int width = first.shape()[first.shape().length - 1];
        int[] rows = IntStream.range(0, expected.length)
                .filter(i -> Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(found[i]))
                .map(i -> i / width)
                .distinct()
                .toArray();
        return "rows %s of %s differ; "
                .formatted(Arrays.toString(Arrays.copyOf(rows, Math.min(8, rows.length))), first);
    }
}
