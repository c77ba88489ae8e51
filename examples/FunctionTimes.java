//SOURCES jbang/Setup.java
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Times of attention with functions, biases and block masks, forward and backward, in F16; {@code python3
 * bench/functions.py} with the same arguments has FlexAttention's, and {@code bench/functions.sh} runs both. Where
 * TIMING_LOCK names a file, processes that lock it measure one at a time.
 *
 * <p>Of each, a problem of some hundred tokens is checked with all gradients before, and the first queries of one head
 * of the problem that is timed.
 */
class FunctionTimes {

    private static final int REPETITIONS = 9;
    private static final int BLOCK = 128;

    static final List<String> NAMES = List.of(
            "none",
            "causal",
            "window",
            "documents",
            "prefix",
            "blocks",
            "tenth",
            "twentieth",
            "alibi",
            "softcap",
            "table",
            "bias",
            "dbias");

    static void main(String... arguments) {
        Example.run(
                FunctionTimes.class, "[BATCH HEADS LENGTH HEAD_DIM [FUNCTION]...]", arguments, FunctionTimes::measure);
    }

    private static void measure(String[] arguments) throws TornadoExecutionPlanException, IOException {
        int batch = Example.number(arguments, 0, 1, 1);
        int heads = Example.number(arguments, 1, 2, 1);
        int length = Example.number(arguments, 2, 256, 2 * BLOCK);
        int headDim = Example.number(arguments, 3, 16, 1);
        List<String> names = arguments.length > 4 ? List.of(arguments).subList(4, arguments.length) : NAMES;
        ComputeDevice device = Devices.bestForTaskGraphs();
        System.out.printf("on %s: %d x %d x %,d x %d, F16%n", device, batch, heads, length, headDim);
        Tensor[] t = random(batch, heads, length, headDim);
        for (String name : names) {
            try (FlashAttention attention = FlashAttention.on(device)) {
                int few = Math.min(length, 5 * BLOCK);
                requireRight(attention, name, random(batch, Math.min(heads, 2), few, headDim));
                time(attention, device, name, t);
            }
        }
    }

    private static Tensor[] random(int batch, int heads, int length, int headDim) {
        Tensor[] t = new Tensor[4];
        for (int i = 0; i < t.length; i++) {
            t[i] = Tensor.random(DType.F16, i + 1, batch, heads, length, headDim);
        }
        return t;
    }

    /** What is computed: the options of queries, which may be fewer than keys, and of which heads have as many. */
    private static AttentionOptions options(String name, int heads, int queries, int keys) {
        AttentionOptions plain = AttentionOptions.defaults();
        int far = keys - 1;
        int row = 2 * keys;
        return switch (name) {
            case "none" -> plain;
            case "causal" -> blocks(queries, keys, (b, h, i, j) -> j <= i);
            case "window" -> blocks(queries, keys, (b, h, i, j) -> j <= i && i - j < 1024);
            case "documents" -> {
                IntArray documents = new IntArray(keys);
                for (int token = 0; token < keys; token++) {
                    documents.set(token, 8 * token / keys);
                }
                yield blocks(queries, keys, (b, h, i, j) -> documents.get(i) == documents.get(j));
            }
            case "prefix" -> blocks(queries, keys, (b, h, i, j) -> j <= i || j < 2048);
            case "blocks" ->
                blocks(
                        queries,
                        keys,
                        (b, h, i, j) -> (i / BLOCK * 31 + j / BLOCK * 17) % 64 * 37 % 64 < 6 || i / BLOCK == j / BLOCK);
            case "tenth" -> blocks(queries, keys, (b, h, i, j) -> (i / BLOCK + j / BLOCK) % 10 == 0);
            case "twentieth" -> blocks(queries, keys, (b, h, i, j) -> (i / BLOCK + j / BLOCK) % 20 == 0);
            case "alibi" -> {
                FloatArray slopes = new FloatArray(heads);
                for (int head = 0; head < heads; head++) {
                    slopes.set(head, (float) Math.pow(2, -8.0 * (head + 1) / heads));
                }
                yield blocks(queries, keys, (b, h, i, j) -> j <= i)
                        .withScore((s, b, h, i, j) -> s + slopes.get(h) * (j - i));
            }
            case "softcap" ->
                blocks(queries, keys, (b, h, i, j) -> j <= i)
                        .withScore((s, b, h, i, j) -> 20 * (float) Math.tanh(s / 20));
            case "table" -> {
                FloatArray table = new FloatArray(heads * row);
                for (int at = 0; at < table.getSize(); at++) {
                    table.set(at, at * 37L % 64 / 32f - 1);
                }
                yield plain.withScore((s, b, h, i, j) -> s + table.get(h * row + j - i + far));
            }
            case "bias", "dbias" ->
                plain.withBias(Tensor.random(DType.F16, 5, 1, 1, keys, keys)
                        .block(new int[4], new int[] {1, 1, queries, keys}));
            default -> throw new IllegalArgumentException("There is no '%s': %s.".formatted(name, NAMES));
        };
    }

    private static AttentionOptions blocks(int queries, int keys, MaskFunction mask) {
        return AttentionOptions.defaults().withMask(Mask.blocks(BlockMask.of(mask, 1, 1, queries, keys, BLOCK, BLOCK)));
    }

    private static void requireRight(FlashAttention attention, String name, Tensor[] t) {
        AttentionOptions options = options(name, t[0].heads(), t[0].seqLength(), t[0].seqLength());
        AccuracyCheck check = AccuracyCheck.of(t[0], t[1], t[2], t[3], options);
        AttentionResult result = attention.forward(t[0], t[1], t[2], options);
        Example.requireRight(check.forward(result.output(), result.logSumExp()));
        Example.requireRight(check.gradients(attention.backward(result, t[3])));
    }

    /** The first queries of one head. */
    private static void requireRight(String name, Tensor[] t, Tensor output, Tensor logSumExp) {
        int[] queries = {1, 1, BLOCK, t[0].headDim()};
        int[] keys = {1, 1, t[0].seqLength(), t[0].headDim()};
        AccuracyCheck check = AccuracyCheck.of(
                t[0].block(new int[4], queries),
                t[1].block(new int[4], keys),
                t[2].block(new int[4], keys),
                options(name, t[0].heads(), BLOCK, t[0].seqLength()));
        Example.requireRight(
                check.forward(output.block(new int[4], queries), logSumExp.block(new int[3], new int[] {1, 1, BLOCK})));
    }

    private static void time(FlashAttention attention, ComputeDevice device, String name, Tensor[] t)
            throws TornadoExecutionPlanException, IOException {
        AttentionOptions options = options(name, t[0].heads(), t[0].seqLength(), t[0].seqLength());
        Tensor output = Tensor.allocate(DType.F16, t[0].shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, t[0].batch(), t[0].heads(), t[0].seqLength());
        TaskGraph graph = new TaskGraph("forward");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, t[0].array(), t[1].array(), t[2].array());
        String kernels = attention
                .appendTo(graph, grids, "attention", t[0], t[1], t[2], output, logSumExp, options)
                .toString();
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, output.array(), logSumExp.array());
        double forward = microseconds(graph, grids, device, output.array(), logSumExp.array());
        requireRight(name, t, output, logSumExp);

        BackwardTensors.Builder builder = BackwardTensors.builder()
                .q(t[0])
                .k(t[1])
                .v(t[2])
                .output(output)
                .logSumExp(logSumExp)
                .dOut(t[3])
                .dQ(Tensor.allocate(DType.F16, t[0].shape()))
                .dK(Tensor.allocate(DType.F16, t[0].shape()))
                .dV(Tensor.allocate(DType.F16, t[0].shape()));
        if (name.equals("dbias")) {
            builder.dBias(
                    Tensor.allocate(DType.F32, options.bias().orElseThrow().shape()));
        }
        BackwardTensors tensors = builder.build();
        graph = new TaskGraph("backward");
        grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                t[0].array(),
                t[1].array(),
                t[2].array(),
                t[3].array(),
                output.array(),
                logSumExp.array());
        kernels += ", " + attention.appendBackwardTo(graph, grids, "attention", tensors, options);
        graph.transferToHost(
                DataTransferMode.UNDER_DEMAND,
                tensors.dQ().array(),
                tensors.dK().array(),
                tensors.dV().array());
        System.out.printf(
                "%-10s forward %8.0f us, backward %8.0f us  %s%n",
                name, forward, microseconds(graph, grids, device), kernels);
    }

    /** The median time of all its kernels; brings the arrays to the host. */
    private static double microseconds(TaskGraph graph, GridScheduler grids, ComputeDevice device, Object... arrays)
            throws TornadoExecutionPlanException, IOException {
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).withProfiler(ProfilerMode.SILENT);
            plan.execute();
            double[] times = new double[REPETITIONS];
            try (FileChannel _ = lock()) {
                for (int i = 0; i < REPETITIONS; i++) {
                    times[i] = plan.execute().getProfilerResult().getDeviceKernelTime() / 1e3;
                }
            }
            if (arrays.length > 0) {
                plan.execute().transferToHost(arrays);
            }
            Arrays.sort(times);
            return times[REPETITIONS / 2];
        }
    }

    /** Locks the file of TIMING_LOCK, if there is one, until it is closed. */
    private static FileChannel lock() {
        String file = System.getenv("TIMING_LOCK");
        if (file == null) {
            return null;
        }
        try {
            FileChannel channel = FileChannel.open(Path.of(file), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            channel.lock();
            return channel;
        } catch (IOException e) {
            throw new UncheckedIOException("TIMING_LOCK is '%s', which cannot be locked".formatted(file), e);
        }
    }
}
