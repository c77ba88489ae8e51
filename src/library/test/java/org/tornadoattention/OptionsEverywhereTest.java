package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KeyValueCache;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.PagedKvCache;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.cache.RaggedTasks;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Every option is obeyed or refused by every way to compute attention; none is accepted and ignored. */
class OptionsEverywhereTest {

    private static final int TOKENS = 12;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 16;

    /** A value of each option with which the result is another one, by the method that sets it. */
    private static final Map<String, UnaryOperator<AttentionOptions>> OPTIONS = new LinkedHashMap<>();

    static {
        OPTIONS.put("withScale", options -> options.withScale(1.5));
        OPTIONS.put("withMask", options -> options.withMask(Mask.window(3, 1)));
        OPTIONS.put("withCausal", AttentionOptions::withCausal);
        OPTIONS.put("withWindow", options -> options.withWindow(2, 2));
        OPTIONS.put("withSoftcap", options -> options.withSoftcap(0.25));
        OPTIONS.put("withAlibi", options -> options.withAlibi(0.7f, 0.3f));
        OPTIONS.put("withKeyLengths", options -> options.withKeyLengths(5));
        OPTIONS.put("withScore", options -> options.withScore((s, b, h, i, j) -> s + 0.1f * j));
        OPTIONS.put("withMask of a function", options -> options.withMask(Mask.of((b, h, i, j) -> (i + j) % 3 != 0)));
        OPTIONS.put("withBias", options -> options.withBias(Tensor.random(DType.F32, 9, 1, HEADS, TOKENS, TOKENS)));
        OPTIONS.put("withSinks", options -> options.withSinks(Tensor.of(new float[] {1, 2}, HEADS)));
        OPTIONS.put("withDropout", options -> options.withDropout(0.5, 7));
    }

    /** Those that put an option back to its default. */
    private static final Set<String> DEFAULTS = Set.of(
            "withDefaultScale",
            "withoutAlibi",
            "withoutKeyLengths",
            "withoutDropout",
            "withoutScore",
            "withoutBias",
            "withoutSinks");

    private static final Set<String> FUNCTIONS = Set.of("withScore", "withMask of a function", "withBias", "withSinks");

    private static final Set<String> NOT_IN_INFERENCE = Set.of("withKeyLengths", "withDropout");

    /** What attention gives for tensors of a type, checked against the oracle of other options if that is asked for. */
    @FunctionalInterface
    private interface Computation {
        List<Comparison> compare(AttentionOptions given, AttentionOptions oracle) throws Exception;
    }

    /** A way to compute attention, and the options that it refuses. */
    private record Way(String name, Set<String> refused, Computation computation) {
        @Override
        public String toString() {
            return name;
        }
    }

    private record Inputs(Tensor q, Tensor k, Tensor v, Tensor dOut) {
        static Inputs of(DType dtype) {
            return new Inputs(
                    Tensor.random(dtype, 1, 1, HEADS, TOKENS, HEAD_DIM),
                    Tensor.random(dtype, 2, 1, 1, TOKENS, HEAD_DIM),
                    Tensor.random(dtype, 3, 1, 1, TOKENS, HEAD_DIM),
                    Tensor.random(dtype, 4, 1, HEADS, TOKENS, HEAD_DIM));
        }

        AccuracyCheck check(AttentionOptions options) {
            return AccuracyCheck.of(q, k, v, dOut, options);
        }

        List<Comparison> compare(AttentionResult result, AttentionOptions oracle) {
            return check(oracle).forward(result.output(), result.logSumExp());
        }
    }

    private static final Inputs F32 = Inputs.of(DType.F32);

    private static Stream<Way> ways() {
        List<Way> ways = new ArrayList<>();
        for (AttentionKernel kernel : AttentionKernel.values()) {
            // Rounding to 8 bits hides what an option changes in so few numbers; its options are those of warp-group.
            if (kernel.supports(TestDevice.of(kernel)) && !kernel.isFp8()) {
                Inputs inputs = Inputs.of(kernel.supports(DType.F32) ? DType.F32 : DType.F16);
                Set<String> refused = new HashSet<>();
                if (!kernel.supportsDropout()) {
                    refused.add("withDropout");
                }
                if (!kernel.spec().functions()) {
                    refused.addAll(FUNCTIONS);
                }
                ways.add(new Way("forward " + kernel.id(), refused, (given, oracle) -> {
                    try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
                        return inputs.compare(attention.forward(inputs.q, inputs.k, inputs.v, given), oracle);
                    }
                }));
            }
        }
        for (DType dtype : List.of(DType.F32, DType.F16)) {
            Inputs inputs = Inputs.of(dtype);
            ways.add(new Way("backward " + dtype, Set.of(), (given, oracle) -> {
                try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
                    AttentionResult result = attention.forward(inputs.q, inputs.k, inputs.v, given);
                    return inputs.check(oracle).gradients(attention.backward(result, inputs.dOut));
                }
            }));
        }
        ways.add(new Way("appendTo", Set.of(), (given, oracle) -> F32.compare(inGraph(given).result, oracle)));
        ways.add(new Way(
                "appendBackwardTo",
                Set.of(),
                (given, oracle) -> F32.check(oracle).gradients(inGraph(given).gradients)));
        ways.add(new Way("forwardRagged", NOT_IN_INFERENCE, (given, oracle) -> F32.compare(ragged(given), oracle)));
        for (ComputeDevice device : List.of(TestDevice.get(), TestDevice.jvm())) {
            String on = " on " + device.backend();
            CacheOptions options = CacheOptions.of(DType.F32).on(device);
            ways.add(new Way("KvCache.forward of queries" + on, NOT_IN_INFERENCE, (given, oracle) -> {
                try (KvCache cache = contiguous(options)) {
                    return F32.compare(appendedFirst(cache, given), oracle);
                }
            }));
            ways.add(new Way("KvCache.forward of tokens" + on, NOT_IN_INFERENCE, (given, oracle) -> {
                try (KvCache cache = contiguous(options)) {
                    return F32.compare(cache.forward(F32.q, F32.k, F32.v, given), oracle);
                }
            }));
            ways.add(new Way("PagedKvCache.forward of queries" + on, NOT_IN_INFERENCE, (given, oracle) -> {
                try (PagedKvCache cache = paged(options)) {
                    return F32.compare(appendedFirst(cache, given), oracle);
                }
            }));
            ways.add(new Way("PagedKvCache.forward of tokens" + on, NOT_IN_INFERENCE, (given, oracle) -> {
                try (PagedKvCache cache = paged(options)) {
                    return F32.compare(cache.forward(F32.q, F32.k, F32.v, given), oracle);
                }
            }));
        }
        ways.add(new Way("KvCache.appendTo", NOT_IN_INFERENCE, (given, oracle) -> {
            try (KvCache cache = contiguous(CacheOptions.of(DType.F32).on(TestDevice.get()))) {
                return F32.compare(stepInGraph(cache::appendTo, () -> {}, given), oracle);
            }
        }));
        ways.add(new Way("PagedKvCache.appendTo", NOT_IN_INFERENCE, (given, oracle) -> {
            try (PagedKvCache cache = paged(CacheOptions.of(DType.F32).on(TestDevice.get()))) {
                return F32.compare(stepInGraph(cache::appendTo, () -> cache.next(TOKENS), given), oracle);
            }
        }));
        ways.add(new Way("appendTo over a pool", NOT_IN_INFERENCE, (given, oracle) -> {
            try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
                IntArray positions = new IntArray(1);
                KeyValuePool pool = KeyValuePool.of(F32.k, F32.v, positions);
                return F32.compare(
                        stepInGraph(
                                (graph, grids, name, q, _, _, output, logSumExp, options) -> {
                                    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, positions);
                                    attention.appendTo(graph, grids, name, q, pool, output, logSumExp, options);
                                },
                                () -> {},
                                given),
                        oracle);
            }
        }));
        for (ComputeDevice device : List.of(TestDevice.get(), TestDevice.jvm())) {
            ways.add(new Way("RaggedAttention.backward on " + device.backend(), NOT_IN_INFERENCE, (given, oracle) -> {
                return F32.check(oracle).gradients(raggedGradients(device, given));
            }));
        }
        Set<String> notInTasks = new HashSet<>(NOT_IN_INFERENCE);
        notInTasks.addAll(Set.of("withScore", "withMask of a function", "withBias"));
        ways.add(new Way("RaggedTasks.append", notInTasks, (given, oracle) -> F32.compare(raggedTasks(given), oracle)));
        Set<String> ofAWholeProblem = Set.of("withAlibi", "withScore", "withMask of a function", "withDropout");
        for (DistributedAttention.Division division : DistributedAttention.Division.values()) {
            ways.add(new Way("DistributedAttention by " + division, ofAWholeProblem, (given, oracle) -> {
                try (DistributedAttention attention =
                        DistributedAttention.on(List.of(TestDevice.get(), TestDevice.get()), division)) {
                    AttentionResult result = attention.forward(F32.q, F32.k, F32.v, given);
                    List<Comparison> all = new ArrayList<>(F32.compare(result, oracle));
                    all.addAll(F32.check(oracle).gradients(attention.backward(result, F32.dOut)));
                    return all;
                }
            }));
        }
        return ways.stream();
    }

    private static KvCache contiguous(CacheOptions options) {
        return KvCache.builder()
                .batch(1)
                .heads(HEADS, 1)
                .headDim(HEAD_DIM)
                .capacity(TOKENS)
                .options(options)
                .build();
    }

    private static PagedKvCache paged(CacheOptions options) {
        return PagedKvCache.builder()
                .sequences(1)
                .heads(HEADS, 1)
                .headDim(HEAD_DIM)
                .capacity(TOKENS)
                .pageSize(4)
                .pages(3)
                .options(options)
                .build();
    }

    private static AttentionResult appendedFirst(KeyValueCache cache, AttentionOptions options) {
        cache.append(F32.k, F32.v);
        return cache.forward(F32.q, options);
    }

    private record GraphResult(AttentionResult result, Gradients gradients) {}

    private static GraphResult inGraph(AttentionOptions options) throws TornadoExecutionPlanException {
        Tensor output = Tensor.allocate(DType.F32, F32.q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, TOKENS);
        Gradients gradients = Gradients.of(
                Tensor.allocate(DType.F32, F32.q.shape()),
                Tensor.allocate(DType.F32, F32.k.shape()),
                Tensor.allocate(DType.F32, F32.v.shape()));
        BackwardTensors tensors = BackwardTensors.builder()
                .q(F32.q)
                .k(F32.k)
                .v(F32.v)
                .output(output)
                .logSumExp(logSumExp)
                .dOut(F32.dOut)
                .dQ(gradients.dQ())
                .dK(gradients.dK())
                .dV(gradients.dV())
                .build();
        Object[] results = {
            output.array(),
            logSumExp.array(),
            gradients.dQ().array(),
            gradients.dK().array(),
            gradients.dV().array()
        };
        TaskGraph graph = new TaskGraph("graph");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.EVERY_EXECUTION, F32.q.array(), F32.k.array(), F32.v.array(), F32.dOut.array());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, results);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            attention.appendTo(graph, grids, "forward", F32.q, F32.k, F32.v, output, logSumExp, options);
            attention.appendBackwardTo(graph, grids, "backward", tensors, options);
            run(graph.transferToHost(DataTransferMode.EVERY_EXECUTION, results), grids);
        }
        return new GraphResult(AttentionResult.of(output, logSumExp), gradients);
    }

    /** Appends a step to a graph. */
    @FunctionalInterface
    private interface Appending {
        void append(
                TaskGraph graph,
                GridScheduler grids,
                String name,
                Tensor q,
                Tensor k,
                Tensor v,
                Tensor output,
                Tensor logSumExp,
                AttentionOptions options);
    }

    /** @param before what the host does before the execution */
    private static AttentionResult stepInGraph(Appending appending, Runnable before, AttentionOptions options)
            throws TornadoExecutionPlanException {
        Tensor output = Tensor.allocate(DType.F32, F32.q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, TOKENS);
        TaskGraph graph = new TaskGraph("graph");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.EVERY_EXECUTION,
                F32.q.array(),
                F32.k.array(),
                F32.v.array(),
                output.array(),
                logSumExp.array());
        appending.append(graph, grids, "step", F32.q, F32.k, F32.v, output, logSumExp, options);
        before.run();
        run(graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array()), grids);
        return AttentionResult.of(output, logSumExp);
    }

    private static void run(TaskGraph graph, GridScheduler grids) throws TornadoExecutionPlanException {
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
            plan.freeDeviceMemory();
        }
    }

    /** {@code [1, heads, tokens, …]} packed as {@code [tokens, heads, …]}. */
    private static Tensor packed(Tensor tensor) {
        Tensor packed = Tensor.allocate(DType.F32, TOKENS, tensor.heads(), HEAD_DIM);
        for (int at = 0; at < packed.numberOfElements(); at++) {
            int head = at / HEAD_DIM % tensor.heads();
            int token = at / HEAD_DIM / tensor.heads();
            packed.setFlat(at, tensor.get(0, head, token, at % HEAD_DIM));
        }
        return packed;
    }

    /** The contrary. */
    private static Tensor unpacked(Tensor packed) {
        int[] shape = packed.shape();
        int width = shape.length == 3 ? shape[2] : 1;
        Tensor unpacked = shape.length == 3
                ? Tensor.allocate(DType.F32, 1, shape[1], TOKENS, width)
                : Tensor.allocate(DType.F32, 1, shape[1], TOKENS);
        for (int at = 0; at < packed.numberOfElements(); at++) {
            int head = at / width % shape[1];
            int token = at / width / shape[1];
            unpacked.setFlat((head * TOKENS + token) * width + at % width, packed.getFlat(at));
        }
        return unpacked;
    }

    private static AttentionResult unpacked(AttentionResult result) {
        return AttentionResult.of(unpacked(result.output()), unpacked(result.logSumExp()));
    }

    private static AttentionResult ragged(AttentionOptions options) {
        IntArray offsets = IntArray.fromElements(0, TOKENS);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            return unpacked(
                    attention.forwardRagged(packed(F32.q), packed(F32.k), packed(F32.v), offsets, offsets, options));
        }
    }

    private static Gradients raggedGradients(ComputeDevice device, AttentionOptions options) {
        IntArray offsets = IntArray.fromElements(0, TOKENS);
        Tensor q = packed(F32.q);
        Tensor k = packed(F32.k);
        Tensor v = packed(F32.v);
        try (RaggedAttention ragged = new RaggedAttention(device)) {
            AttentionResult result = ragged.forward(q, k, v, offsets, offsets, options);
            Gradients gradients = ragged.backward(q, k, v, offsets, offsets, options, result, packed(F32.dOut));
            return Gradients.of(unpacked(gradients.dQ()), unpacked(gradients.dK()), unpacked(gradients.dV()));
        }
    }

    private static AttentionResult raggedTasks(AttentionOptions options) throws TornadoExecutionPlanException {
        Tensor q = packed(F32.q);
        Tensor k = packed(F32.k);
        Tensor v = packed(F32.v);
        Tensor output = Tensor.allocate(DType.F32, q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, TOKENS, HEADS);
        IntArray offsets = IntArray.fromElements(0, TOKENS);
        TaskGraph graph = new TaskGraph("graph");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array(), output.array(), logSumExp.array());
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            RaggedTasks tasks = ragged.tasks(graph, grids, q, k, 1, options);
            tasks.append("packed", q, k, v, output, logSumExp);
            tasks.divide(offsets, offsets);
            run(graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array()), grids);
        }
        return unpacked(AttentionResult.of(output, logSumExp));
    }

    static Stream<Arguments> waysAndOptions() {
        return CoveringArray.today(
                ways().flatMap(way -> OPTIONS.keySet().stream().map(option -> Arguments.of(way, option))));
    }

    @ParameterizedTest
    @MethodSource("waysAndOptions")
    void everyOptionIsObeyedOrRefused(Way way, String option) throws Exception {
        AttentionOptions plain = AttentionOptions.defaults();
        AttentionOptions options = OPTIONS.get(option).apply(plain);
        if (way.refused.contains(option)) {
            assertThatIllegalArgumentException().isThrownBy(() -> way.computation.compare(options, options));
            return;
        }
        assertThat(way.computation.compare(options, options))
                .as("%s obeyed", options)
                .allMatch(Comparison::passed);
        assertThat(way.computation.compare(options, plain))
                .as("%s makes a difference", options)
                .anyMatch(comparison -> !comparison.passed());
    }

    /** So that an option that is added later is tried here too. */
    @Test
    void allOptionsAreTried() {
        Set<String> methods = Arrays.stream(AttentionOptions.class.getMethods())
                .filter(method -> !Modifier.isStatic(method.getModifiers()))
                .map(Method::getName)
                .filter(name -> name.startsWith("with") && !DEFAULTS.contains(name))
                .collect(Collectors.toSet());
        assertThat(OPTIONS.keySet().stream().map(name -> name.split(" ")[0]).distinct())
                .containsExactlyInAnyOrderElementsOf(methods);
    }
}
