package org.tornadoattention.bench;

import java.io.PrintStream;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * What the programs of {@code examples/Ladder…} have in common, so that each can be its kernels and little else:
 * inputs, a prediction from bytes and operations, a run with its time, and a check against the oracle.
 */
public final class Lesson {

    /** Elements per head in all lessons. */
    public static final int HEAD_DIM = 64;

    private static final int REPETITIONS = 7;

    private final PrintStream out = System.out;
    private final ComputeDevice device = Devices.bestForTaskGraphs();
    private final DType dtype;
    private final int heads;
    private final int queries;
    private final int keys;
    private final AttentionOptions options;
    private final Tensor q;
    private final Tensor k;
    private final Tensor v;
    private final Tensor output;
    private final Tensor logSumExp;
    private @Nullable Ceilings ceilings;
    private double predictedBytes;

    private Lesson(DType dtype, int heads, int queries, int keys, AttentionOptions options) {
        this.dtype = dtype;
        this.heads = heads;
        this.queries = queries;
        this.keys = keys;
        this.options = options;
        q = Tensor.random(dtype, 1, 1, heads, queries, HEAD_DIM);
        k = Tensor.random(dtype, 2, 1, heads, keys, HEAD_DIM);
        v = Tensor.random(dtype, 3, 1, heads, keys, HEAD_DIM);
        output = Tensor.allocate(DType.F32, 1, heads, queries, HEAD_DIM);
        logSumExp = Tensor.allocate(DType.F32, 1, heads, queries);
    }

    /**
     * A lesson with as many queries as keys.
     *
     * @param arguments heads and sequence length; without, 16 and 2048 on a GPU, 2 and 128 elsewhere
     * @throws IllegalArgumentException if the length is not a multiple of 64
     */
    public static Lesson of(String title, String[] arguments) {
        int[] size = sizes(arguments);
        return begin(title, new Lesson(DType.F32, size[0], size[1], size[1], AttentionOptions.defaults()));
    }

    /**
     * A lesson on tensor cores: queries, keys and values in F16, the output in F32.
     *
     * @param arguments as for {@link #of}
     * @param like the library's kernel that needs the same of a device
     * @throws UnsupportedOnDeviceException if the device lacks that
     */
    public static Lesson ofHalves(String title, String[] arguments, AttentionKernel like) {
        int[] size = sizes(arguments);
        Lesson lesson = new Lesson(DType.F16, size[0], size[1], size[1], AttentionOptions.defaults());
        if (!like.supports(lesson.device)) {
            throw new UnsupportedOnDeviceException(
                    lesson.device,
                    "tensor cores that TornadoVM's CUDA backend reaches",
                    "run it in the simulator (unset TORNADOVM_HOME), or with that backend on compute capability 8.0 or later");
        }
        return begin(title, lesson);
    }

    /** A lesson with one query a head, the last of the sequence, as when text is generated token by token. */
    public static Lesson ofOneQuery(String title, String[] arguments) {
        int[] size = sizes(arguments);
        return begin(title, new Lesson(DType.F32, size[0], 1, size[1], AttentionOptions.defaults()));
    }

    private static int[] sizes(String[] arguments) {
        boolean large = Devices.bestForTaskGraphs().type() == TornadoDeviceType.GPU
                && !Devices.bestForTaskGraphs().isSimulator();
        int heads = arguments.length > 0 ? number(arguments[0]) : large ? 16 : 2;
        int length = arguments.length > 1 ? number(arguments[1]) : large ? 2048 : 128;
        if (heads < 1 || length < 64 || length % 64 != 0) {
            throw new IllegalArgumentException(
                    "%d heads of %d tokens: the lessons take 1 head or more and multiples of 64 tokens."
                            .formatted(heads, length));
        }
        return new int[] {heads, length};
    }

    private static int number(String text) {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("'%s' is no whole number.".formatted(text), e);
        }
    }

    private static Lesson begin(String title, Lesson lesson) {
        lesson.out.println(title);
        lesson.out.printf(
                "%d heads, %d queries, %d keys, headDim %d, %s, on %s%n",
                lesson.heads, lesson.queries, lesson.keys, HEAD_DIM, lesson.dtype, lesson.device);
        if (lesson.device.isSimulator()) {
            lesson.out.println("In the simulator, whose times say nothing of a GPU: compare bytes and instructions.");
        }
        return lesson;
    }

    /** The same inputs under another mask. */
    public Lesson with(Mask mask) {
        return new Lesson(dtype, heads, queries, keys, options.withMask(mask));
    }

    /** Query heads, and as many of keys. */
    public int heads() {
        return heads;
    }

    /** Queries of a head. */
    public int queries() {
        return queries;
    }

    /** Keys of a head. */
    public int keys() {
        return keys;
    }

    /** The factor of q·k. */
    public float scale() {
        return (float) options.scaleFor(HEAD_DIM);
    }

    /** Queries {@code [heads, queries, HEAD_DIM]}. */
    public FloatArray q() {
        return q.floatArray();
    }

    /** Keys {@code [heads, keys, HEAD_DIM]}. */
    public FloatArray k() {
        return k.floatArray();
    }

    /** Values, like the keys. */
    public FloatArray v() {
        return v.floatArray();
    }

    /** The queries of a lesson {@link #ofHalves}. */
    public HalfFloatArray halfQ() {
        return q.halfFloatArray();
    }

    /** The keys of a lesson {@link #ofHalves}. */
    public HalfFloatArray halfK() {
        return k.halfFloatArray();
    }

    /** The values of a lesson {@link #ofHalves}. */
    public HalfFloatArray halfV() {
        return v.halfFloatArray();
    }

    /** Where the output goes, like the queries. */
    public FloatArray o() {
        return output.floatArray();
    }

    /** Where the log-sum-exp of each query goes, {@code [heads, queries]}. */
    public FloatArray l() {
        return logSumExp.floatArray();
    }

    /** The tensors q, k and v, and options, for checks of one's own. */
    public List<Tensor> inputs() {
        return List.of(q, k, v);
    }

    /** What is computed. */
    public AttentionOptions options() {
        return options;
    }

    /** Operations of the forward pass as the field counts them, every query seeing every key. */
    public double flops() {
        return 4.0 * heads * queries * keys * HEAD_DIM;
    }

    /** Says what the operations and the traffic of device memory allow on this device. */
    public void predict(double flops, double bytes) {
        predictedBytes = bytes;
        if (device.isSimulator()) {
            out.printf(Locale.ROOT, "predicted: %.3g operations, %.3g bytes%n", flops, bytes);
            return;
        }
        if (ceilings == null) {
            ceilings = CeilingBenchmark.measure(device);
        }
        Double tensorCores = dtype == DType.F16 ? ceilings.tensorFlopsPerSecond() : null;
        double arithmetic = 1e3 * flops / Objects.requireNonNullElse(tensorCores, ceilings.f32FlopsPerSecond());
        double memory = 1e3 * bytes / ceilings.copyBytesPerSecond();
        out.printf(
                Locale.ROOT,
                "predicted: %.3g operations, %.3g bytes; at least %.3g ms for arithmetic and %.3g ms for memory: bound by %s%n",
                flops,
                bytes,
                arithmetic,
                memory,
                arithmetic > memory ? "arithmetic" : "memory");
    }

    /** A graph that brings the inputs, the outputs' arrays and scratch arrays to the device; add the tasks. */
    public TaskGraph graph(Object... scratch) {
        output.fill(Float.NaN);
        logSumExp.fill(Float.NaN);
        TaskGraph graph = new TaskGraph("lesson");
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array(), o(), l());
        if (scratch.length > 0) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, scratch);
        }
        return graph;
    }

    /** A grid in one dimension; the last group may be short of work, never of work-items. */
    public static WorkerGrid1D grid(int workItems, int groupSize) {
        WorkerGrid1D grid = new WorkerGrid1D(Math.ceilDiv(workItems, groupSize) * groupSize);
        grid.setLocalWork(groupSize, 1, 1);
        return grid;
    }

    /**
     * Runs a graph, brings results back and prints the median time of its kernels; in the simulator, whose time says
     * nothing of a GPU, what they moved and did instead.
     *
     * @param flops operations, for the throughput
     * @param results arrays to bring back
     * @return the median in milliseconds
     */
    public double run(String name, TaskGraph graph, GridScheduler grids, double flops, Object... results) {
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, results);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).withProfiler(ProfilerMode.SILENT);
            TornadoExecutionResult last = plan.execute();
            long[] times = new long[device.isSimulator() ? 1 : REPETITIONS];
            for (int i = 0; i < times.length; i++) {
                last = plan.execute();
                times[i] = last.getProfilerResult().getDeviceKernelTime();
                if (times[i] == 0) {
                    throw new AttentionException(
                            "%s reports no kernel time, so nothing was launched.".formatted(device));
                }
            }
            Map<String, Long> counts = device.isSimulator() ? SimulatorBridge.count(plan::execute) : Map.of();
            last.transferToHost(results);
            Spread spread = Spread.of(times);
            double milliseconds = 1e3 * spread.medianSeconds();
            if (device.isSimulator()) {
                out.println(name + counted(last) + instructions(counts));
                return milliseconds;
            }
            out.printf(
                    Locale.ROOT,
                    "%s: %.3g ms ± %.1f%%, %.4g GFLOP/s%n",
                    name,
                    milliseconds,
                    100 * spread.relativeSpread(),
                    flops / milliseconds / 1e6);
            return milliseconds;
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of the lesson could not be closed.", e);
        }
    }

    /** The bytes that the simulator has counted, beside those that were predicted. */
    private String counted(TornadoExecutionResult result) {
        Long bytes = BenchSession.countedBytes(result);
        if (bytes == null) {
            return ": the simulator has counted nothing";
        }
        String predicted = predictedBytes == bytes
                ? ", as predicted"
                : predictedBytes > 0
                        ? String.format(
                                Locale.ROOT, ", %.3g times the %,.0f predicted", bytes / predictedBytes, predictedBytes)
                        : "";
        return String.format(Locale.ROOT, ": the simulator counted %,d bytes%s", bytes, predicted);
    }

    private static String instructions(Map<String, Long> counts) {
        return String.format(
                Locale.ROOT,
                "; %,d instructions of warps, %,d bank conflicts, %.2f times the fewest sectors",
                counts.getOrDefault("warp instructions", 0L),
                counts.getOrDefault("bank conflicts", 0L),
                counts.getOrDefault("sectors", 0L) / (double) Math.max(1, counts.getOrDefault("fewest sectors", 1L)));
    }

    /**
     * Compares the output and the log-sum-exp with the oracle.
     *
     * @throws AttentionException if they are wrong
     */
    public void check() {
        BenchCase problem = new BenchCase(
                Direction.FORWARD,
                dtype,
                new AttentionShape(1, heads, heads, queries, keys, HEAD_DIM),
                options.mask().isCausal());
        report(new SampledCheck(problem, q, k, v).compare(output, logSumExp, false));
    }

    /** Compares gradients, over tensors like q, k and v, with the oracle. */
    public void check(Tensor dOutput, Tensor dQ, Tensor dK, Tensor dV) {
        report(AccuracyCheck.of(q, k, v, dOutput, options).gradients(Gradients.of(dQ, dK, dV)));
    }

    private void report(List<Comparison> comparisons) {
        comparisons.stream()
                .filter(comparison -> !comparison.passed())
                .findFirst()
                .ifPresent(wrong -> {
                    throw new AttentionException("The kernel is wrong: " + wrong);
                });
        Accuracy accuracy = Accuracy.of(comparisons);
        out.printf(
                Locale.ROOT,
                "error against float64: %.1e of %.1e allowed%n",
                accuracy.maxError(),
                accuracy.allowedError());
    }
}
