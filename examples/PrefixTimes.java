//SOURCES jbang/Setup.java
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
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
 * What a step of sequences takes that begin with the same tokens, in separate caches and with the prefix computed once:
 * F16, 32 query heads on 8 of keys and values, headDim 128, one query a sequence, pages of tokens whose heads lie side
 * by side. Both run in turns, ten launches of the whole graph each time, after rows were compared with float64.
 */
class PrefixTimes {

    private static final int HEADS = 32;
    private static final int KV_HEADS = 8;
    private static final int DIM = 128;
    private static final int ROW = KV_HEADS * DIM;
    private static final int ROUNDS = 7;
    private static final int LAUNCHES = 10;
    private static final double LARGEST_ERROR = 2e-3;

    static void main(String... arguments) {
        Example.run(PrefixTimes.class, "[SEQUENCES PREFIX OWN PAGE]", arguments, PrefixTimes::measure);
    }

    private static void measure(String[] arguments) throws TornadoExecutionPlanException {
        ComputeDevice device = Devices.bestForTaskGraphs();
        int[] sizes = arguments.length == 4
                ? IntStream.range(0, 4).map(i -> Integer.parseInt(arguments[i])).toArray()
                : device.isSimulator() ? new int[] {3, 24, 8, 8} : new int[] {64, 8192, 256, 64};
        Sizes of = new Sizes(sizes[0], sizes[1], sizes[2], sizes[3]);
        System.out.println("Device: " + device);
        List<Plan> plans = List.of(new Plan(of, false, device), new Plan(of, true, device));
        for (Plan plan : plans) {
            plan.requireRight();
        }
        for (int round = 0; round < (device.isSimulator() ? 1 : ROUNDS); round++) {
            for (Plan plan : plans) {
                plan.times.add(plan.time(device.isSimulator() ? 1 : LAUNCHES));
            }
        }
        double separate = plans.get(0).median();
        double shared = plans.get(1).median();
        System.out.printf(
                "%d sequences, %,d tokens in common and %,d of their own: separate caches %.1f us, prefix once %.1f us, %.2f of it%n",
                of.sequences, of.prefix, of.own, separate, shared, shared / separate);
        for (Plan plan : plans) {
            plan.plan.close();
        }
    }

    /** Tokens of the prefix, and of each sequence behind it, are whole pages. */
    private record Sizes(int sequences, int prefix, int own, int page) {

        Sizes {
            if (sequences < 1 || page < 1 || prefix < page || own < page || prefix % page + own % page != 0) {
                throw new IllegalArgumentException(
                        "The prefix has %d tokens and a sequence %d: they must be one page of %d or more, and whole ones."
                                .formatted(prefix, own, page));
            }
        }

        int tokens() {
            return prefix + own;
        }

        /** A row of numbers for each token; a token of the prefix has the same in all sequences. */
        int seed(int sequence, int token) {
            return token < prefix ? token : prefix + sequence * own + token - prefix;
        }
    }

    /** One graph with attention alone. */
    private static final class Plan {

        private final Sizes of;
        private final HalfFloatArray query;
        private final HalfFloatArray output;
        private final TornadoExecutionPlan plan;
        private final ReplayedPlan replayed;
        private final List<Double> times = new ArrayList<>();

        Plan(Sizes of, boolean shared, ComputeDevice device) {
            this.of = of;
            int pagesOfPrefix = of.prefix / of.page;
            int pagesOfOne = shared ? of.own / of.page : of.tokens() / of.page;
            int first = shared ? pagesOfPrefix : 0;
            int pages = first + of.sequences * pagesOfOne;
            HalfFloatArray key = new HalfFloatArray(pages * of.page * ROW);
            HalfFloatArray value = new HalfFloatArray(pages * of.page * ROW);
            IntArray table = new IntArray(of.sequences * pagesOfOne);
            for (int at = 0; at < table.getSize(); at++) {
                table.set(at, first + at);
            }
            for (int token = 0; shared && token < of.prefix; token++) {
                write(key, value, token, of.seed(0, token));
            }
            for (int sequence = 0; sequence < of.sequences; sequence++) {
                for (int token = shared ? of.prefix : 0; token < of.tokens(); token++) {
                    int behind = shared ? token - of.prefix : token;
                    int at = (first + sequence * pagesOfOne) * of.page + behind;
                    write(key, value, at, of.seed(sequence, token));
                }
            }
            query = new HalfFloatArray(of.sequences * HEADS * DIM);
            output = new HalfFloatArray(of.sequences * HEADS * DIM);
            for (int row = 0; row < of.sequences * HEADS; row++) {
                copy(Numbers.QUERY, row, query, row * DIM);
            }
            int[] shape = {of.sequences, HEADS, 1, DIM};
            int[] strides = {HEADS * DIM, DIM, HEADS * DIM, 1};
            int[] ofPages = {pages, KV_HEADS, of.page, DIM};
            int[] pageStrides = {of.page * ROW, DIM, ROW, 1};
            IntArray positions = new IntArray(of.sequences);
            positions.init(of.tokens() - 1);
            KeyValuePool pool = KeyValuePool.of(
                            Tensor.view(key, 0, ofPages, pageStrides),
                            Tensor.view(value, 0, ofPages, pageStrides),
                            positions)
                    .withBlockTable(table, pagesOfOne);
            IntArray prefixTable =
                    IntArray.fromArray(IntStream.range(0, pagesOfPrefix).toArray());
            IntArray prefixLength = IntArray.fromElements(of.prefix);
            TaskGraph graph = new TaskGraph(shared ? "shared" : "separate");
            GridScheduler grids = new GridScheduler();
            Tensor logSumExp = Tensor.allocate(DType.F32, of.sequences, HEADS, 1);
            graph.transferToDevice(
                    DataTransferMode.FIRST_EXECUTION, query, key, value, output, logSumExp.array(), positions, table);
            if (shared) {
                pool = pool.withSharedPrefix(prefixTable, pagesOfPrefix, prefixLength);
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, prefixTable, prefixLength);
            }
            Tensor q = Tensor.view(query, 0, shape, strides);
            Tensor o = Tensor.view(output, 0, shape, strides);
            FlashAttention attention = FlashAttention.on(device);
            attention.appendTo(graph, grids, "attention", q, pool, o, logSumExp, AttentionOptions.causal());
            graph.transferToHost(DataTransferMode.UNDER_DEMAND, output);
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(device.handle()).withGridScheduler(grids);
            replayed = ReplayedPlan.of(plan, device);
        }

        private static void write(HalfFloatArray key, HalfFloatArray value, int token, int seed) {
            for (int head = 0; head < KV_HEADS; head++) {
                copy(Numbers.KEY, seed * KV_HEADS + head, key, (token * KV_HEADS + head) * DIM);
                copy(Numbers.VALUE, seed * KV_HEADS + head, value, (token * KV_HEADS + head) * DIM);
            }
        }

        private static void copy(Numbers of, int row, HalfFloatArray array, int to) {
            MemorySegment.copy(
                    MemorySegment.ofArray(Numbers.ALL), 2L * of.place(row), array.getSegment(), 2L * to, 2L * DIM);
        }

        /** Outputs of some heads of some sequences. */
        void requireRight() {
            replayed.execute();
            replayed.result().transferToHost(output);
            for (int row = 0; row < of.sequences * HEADS; row += of.sequences * HEADS / 3 - 1) {
                double[] expected = expected(row / HEADS, row % HEADS);
                for (int x = 0; x < DIM; x++) {
                    double error =
                            Math.abs(expected[x] - output.get(row * DIM + x).getFloat32());
                    if (!(error <= LARGEST_ERROR)) {
                        throw new IllegalStateException("An output is wrong by " + error + ".");
                    }
                }
            }
        }

        private double[] expected(int sequence, int head) {
            double[] scores = new double[of.tokens()];
            double max = Double.NEGATIVE_INFINITY;
            int kvHead = head / (HEADS / KV_HEADS);
            for (int j = 0; j < scores.length; j++) {
                for (int x = 0; x < DIM; x++) {
                    scores[j] += Numbers.QUERY.get(sequence * HEADS + head, x)
                            * Numbers.KEY.get(of.seed(sequence, j) * KV_HEADS + kvHead, x)
                            / Math.sqrt(DIM);
                }
                max = Math.max(max, scores[j]);
            }
            double total = 0;
            double[] output = new double[DIM];
            for (int j = 0; j < scores.length; j++) {
                double p = Math.exp(scores[j] - max);
                total += p;
                for (int x = 0; x < DIM; x++) {
                    output[x] += p * Numbers.VALUE.get(of.seed(sequence, j) * KV_HEADS + kvHead, x);
                }
            }
            for (int x = 0; x < DIM; x++) {
                output[x] /= total;
            }
            return output;
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
            return times.stream().sorted().toList().get(times.size() / 2);
        }
    }

    /** Rows of random numbers. */
    private enum Numbers {
        QUERY,
        KEY,
        VALUE;

        private static final short[] ALL = new short[1 << 20];

        static {
            Random random = new Random(64);
            for (int at = 0; at < ALL.length; at++) {
                ALL[at] = Float.floatToFloat16((float) random.nextGaussian());
            }
        }

        int place(int row) {
            return Math.floorMod(row * 0x9E3779B1 + ordinal() * 77_777, ALL.length - DIM);
        }

        double get(int row, int x) {
            return Float.float16ToFloat(ALL[place(row) + x]);
        }
    }
}
