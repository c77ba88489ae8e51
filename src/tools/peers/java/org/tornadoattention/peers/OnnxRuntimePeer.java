package org.tornadoattention.peers;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.Accuracy;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.BenchResult.Status;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.Environment;
import org.tornadoattention.bench.Memory;
import org.tornadoattention.bench.Preset;
import org.tornadoattention.bench.Spread;
import org.tornadoattention.bench.Timing;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * ONNX Runtime on the CPU as a peer that needs nothing installed: a preset's forward problems in F32, checked against
 * the float64 oracle before they are timed, in the JSON of {@code ./attention bench}.
 */
public final class OnnxRuntimePeer {

    private static final int WARM_UPS = 3;
    private static final int REPETITIONS = 15;
    private static final long NANOSECONDS_AT_MOST = 3_000_000_000L;
    private static final Set<String> OUTPUT = Set.of("o");

    /** The graphs, by the names that they have as kernels. */
    enum Graph {
        /** The formula, operator by operator. */
        STANDARD,
        /** The fused operator. */
        FUSED,
        /** The one of models that generate, which knows causal masks only. */
        GROUPED;

        byte[] model(BenchCase problem) {
            return switch (this) {
                case STANDARD -> OnnxAttention.standard(problem.shape(), problem.causal());
                case FUSED -> OnnxAttention.fused(problem.shape(), problem.causal());
                case GROUPED -> OnnxAttention.grouped(problem.shape());
            };
        }

        /** Whether it computes a problem that {@link OnnxRuntimePeer#takes} says yes to. */
        boolean takes(BenchCase problem) {
            return this != GROUPED || problem.causal();
        }

        /** What its inputs are beside q, k and v; closing them is the caller's. */
        Map<String, OnnxTensor> others(OrtEnvironment environment, AttentionShape shape) throws OrtException {
            if (this != GROUPED) {
                return Map.of();
            }
            int[] lengths = new int[shape.batch()];
            Arrays.fill(lengths, shape.seqK() - 1);
            return Map.of(
                    "lengths", OnnxTensor.createTensor(environment, lengths),
                    "longest", OnnxTensor.createTensor(environment, new int[] {shape.seqK()}));
        }

        private int[] shape(AttentionShape shape) {
            return this == STANDARD
                    ? shape.queryShape()
                    : new int[] {shape.batch(), shape.seqQ(), shape.heads() * shape.headDim()};
        }
    }

    private OnnxRuntimePeer() {}

    /**
     * Measures a preset and writes a file.
     *
     * @param arguments the preset's name, the file, and threads if not all
     */
    public static void main(String[] arguments) throws IOException, OrtException {
        if (arguments.length < 2) {
            throw new IllegalArgumentException(
                    "Give the preset's name and the file to write, such as quick onnx.json.");
        }
        ResultFile out = ResultFile.at(Path.of(arguments[1]));
        int threads = arguments.length > 2
                ? Integer.parseInt(arguments[2])
                : Runtime.getRuntime().availableProcessors();
        List<BenchResult> results = new ArrayList<>();
        for (BenchCase problem : Preset.named(arguments[0]).cases()) {
            if (!takes(problem)) {
                continue;
            }
            for (Graph graph : Graph.values()) {
                if (!graph.takes(problem)) {
                    continue;
                }
                BenchResult result = measure(problem, graph, threads);
                results.add(result);
                System.out.printf(
                        "%s onnxruntime %s: %.3f ms, %.1f GFLOP/s, error %.1e (%.1e)%n",
                        problem,
                        result.kernel(),
                        result.timing().kernelMilliseconds(),
                        1e3 * result.timing().teraflops(),
                        result.accuracy().maxError(),
                        result.accuracy().allowedError());
            }
        }
        out.write(BenchFile.of(arguments[0], true, environment(threads), null, 0, results)
                        .toJson()
                + "\n");
        System.out.println("Wrote " + out);
    }

    /** Whether the operators compute a problem. */
    static boolean takes(BenchCase problem) {
        AttentionShape shape = problem.shape();
        return problem.dtype() == DType.F32
                && problem.pass() == Direction.FORWARD
                && shape.heads() == shape.kvHeads()
                && shape.seqQ() == shape.seqK();
    }

    /** Checks and times one problem. */
    static BenchResult measure(BenchCase problem, Graph graph, int threads) throws OrtException {
        AttentionShape shape = problem.shape();
        Tensor q = Tensor.random(DType.F32, 1, shape.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = Tensor.random(DType.F32, 3, shape.keyShape());
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(threads);
            options.setInterOpNumThreads(1);
            try (OrtSession session = environment.createSession(graph.model(problem), options);
                    OnnxTensor queries = input(environment, q, graph, shape);
                    OnnxTensor keys = input(environment, k, graph, shape);
                    OnnxTensor values = input(environment, v, graph, shape)) {
                Map<String, OnnxTensor> others = graph.others(environment, shape);
                Map<String, OnnxTensor> inputs = new HashMap<>(others);
                inputs.putAll(Map.of("q", queries, "k", keys, "v", values));
                Accuracy accuracy;
                try (OrtSession.Result result = session.run(inputs, OUTPUT)) {
                    accuracy = check(problem, q, k, v, output((OnnxTensor) result.get(0), graph, shape));
                }
                Spread spread = time(session, inputs);
                others.values().forEach(OnnxTensor::close);
                return new BenchResult(
                        problem,
                        "onnxruntime",
                        graph.name().toLowerCase(Locale.ROOT),
                        null,
                        Status.MEASURED,
                        null,
                        Timing.of(problem, spread, spread),
                        new Memory(2 * q.byteSize() + 2 * k.byteSize(), 0, null, null),
                        accuracy,
                        null,
                        null);
            }
        }
    }

    private static Spread time(OrtSession session, Map<String, OnnxTensor> inputs) throws OrtException {
        for (int i = 0; i < WARM_UPS; i++) {
            session.run(inputs, OUTPUT).close();
        }
        long[] times = new long[REPETITIONS];
        long begin = System.nanoTime();
        int done = 0;
        while (done < REPETITIONS && (done < 3 || System.nanoTime() - begin < NANOSECONDS_AT_MOST)) {
            long start = System.nanoTime();
            session.run(inputs, OUTPUT).close();
            times[done++] = System.nanoTime() - start;
        }
        return Spread.of(Arrays.copyOf(times, done));
    }

    /** The output alone: these graphs give no log-sum-exp. */
    static Accuracy check(BenchCase problem, Tensor q, Tensor k, Tensor v, Tensor output) {
        AccuracyCheck check = AccuracyCheck.of(q, k, v, problem.options());
        Tensor unused = Tensor.allocate(DType.F32, problem.shape().logSumExpShape());
        List<Comparison> comparisons = check.forward(output, unused).stream()
                .filter(comparison -> comparison.name().equals("o"))
                .toList();
        Accuracy accuracy = Accuracy.of(comparisons);
        if (!accuracy.passed()) {
            throw new IllegalStateException("ONNX Runtime's result is not attention: " + comparisons);
        }
        return accuracy;
    }

    static OnnxTensor input(OrtEnvironment environment, Tensor tensor, Graph graph, AttentionShape shape)
            throws OrtException {
        float[] values = tensor.toFloatArray();
        if (graph != Graph.STANDARD) {
            values = exchanged(values, shape.batch(), shape.heads(), shape.seqQ(), shape.headDim());
        }
        long[] lengths = Arrays.stream(graph.shape(shape)).asLongStream().toArray();
        return OnnxTensor.createTensor(environment, FloatBuffer.wrap(values), lengths);
    }

    static Tensor output(OnnxTensor output, Graph graph, AttentionShape shape) {
        FloatBuffer buffer = output.getFloatBuffer();
        float[] values = new float[buffer.remaining()];
        buffer.get(values);
        if (graph != Graph.STANDARD) {
            values = exchanged(values, shape.batch(), shape.seqQ(), shape.heads(), shape.headDim());
        }
        return Tensor.of(values, shape.queryShape());
    }

    /** {@code [outer, a, b, inner]} as {@code [outer, b, a, inner]}. */
    private static float[] exchanged(float[] values, int outer, int a, int b, int inner) {
        float[] exchanged = new float[values.length];
        for (int o = 0; o < outer; o++) {
            for (int i = 0; i < a; i++) {
                for (int j = 0; j < b; j++) {
                    System.arraycopy(
                            values, ((o * a + i) * b + j) * inner, exchanged, ((o * b + j) * a + i) * inner, inner);
                }
            }
        }
        return exchanged;
    }

    private static Environment environment(int threads) {
        return new Environment(
                "CPU, %d threads".formatted(threads),
                "cpu",
                null,
                "ONNX Runtime " + OrtEnvironment.getEnvironment().getVersion(),
                null,
                System.getProperty("java.vm.name") + " " + Runtime.version(),
                "%s %s, %s"
                        .formatted(
                                System.getProperty("os.name"),
                                System.getProperty("os.version"),
                                System.getProperty("os.arch")),
                Runtime.getRuntime().availableProcessors(),
                null,
                Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    }
}
