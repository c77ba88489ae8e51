//SOURCES jbang/Setup.java
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What a step of decoding takes over a cache of the caller's, one query a sequence: F16, 32 query heads on 8 of keys
 * and values, headDim 128, a page a sequence whose tokens have their heads side by side ({@code tokens}) or whose heads
 * have their tokens one behind the other ({@code heads}). Ten steps are one CUDA graph, so that nothing of the host's
 * counts; the two run in turns, after outputs were compared with float64. {@code bench/decode_turns.py} does so for
 * PyTorch.
 */
class DecodeTimes {

    private static final int HEADS = 32;
    private static final int KV_HEADS = 8;
    private static final int DIM = 128;
    private static final int ROUNDS = 9;

    /** Of the ten steps at a time: what the host needs to begin and to end is small beside them. */
    private static final int LAUNCHES = 20;

    private static final double LARGEST_ERROR = 2e-3;

    static void main(String... arguments) {
        Example.run(DecodeTimes.class, "[BATCHxKEYS...]", arguments, DecodeTimes::measure);
    }

    private static void measure(String[] arguments) throws TornadoExecutionPlanException {
        ComputeDevice device = Devices.bestForTaskGraphs();
        List<String> cases = device.isSimulator()
                ? List.of("2x16")
                : List.of("1x4096", "1x16384", "1x65536", "8x4096", "8x16384", "8x65536", "32x4096", "32x16384");
        System.out.println("Device: " + device);
        for (String sizes : arguments.length > 0 ? Arrays.asList(arguments) : cases) {
            String[] numbers = sizes.split("x");
            measure(device, Integer.parseInt(numbers[0]), Integer.parseInt(numbers[1]));
        }
    }

    private static void measure(ComputeDevice device, int batch, int keys) throws TornadoExecutionPlanException {
        HalfFloatArray key = random(batch * keys * KV_HEADS * DIM, 1);
        HalfFloatArray value = random(batch * keys * KV_HEADS * DIM, 2);
        HalfFloatArray query = random(batch * HEADS * DIM, 3);
        List<Plan> plans = List.of(
                new Plan("tokens", batch, keys, query, key, value, device),
                new Plan("heads", batch, keys, query, key, value, device));
        for (Plan plan : plans) {
            plan.requireRight();
        }
        for (int round = 0; round < (device.isSimulator() ? 1 : ROUNDS); round++) {
            for (Plan plan : plans) {
                plan.times.add(plan.time());
            }
        }
        for (Plan plan : plans) {
            double took = plan.median();
            System.out.printf(
                    "%2d x %,6d %-6s %8.1f us %6.2f TB/s  %s%n",
                    batch, keys, plan.layout, took, 4.0 * batch * keys * KV_HEADS * DIM / took / 1e6, plan.tile);
            plan.plan.close();
        }
    }

    private static HalfFloatArray random(int size, int seed) {
        short[] numbers = new short[1 << 20];
        Random random = new Random(seed);
        for (int at = 0; at < numbers.length; at++) {
            numbers[at] = Float.floatToFloat16((float) random.nextGaussian());
        }
        HalfFloatArray array = new HalfFloatArray(size);
        for (int row = 0; row < size / DIM; row++) {
            MemorySegment.copy(
                    MemorySegment.ofArray(numbers),
                    2L * random.nextInt(numbers.length - DIM),
                    array.getSegment(),
                    2L * row * DIM,
                    2L * DIM);
        }
        return array;
    }

    /** Ten tasks of attention, or one where there are no CUDA graphs. */
    private static final class Plan {

        private final String layout;
        private final int batch;
        private final int keys;
        private final HalfFloatArray query;
        private final HalfFloatArray key;
        private final HalfFloatArray value;
        private final HalfFloatArray output;
        private final int[] strides;
        private final int tasks;
        private final TornadoExecutionPlan plan;
        private final ReplayedPlan replayed;
        private final List<Double> times = new ArrayList<>();
        private String tile = "";

        Plan(
                String layout,
                int batch,
                int keys,
                HalfFloatArray query,
                HalfFloatArray key,
                HalfFloatArray value,
                ComputeDevice device) {
            this.layout = layout;
            this.batch = batch;
            this.keys = keys;
            this.query = query;
            this.key = key;
            this.value = value;
            output = new HalfFloatArray(batch * HEADS * DIM);
            int sequence = keys * KV_HEADS * DIM;
            strides = layout.equals("heads")
                    ? new int[] {sequence, keys * DIM, DIM, 1}
                    : new int[] {sequence, DIM, KV_HEADS * DIM, 1};
            int[] ofPages = {batch, KV_HEADS, keys, DIM};
            int[] shape = {batch, HEADS, 1, DIM};
            int[] rows = {HEADS * DIM, DIM, HEADS * DIM, 1};
            IntArray positions = new IntArray(batch);
            positions.init(keys - 1);
            KeyValuePool pool = KeyValuePool.of(
                    Tensor.view(key, 0, ofPages, strides), Tensor.view(value, 0, ofPages, strides), positions);
            Tensor logSumExp = Tensor.allocate(DType.F32, batch, HEADS, 1);
            boolean captured = device.backend() == Backend.CUDA;
            tasks = captured ? 10 : 1;
            TaskGraph graph = new TaskGraph("decode-" + layout + batch + "x" + keys);
            GridScheduler grids = new GridScheduler();
            graph.transferToDevice(
                    DataTransferMode.FIRST_EXECUTION, query, key, value, output, logSumExp.array(), positions);
            FlashAttention attention = FlashAttention.on(device);
            Tensor q = Tensor.view(query, 0, shape, rows);
            Tensor o = Tensor.view(output, 0, shape, rows);
            for (int task = 0; task < tasks; task++) {
                tile = attention
                        .appendTo(graph, grids, "attention" + task, q, pool, o, logSumExp, AttentionOptions.causal())
                        .toString();
            }
            graph.transferToHost(DataTransferMode.UNDER_DEMAND, output);
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(device.handle()).withGridScheduler(grids);
            if (captured) {
                plan.withCUDAGraph();
            }
            plan.execute();
            replayed = ReplayedPlan.of(plan, device);
        }

        void requireRight() {
            replayed.execute();
            replayed.result().transferToHost(output);
            for (int check = 0; check < 4; check++) {
                int sequence = check * (batch - 1) / 3;
                int head = check * 11 % HEADS;
                double[] expected = expected(sequence, head);
                for (int x = 0; x < DIM; x++) {
                    double actual =
                            output.get((sequence * HEADS + head) * DIM + x).getFloat32();
                    if (!(Math.abs(expected[x] - actual) <= LARGEST_ERROR)) {
                        throw new IllegalStateException(
                                "An output is %s and should be %s.".formatted(actual, expected[x]));
                    }
                }
            }
        }

        private double[] expected(int sequence, int head) {
            int first = sequence * strides[0] + head / (HEADS / KV_HEADS) * strides[1];
            double[] scores = new double[keys];
            double max = Double.NEGATIVE_INFINITY;
            for (int j = 0; j < keys; j++) {
                for (int x = 0; x < DIM; x++) {
                    double q = query.get((sequence * HEADS + head) * DIM + x).getFloat32();
                    scores[j] += q * key.get(first + j * strides[2] + x).getFloat32() / Math.sqrt(DIM);
                }
                max = Math.max(max, scores[j]);
            }
            double total = 0;
            double[] sums = new double[DIM];
            for (int j = 0; j < keys; j++) {
                double p = Math.exp(scores[j] - max);
                total += p;
                for (int x = 0; x < DIM; x++) {
                    sums[x] += p * value.get(first + j * strides[2] + x).getFloat32();
                }
            }
            for (int x = 0; x < DIM; x++) {
                sums[x] /= total;
            }
            return sums;
        }

        double time() {
            replayed.execute();
            int launches = tasks == 1 ? 1 : LAUNCHES;
            long start = System.nanoTime();
            for (int launch = 0; launch < launches; launch++) {
                replayed.launch();
            }
            replayed.await();
            return (System.nanoTime() - start) / 1e3 / launches / tasks;
        }

        double median() {
            return times.stream().sorted().toList().get(times.size() / 2);
        }
    }
}
