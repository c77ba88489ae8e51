//SOURCES jbang/Setup.java
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cli.Example;
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
 * What chunks of a prompt take over an engine's cache, beside the plain forward pass of the same queries and keys: F16,
 * 32 query heads on 8 of keys and values, headDim 128, the last queries on the last keys, everything on the device.
 * {@code forward} has contiguous tensors, {@code views} those with the heads side by side in a token, and the others
 * pages of such tokens in a random order. All of a line run in turns, ten launches of the whole graph each time; rows
 * of each result are compared with float64 first. Launches follow each other, so what the device needs between two
 * kernels counts and what the host needs does not.
 */
class ChunkTimes {

    private static final int HEADS = 32;
    private static final int KV_HEADS = 8;
    private static final int DIM = 128;
    private static final int ROUNDS = 7;
    private static final int LAUNCHES = 10;
    private static final int CHECKED_ROWS = 12;
    private static final double LARGEST_ERROR = 2e-3;

    static void main(String... arguments) {
        Example.run(ChunkTimes.class, "[QUERIES,… KEYS,… PAGES,…]", arguments, ChunkTimes::measure);
    }

    private static void measure(String[] arguments) throws TornadoExecutionPlanException {
        ComputeDevice device = Devices.bestForTaskGraphs();
        boolean simulated = device.isSimulator();
        int[] queries = numbers(arguments, 0, simulated ? "2" : "128,512,2048");
        int[] keys = numbers(arguments, 1, simulated ? "16" : "4096,16384");
        int[] pages = numbers(arguments, 2, simulated ? "0,8" : "0,64,16");
        System.out.println("Device: " + device);
        System.out.printf(
                "%7s %7s %11s %8s %8s %8s  %s%n", "queries", "keys", "over", "us", "TFLOP/s", "forward", "tile");
        for (int n : keys) {
            for (int m : queries) {
                if (m <= n) {
                    measure(device, m, n, pages);
                }
            }
        }
    }

    private static int[] numbers(String[] arguments, int at, String otherwise) {
        String list = at < arguments.length ? arguments[at] : otherwise;
        return Arrays.stream(list.split(",")).mapToInt(Integer::parseInt).toArray();
    }

    private static void measure(ComputeDevice device, int queries, int keys, int[] pages)
            throws TornadoExecutionPlanException {
        Data data = new Data(queries, keys);
        int rounds = device.isSimulator() ? 1 : ROUNDS;
        int launches = device.isSimulator() ? 1 : LAUNCHES;
        List<Plan> plans = new ArrayList<>();
        plans.add(new Plan("forward", data, device, -2));
        plans.add(new Plan("views", data, device, -1));
        for (int page : pages) {
            plans.add(new Plan(page == 0 ? "one page" : "pages of " + page, data, device, page == 0 ? keys : page));
        }
        for (Plan plan : plans) {
            plan.check();
        }
        for (int round = 0; round < rounds; round++) {
            for (Plan plan : plans) {
                plan.times.add(plan.time(launches));
            }
        }
        double pairs = (double) queries * (keys - queries) + (double) queries * (queries + 1) / 2;
        double flops = 4.0 * HEADS * DIM * pairs;
        double forward = plans.getFirst().median();
        for (Plan plan : plans) {
            double took = plan.median();
            System.out.printf(
                    "%,7d %,7d %11s %8.1f %8.0f %8.2f  %s%s%n",
                    queries,
                    keys,
                    plan.name,
                    took,
                    flops / took / 1e6,
                    forward / took,
                    plan.tile,
                    plan.error > LARGEST_ERROR ? "  WRONG " + plan.error : "");
            plan.close();
        }
    }

    /** Rows of random numbers, as each layout has them. */
    private static final class Data {

        final int queries;
        final int keys;
        final short[] numbers = new short[1 << 20];
        final int[] rows;

        Data(int queries, int keys) {
            this.queries = queries;
            this.keys = keys;
            Random random = new Random(queries + keys);
            for (int at = 0; at < numbers.length; at++) {
                numbers[at] = Float.floatToFloat16((float) random.nextGaussian());
            }
            rows = random.ints((long) HEADS * queries + 2L * KV_HEADS * keys, 0, numbers.length - DIM)
                    .toArray();
        }

        int query(int head, int i) {
            return rows[head * queries + i];
        }

        int key(int head, int j) {
            return rows[HEADS * queries + head * keys + j];
        }

        int value(int head, int j) {
            return rows[HEADS * queries + (KV_HEADS + head) * keys + j];
        }

        void put(HalfFloatArray array, int to, int row) {
            MemorySegment.copy(MemorySegment.ofArray(numbers), 2L * row, array.getSegment(), 2L * to, 2L * DIM);
        }

        /** An output in float64, and the largest value that it is made of. */
        double[] output(int head, int i) {
            int kvHead = head / (HEADS / KV_HEADS);
            int seen = keys - queries + i + 1;
            double[] scores = new double[seen];
            double max = Double.NEGATIVE_INFINITY;
            for (int j = 0; j < seen; j++) {
                double sum = 0;
                int q = query(head, i);
                int k = key(kvHead, j);
                for (int x = 0; x < DIM; x++) {
                    sum += (double) number(q + x) * number(k + x);
                }
                scores[j] = sum / Math.sqrt(DIM);
                max = Math.max(max, scores[j]);
            }
            double total = 0;
            double[] output = new double[DIM];
            for (int j = 0; j < seen; j++) {
                double p = Math.exp(scores[j] - max);
                total += p;
                int v = value(kvHead, j);
                for (int x = 0; x < DIM; x++) {
                    output[x] += p * number(v + x);
                }
            }
            for (int x = 0; x < DIM; x++) {
                output[x] /= total;
            }
            return output;
        }

        private float number(int at) {
            return Float.float16ToFloat(numbers[at]);
        }
    }

    /** A graph with attention alone, recorded. */
    private static final class Plan {

        final String name;
        final Data data;
        final TornadoExecutionPlan plan;
        final ReplayedPlan replayed;
        final HalfFloatArray output;
        final boolean inHeads;
        final List<Double> times = new ArrayList<>();
        String tile = "";
        double error;

        /** @param page tokens of a page; -1 for views, -2 for contiguous tensors */
        Plan(String name, Data data, ComputeDevice device, int page) {
            this.name = name;
            this.data = data;
            inHeads = page == -2;
            int m = data.queries;
            int n = data.keys;
            HalfFloatArray query = new HalfFloatArray(HEADS * m * DIM);
            HalfFloatArray key = new HalfFloatArray(KV_HEADS * n * DIM);
            HalfFloatArray value = new HalfFloatArray(KV_HEADS * n * DIM);
            output = new HalfFloatArray(HEADS * m * DIM);
            Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, m);
            int[] shape = {1, HEADS, m, DIM};
            int[] strides = inHeads
                    ? new int[] {HEADS * m * DIM, m * DIM, DIM, 1}
                    : new int[] {HEADS * m * DIM, DIM, HEADS * DIM, 1};
            Tensor q = Tensor.view(query, 0, shape, strides);
            Tensor o = Tensor.view(output, 0, shape, strides);
            for (int head = 0; head < HEADS; head++) {
                for (int i = 0; i < m; i++) {
                    data.put(query, head * strides[1] + i * strides[2], data.query(head, i));
                }
            }
            int size = page < 0 ? n : page;
            int[] order = order(n / size);
            int headStride = inHeads ? n * DIM : DIM;
            int rowStride = inHeads ? DIM : KV_HEADS * DIM;
            for (int head = 0; head < KV_HEADS; head++) {
                for (int j = 0; j < n; j++) {
                    int at = (order[j / size] * size + j % size) * rowStride + head * headStride;
                    data.put(key, at, data.key(head, j));
                    data.put(value, at, data.value(head, j));
                }
            }
            FlashAttention attention = FlashAttention.on(device);
            TaskGraph graph = new TaskGraph("chunk" + name.replace(" ", ""));
            GridScheduler grids = new GridScheduler();
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, query, key, value, output, logSumExp.array());
            int[] ofKeys = {page < 0 ? 1 : n / size, KV_HEADS, size, DIM};
            int[] keyStrides = {size * KV_HEADS * DIM, headStride, rowStride, 1};
            if (page < 0) {
                Tensor k = Tensor.view(key, 0, ofKeys, keyStrides);
                Tensor v = Tensor.view(value, 0, ofKeys, keyStrides);
                attention.appendTo(graph, grids, "attention", q, k, v, o, logSumExp, AttentionOptions.causal());
            } else {
                IntArray positions = IntArray.fromElements(n - m);
                IntArray rows = IntArray.fromElements(m);
                IntArray table = IntArray.fromArray(order);
                KeyValuePool pool = KeyValuePool.of(
                                Tensor.view(key, 0, ofKeys, keyStrides),
                                Tensor.view(value, 0, ofKeys, keyStrides),
                                positions)
                        .withValidRows(rows)
                        .withBlockTable(table, n / size);
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, positions, rows, table);
                tile = attention
                        .appendTo(graph, grids, "attention", q, pool, o, logSumExp, AttentionOptions.causal())
                        .toString();
            }
            graph.transferToHost(DataTransferMode.UNDER_DEMAND, output);
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(device.handle()).withGridScheduler(grids);
            replayed = ReplayedPlan.of(plan, device);
        }

        private static int[] order(int pages) {
            List<Integer> order = new ArrayList<>();
            for (int page = 0; page < pages; page++) {
                order.add(page);
            }
            Collections.shuffle(order, new Random(7));
            return order.stream().mapToInt(Integer::intValue).toArray();
        }

        /** Rows at the chunk's ends and inside, of several heads. */
        void check() {
            replayed.execute();
            replayed.result().transferToHost(output);
            for (int row = 0; row < CHECKED_ROWS; row++) {
                int i = row * (data.queries - 1) / (CHECKED_ROWS - 1);
                int head = row * 7 % HEADS;
                double[] expected = data.output(head, i);
                int at = inHeads ? (head * data.queries + i) * DIM : (i * HEADS + head) * DIM;
                for (int x = 0; x < DIM; x++) {
                    double difference = Math.abs(output.get(at + x).getFloat32() - expected[x]);
                    error = difference <= error ? error : difference;
                }
            }
        }

        double time(int launches) {
            replayed.execute();
            long start = System.nanoTime();
            for (int launch = 0; launch < launches; launch++) {
                replayed.launch();
            }
            replayed.await();
            return (System.nanoTime() - start) / 1e3 / launches;
        }

        double median() {
            Collections.sort(times);
            return times.get(times.size() / 2);
        }

        void close() throws TornadoExecutionPlanException {
            plan.close();
        }
    }
}
