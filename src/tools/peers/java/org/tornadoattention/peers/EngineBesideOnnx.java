package org.tornadoattention.peers;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.Preset;
import org.tornadoattention.device.Devices;
import org.tornadoattention.peers.OnnxRuntimePeer.Graph;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The JVM engine and ONNX Runtime's fused operators in turns, each on one thread and by its processor time, so that a
 * busy machine disturbs both alike: a preset's forward problems in F32, both results checked against the float64
 * oracle.
 */
public final class EngineBesideOnnx {

    private static final int WARM_UPS = 4;
    private static final int ROUNDS = 11;

    private EngineBesideOnnx() {}

    /**
     * Prints a line for each problem.
     *
     * @param arguments the preset's name
     */
    public static void main(String[] arguments) throws OrtException {
        if (arguments.length != 1) {
            throw new IllegalArgumentException("Give the preset's name, such as cpu.");
        }
        try (FlashAttention attention = FlashAttention.on(Devices.jvm(Runnable::run, 1))) {
            for (BenchCase problem : Preset.named(arguments[0]).cases()) {
                if (OnnxRuntimePeer.takes(problem)) {
                    measure(attention, problem);
                }
            }
        }
    }

    private static void measure(FlashAttention attention, BenchCase problem) throws OrtException {
        for (Graph graph : List.of(Graph.FUSED, Graph.GROUPED)) {
            if (graph.takes(problem)) {
                measure(attention, problem, graph);
            }
        }
    }

    private static void measure(FlashAttention attention, BenchCase problem, Graph graph) throws OrtException {
        Tensor q = Tensor.random(DType.F32, 1, problem.shape().queryShape());
        Tensor k = Tensor.random(DType.F32, 2, problem.shape().keyShape());
        Tensor v = Tensor.random(DType.F32, 3, problem.shape().keyShape());
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(1);
            options.setInterOpNumThreads(1);
            try (OrtSession session = environment.createSession(graph.model(problem), options);
                    OnnxTensor queries = OnnxRuntimePeer.input(environment, q, graph, problem.shape());
                    OnnxTensor keys = OnnxRuntimePeer.input(environment, k, graph, problem.shape());
                    OnnxTensor values = OnnxRuntimePeer.input(environment, v, graph, problem.shape())) {
                Map<String, OnnxTensor> others = graph.others(environment, problem.shape());
                Map<String, OnnxTensor> inputs = new HashMap<>(others);
                inputs.putAll(Map.of("q", queries, "k", keys, "v", values));
                try (OrtSession.Result result = session.run(inputs, Set.of("o"))) {
                    Tensor output = OnnxRuntimePeer.output((OnnxTensor) result.get(0), graph, problem.shape());
                    OnnxRuntimePeer.check(problem, q, k, v, output);
                }
                OnnxRuntimePeer.check(
                        problem,
                        q,
                        k,
                        v,
                        attention.forward(q, k, v, problem.options()).output());
                long[] ours = new long[ROUNDS];
                long[] theirs = new long[ROUNDS];
                for (int round = -WARM_UPS; round < ROUNDS; round++) {
                    long start = processorTime();
                    attention.forward(q, k, v, problem.options());
                    long between = processorTime();
                    session.run(inputs, Set.of("o")).close();
                    if (round >= 0) {
                        ours[round] = between - start;
                        theirs[round] = processorTime() - between;
                    }
                }
                others.values().forEach(OnnxTensor::close);
                Arrays.sort(ours);
                Arrays.sort(theirs);
                System.out.printf(
                        "%s: ours %.1f GFLOP/s, ONNX Runtime %s %s %.1f, ours is %.2f x as fast%n",
                        problem,
                        problem.flops() / ours[ROUNDS / 2],
                        environment.getVersion(),
                        graph.name().toLowerCase(Locale.ROOT),
                        problem.flops() / theirs[ROUNDS / 2],
                        (double) theirs[ROUNDS / 2] / ours[ROUNDS / 2]);
            }
        }
    }

    private static long processorTime() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }
}
