//SOURCES jbang/Setup.java
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.DistributedAttention;
import org.tornadoattention.DistributedAttention.Division;
import org.tornadoattention.DividedPass;
import org.tornadoattention.DividedPass.Memory;
import org.tornadoattention.Gradients;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Causal attention on all devices of a backend beside one of them, divided by heads and by the sequence, forward and
 * backward: wall time with the data on the devices, what they copy from each other and how long that takes alone,
 * memory of a device, and whether the result is the same. Where there is one device, it gets two parts.
 */
class SeveralDevices {

    static final int REPETITIONS = 9;

    /** On a GPU, whose passes take so little that what gives them to it must be compiled first. */
    static final long NANOSECONDS = 1_000_000_000;

    static void main(String... arguments) {
        Example.run(SeveralDevices.class, "[HEADS HEAD_DIM LENGTH...]", arguments, SeveralDevices::measure);
    }

    static void measure(String[] arguments) {
        ComputeDevice first = Devices.bestForTaskGraphs();
        List<ComputeDevice> devices = Devices.all().stream()
                .filter(device -> device.backend() == first.backend() && device.type() == first.type())
                .toList();
        devices = devices.size() == 1 ? List.of(first, first) : devices;
        int heads = Example.number(arguments, 0, first.isSimulator() ? 2 : 16, 1);
        int headDim = Example.number(arguments, 1, first.isSimulator() ? 16 : 128, 1);
        int[] lengths = arguments.length < 3
                ? new int[] {first.isSimulator() ? 64 : 16_384}
                : IntStream.range(2, arguments.length)
                        .map(i -> Example.number(arguments, i, 0, 1))
                        .toArray();
        DType dtype = first.halfFloats() ? DType.F16 : DType.F32;
        System.out.printf("%s; %d heads of %d, %s, causal%n", devices, heads, headDim, dtype);
        System.out.printf(
                "%-9s %8s %-9s %10s %10s %8s %10s %10s %8s %10s %10s  %s%n",
                "pass",
                "length",
                "by",
                "one, ms",
                "all, ms",
                "faster",
                "moved, MB",
                "alone, ms",
                "by way of",
                "one, MB",
                "each, MB",
                "difference");
        for (int length : lengths) {
            measure(new AttentionShape(1, heads, heads, length, length, headDim), dtype, devices);
        }
    }

    private static void measure(AttentionShape shape, DType dtype, List<ComputeDevice> devices) {
        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.valueShape());
        Tensor dOut = Tensor.random(dtype, 4, shape.outputShape());
        AttentionOptions options = AttentionOptions.causal();
        AttentionResult expected = compare(
                "forward",
                shape.seqQ(),
                devices,
                attention -> attention.bring(q, k, v, options),
                result -> List.of(result.output(), result.logSumExp()));
        compare(
                "backward",
                shape.seqQ(),
                devices,
                attention -> attention.bring(expected, dOut),
                (Gradients gradients) -> List.of(gradients.dQ(), gradients.dK(), gradients.dV()));
    }

    /** What a division took. */
    record Run<T>(
            T result,
            double milliseconds,
            long movedBytes,
            double exchangeMilliseconds,
            String way,
            long deviceBytes) {}

    /** One device, then all of them by each division; returns what one computed. */
    private static <T> T compare(
            String pass,
            int length,
            List<ComputeDevice> devices,
            Function<DistributedAttention, DividedPass<T>> bring,
            Function<T, List<Tensor>> tensors) {
        Run<T> one = run(devices.subList(0, 1), Division.HEADS_FIRST, bring);
        for (Division division : List.of(Division.SEQUENCE, Division.HEADS_FIRST)) {
            Run<T> all = run(devices, division, bring);
            System.out.printf(
                    "%-9s %,8d %-9s %10.2f %10.2f %7.2fx %,10.1f %10.2f %9s %,10.1f %,10.1f  %s%n",
                    pass,
                    length,
                    division == Division.SEQUENCE ? "sequence" : "heads",
                    one.milliseconds,
                    all.milliseconds,
                    one.milliseconds / all.milliseconds,
                    all.movedBytes / 1e6,
                    all.exchangeMilliseconds,
                    all.way,
                    one.deviceBytes / 1e6,
                    all.deviceBytes / 1e6,
                    difference(tensors.apply(all.result), tensors.apply(one.result)));
        }
        return one.result;
    }

    private static <T> Run<T> run(
            List<ComputeDevice> devices, Division division, Function<DistributedAttention, DividedPass<T>> bring) {
        try (DistributedAttention attention = DistributedAttention.on(devices, division);
                DividedPass<T> pass = bring.apply(attention)) {
            long nanoseconds = devices.getFirst().isSimulator() ? 0 : NANOSECONDS;
            double milliseconds = best(pass::run, nanoseconds);
            double exchange = best(pass::exchange, nanoseconds);
            long moved = pass.exchange();
            pass.run();
            return new Run<>(
                    pass.result(),
                    milliseconds,
                    moved,
                    exchange,
                    pass.isOnDevices() ? "devices" : "host",
                    pass.memory().stream().mapToLong(Memory::total).max().orElseThrow());
        }
    }

    private static double best(Runnable work, long nanoseconds) {
        double best = Double.POSITIVE_INFINITY;
        long begin = System.nanoTime();
        for (int i = 0; i < REPETITIONS || System.nanoTime() - begin < nanoseconds; i++) {
            long start = System.nanoTime();
            work.run();
            best = Math.min(best, (System.nanoTime() - start) / 1e6);
        }
        return best;
    }

    private static String difference(List<Tensor> computed, List<Tensor> expected) {
        float most = 0;
        for (int t = 0; t < expected.size(); t++) {
            float[] one = expected.get(t).toFloatArray();
            float[] several = computed.get(t).toFloatArray();
            for (int i = 0; i < one.length; i++) {
                float difference = one[i] == several[i] ? 0 : Math.abs(one[i] - several[i]); // infinities too
                most = difference <= most ? most : difference; // NaN stays
            }
        }
        return most == 0 ? "none: the same bits" : "%.1e at most".formatted(most);
    }
}
