package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.PagedKvCache;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoProfilerResult;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Attention as one task among the caller's own, with nothing leaving the device in between. */
class AppendToTest {

    private static final AttentionShape SHAPE = new AttentionShape(1, 2, 2, 37, 37, 24);
    private static final int MODEL = SHAPE.heads() * SHAPE.headDim();
    private static final int TOKENS = SHAPE.seqQ();

    /** {@code y = x W}, from {@code [token, model]} to {@code [head, token, headDim]}. */
    static void project(FloatArray x, FloatArray w, FloatArray y, int tokens, int headDim, int model) {
        for (@Parallel int element = 0; element < y.getSize(); element++) {
            int token = element / headDim % tokens;
            int column = element / headDim / tokens * headDim + element % headDim;
            float sum = 0f;
            for (int i = 0; i < model; i++) {
                sum += x.get(token * model + i) * w.get(i * model + column);
            }
            y.set(element, sum);
        }
    }

    /** {@code y = x + factor · o}, from {@code [head, token, headDim]} back to {@code [token, model]}. */
    static void addResidual(
            FloatArray x, FloatArray o, FloatArray y, int tokens, int headDim, int model, float factor) {
        for (@Parallel int element = 0; element < y.getSize(); element++) {
            int head = element % model / headDim;
            int from = (head * tokens + element / model) * headDim + element % headDim;
            y.set(element, x.get(element) + factor * o.get(from));
        }
    }

    static Stream<AttentionKernel> floatKernels() {
        return AttentionCase.of(SHAPE, DType.F32, AttentionOptions.defaults()).kernelsOfTaskGraphs().stream();
    }

    static Stream<AttentionKernel> bfloat16Kernels() {
        return AttentionCase.of(SHAPE, DType.BF16, AttentionOptions.defaults()).kernelsOfTaskGraphs().stream();
    }

    @ParameterizedTest
    @MethodSource("floatKernels")
    void aLayerIsOneGraph(AttentionKernel kernel) throws TornadoExecutionPlanException {
        Tensor x = Tensor.random(DType.F32, 1, TOKENS, MODEL);
        FloatArray wQ = Tensor.random(DType.F32, 2, MODEL, MODEL).floatArray();
        FloatArray wK = Tensor.random(DType.F32, 3, MODEL, MODEL).floatArray();
        FloatArray wV = Tensor.random(DType.F32, 4, MODEL, MODEL).floatArray();
        Tensor q = Tensor.allocate(DType.F32, SHAPE.queryShape());
        Tensor k = Tensor.allocate(DType.F32, SHAPE.keyShape());
        Tensor v = Tensor.allocate(DType.F32, SHAPE.keyShape());
        Tensor o = Tensor.allocate(DType.F32, SHAPE.queryShape());
        Tensor lse = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        Tensor y = Tensor.allocate(DType.F32, TOKENS, MODEL);
        AttentionOptions options = AttentionOptions.causal().withScale(0.02).withAlibi(0.5f, 0.25f);

        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, wQ, wK, wV);
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, x.array());
        int headDim = SHAPE.headDim();
        graph.task("q", AppendToTest::project, x.floatArray(), wQ, q.floatArray(), TOKENS, headDim, MODEL);
        graph.task("k", AppendToTest::project, x.floatArray(), wK, k.floatArray(), TOKENS, headDim, MODEL);
        graph.task("v", AppendToTest::project, x.floatArray(), wV, v.floatArray(), TOKENS, headDim, MODEL);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            KernelChoice choice = attention.appendTo(graph, grids, "attention", q, k, v, o, lse, options);
            assertThat(choice.kernel()).isEqualTo(kernel);
            graph.task(
                    "residual",
                    AppendToTest::addResidual,
                    x.floatArray(),
                    o.floatArray(),
                    y.floatArray(),
                    TOKENS,
                    headDim,
                    MODEL,
                    0.5f);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, y.array());
            TornadoProfilerResult second;
            try (TornadoExecutionPlan plan = plan(graph, grids, attention)) {
                plan.execute();
                x.copyFrom(Tensor.random(DType.F32, 5, TOKENS, MODEL));
                second = plan.execute().getProfilerResult();
            }

            Tensor hostQ = Tensor.allocate(DType.F32, SHAPE.queryShape());
            Tensor hostK = Tensor.allocate(DType.F32, SHAPE.keyShape());
            Tensor hostV = Tensor.allocate(DType.F32, SHAPE.keyShape());
            Tensor expected = Tensor.allocate(DType.F32, TOKENS, MODEL);
            project(x.floatArray(), wQ, hostQ.floatArray(), TOKENS, headDim, MODEL);
            project(x.floatArray(), wK, hostK.floatArray(), TOKENS, headDim, MODEL);
            project(x.floatArray(), wV, hostV.floatArray(), TOKENS, headDim, MODEL);
            FloatArray hostO =
                    attention.forward(hostQ, hostK, hostV, options).output().floatArray();
            addResidual(x.floatArray(), hostO, expected.floatArray(), TOKENS, headDim, MODEL, 0.5f);
            assertThat(y.toFloatArray()).usingComparatorWithPrecision(1e-3f).containsExactly(expected.toFloatArray());
            assertMoved(second, x, y, kernel == AttentionKernel.STANDARD ? 7 : 5);
        }
    }

    /** The JVM runs no task graphs: what it appends is for the device that does. */
    @Test
    void anAttentionOnTheJvmAppendsForTheDeviceOfItsHandle() throws Exception {
        AttentionOptions options = AttentionOptions.causal();
        Tensor q = Tensor.random(DType.F32, 1, SHAPE.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, SHAPE.keyShape());
        Tensor v = Tensor.random(DType.F32, 3, SHAPE.keyShape());
        Tensor o = Tensor.allocate(DType.F32, SHAPE.queryShape());
        Tensor lse = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        TaskGraph graph = new TaskGraph("graph")
                .transferToDevice(
                        DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array(), o.array(), lse.array());
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(TestDevice.jvm())) {
            KernelChoice choice = attention.appendTo(graph, grids, "attention", q, k, v, o, lse, options);
            assertThat(choice.kernel()).isNotEqualTo(AttentionKernel.VECTOR);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, o.array());
            try (TornadoExecutionPlan plan = plan(graph, grids, attention)) {
                plan.execute();
            }
            assertThat(o.toFloatArray())
                    .usingComparatorWithPrecision(1e-5f)
                    .containsExactly(
                            attention.forward(q, k, v, options).output().toFloatArray());
        }
    }

    /** From {@code [token, head, headDim]} to {@code [head, token, headDim]}, or back. */
    static void swapOuterAxes(ShortArray from, ShortArray to, int outer, int inner, int headDim) {
        for (@Parallel int element = 0; element < to.getSize(); element++) {
            int row = element / headDim;
            to.set(element, from.get((row % outer * inner + row / outer) * headDim + element % headDim));
        }
    }

    @ParameterizedTest
    @MethodSource("bfloat16Kernels")
    void sixteenBitTensorsStayOnTheDeviceToo(AttentionKernel kernel) throws TornadoExecutionPlanException {
        int heads = SHAPE.heads();
        int headDim = SHAPE.headDim();
        Tensor tokensFirst = Tensor.random(DType.BF16, 1, TOKENS, heads, headDim);
        Tensor q = Tensor.allocate(DType.BF16, SHAPE.queryShape());
        Tensor o = Tensor.allocate(DType.BF16, SHAPE.queryShape());
        Tensor lse = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        Tensor result = Tensor.allocate(DType.BF16, TOKENS, heads, headDim);

        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, tokensFirst.array());
        graph.task(
                "heads-first",
                AppendToTest::swapOuterAxes,
                tokensFirst.bfloat16Bits(),
                q.bfloat16Bits(),
                TOKENS,
                heads,
                headDim);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            attention.appendTo(graph, grids, "attention", q, q, q, o, lse, AttentionOptions.causal());
            graph.task(
                    "tokens-first",
                    AppendToTest::swapOuterAxes,
                    o.bfloat16Bits(),
                    result.bfloat16Bits(),
                    heads,
                    TOKENS,
                    headDim);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, result.array());
            TornadoProfilerResult second;
            try (TornadoExecutionPlan plan = plan(graph, grids, attention)) {
                plan.execute();
                second = plan.execute().getProfilerResult();
            }

            Tensor hostQ = Tensor.allocate(DType.BF16, SHAPE.queryShape());
            swapOuterAxes(tokensFirst.bfloat16Bits(), hostQ.bfloat16Bits(), TOKENS, heads, headDim);
            Tensor hostO = attention
                    .forward(hostQ, hostQ, hostQ, AttentionOptions.causal())
                    .output();
            Tensor expected = Tensor.allocate(DType.BF16, TOKENS, heads, headDim);
            swapOuterAxes(hostO.bfloat16Bits(), expected.bfloat16Bits(), heads, TOKENS, headDim);
            assertThat(result.toFloatArray()).isEqualTo(expected.toFloatArray());
            assertMoved(second, tokensFirst, result, 3);
        }
    }

    @Test
    void oneAttentionMayFeedAnother() throws TornadoExecutionPlanException {
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, AttentionOptions.causal());
        Tensor q = problem.q();
        Tensor k = problem.k();
        Tensor v = problem.v();
        Tensor between = Tensor.allocate(DType.F32, SHAPE.queryShape());
        Tensor output = Tensor.allocate(DType.F32, SHAPE.queryShape());
        Tensor lse1 = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        Tensor lse2 = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        AttentionOptions second = AttentionOptions.defaults().withWindow(4, 4);

        TaskGraph graph = new TaskGraph("two");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array());
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            attention.appendTo(graph, grids, "first", q, k, v, between, lse1, problem.options());
            attention.appendTo(graph, grids, "second", between, k, v, output, lse2, second);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), lse2.array());
            try (TornadoExecutionPlan plan = plan(graph, grids, attention)) {
                plan.execute();
            }
            Tensor expectedBetween =
                    attention.forward(q, k, v, problem.options()).output();
            AttentionResult expected = attention.forward(expectedBetween, k, v, second);
            assertThat(output.toFloatArray()).isEqualTo(expected.output().toFloatArray());
            assertThat(lse2.toFloatArray()).isEqualTo(expected.logSumExp().toFloatArray());
        }
    }

    /** The input went in, the output came out, and nothing else beside a header each and the ids of each task. */
    private static void assertMoved(TornadoProfilerResult profile, Tensor input, Tensor output, int tasks) {
        assumeTrue(
                TestDevice.get().backend() != Backend.CUDA,
                "All but the bytes that moved was right: TornadoVM 5.2 does not count on CUDA what it copies");
        int header = 16;
        int ids = 24;
        assertThat(profile.getTotalBytesCopyIn()).isBetween(input.byteSize(), input.byteSize() + header + tasks * ids);
        assertThat(profile.getTotalBytesCopyOut()).isBetween(output.byteSize(), output.byteSize() + header);
    }

    private static TornadoExecutionPlan plan(TaskGraph graph, GridScheduler grids, FlashAttention attention) {
        return new TornadoExecutionPlan(graph.snapshot())
                .withDevice(attention.device().handle())
                .withGridScheduler(grids)
                .withProfiler(ProfilerMode.SILENT);
    }

    @Test
    void anEmptyProblemIsNoTask() {
        AttentionShape empty = new AttentionShape(1, 1, 1, 0, 3, 8);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(TestDevice.get(), empty, DType.F32))
                .withMessageContainingAll("no query or no key", "leave it out");
    }

    @Test
    void halvesNeedADeviceThatReadsThem() {
        ComputeDevice without = TestDevice.withoutHalfFloats();
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> append(without, SHAPE, DType.F16))
                .withMessageContainingAll("16-bit floats", "use F32 or BF16");
    }

    @Test
    void aDeviceThatIsTooSmallIsNamed() {
        ComputeDevice little = TestDevice.limited(1 << 16, 1024, 1L << 40, 1000);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> append(little, SHAPE, DType.F32))
                .withMessageContainingAll("memory", "it has 1,000");
    }

    /** TornadoVM itself says nothing: what came after a snapshot is no part of it and never runs. */
    @Test
    void aGraphThatHasASnapshotIsRefused() {
        Tensor tensor = Tensor.random(DType.F32, 1, SHAPE.queryShape());
        Tensor output = Tensor.allocate(DType.F32, SHAPE.queryShape());
        Tensor lse = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        AttentionOptions options = AttentionOptions.defaults();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            TaskGraph graph = new TaskGraph("graph");
            GridScheduler grids = new GridScheduler();
            attention.appendTo(graph, grids, "first", tensor, tensor, tensor, output, lse, options);
            graph.snapshot();
            assertThatExceptionOfType(RuntimeException.class)
                    .isThrownBy(() ->
                            attention.appendTo(graph, grids, "late", tensor, tensor, tensor, output, lse, options))
                    .withMessageContainingAll("graph has a snapshot already", "before snapshot()");
            TaskGraph other = new TaskGraph("graph");
            attention.appendTo(other, grids, "late", tensor, tensor, tensor, output, lse, options);
        }
    }

    /** An entry point that appends tasks. */
    private record EntryPoint(String name, BiConsumer<TaskGraph, GridScheduler> appending) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static final int[] ROWS = {1, 2, 4};
    private static final int[] STEP = {1, 2, 4, 8};

    static Stream<EntryPoint> entryPoints() {
        Tensor q = Tensor.random(DType.F32, 1, STEP);
        Tensor output = Tensor.allocate(DType.F32, STEP);
        Tensor lse = Tensor.allocate(DType.F32, ROWS);
        AttentionOptions options = AttentionOptions.causal();
        CacheOptions how = CacheOptions.of(DType.F32).on(TestDevice.get());
        return Stream.of(
                new EntryPoint("FlashAttention.appendBackwardTo", (graph, grids) -> {
                    BackwardTensors tensors = BackwardTensors.builder()
                            .q(q)
                            .k(q)
                            .v(q)
                            .output(output)
                            .logSumExp(lse)
                            .dOut(q)
                            .dQ(Tensor.allocate(DType.F32, STEP))
                            .dK(Tensor.allocate(DType.F32, STEP))
                            .dV(Tensor.allocate(DType.F32, STEP))
                            .build();
                    try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
                        attention.appendBackwardTo(graph, grids, "late", tensors, options);
                    }
                }),
                new EntryPoint("FlashAttention.appendTo over a pool", (graph, grids) -> {
                    KeyValuePool pool = KeyValuePool.of(q, q, new IntArray(1));
                    try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
                        attention.appendTo(graph, grids, "late", q, pool, output, lse, options);
                    }
                }),
                new EntryPoint(
                        "KeyValuePool.appendTo",
                        (graph, grids) -> KeyValuePool.of(q, q, new IntArray(1))
                                .appendTo(TestDevice.get(), graph, grids, "late", q, output, lse, options)),
                new EntryPoint("KvCache.appendTo", (graph, grids) -> {
                    try (KvCache cache = KvCache.builder()
                            .batch(1)
                            .heads(2)
                            .headDim(8)
                            .capacity(4)
                            .options(how)
                            .build()) {
                        cache.appendTo(graph, grids, "late", q, q, q, output, lse, options);
                    }
                }),
                new EntryPoint("PagedKvCache.appendTo", (graph, grids) -> {
                    try (PagedKvCache cache = PagedKvCache.builder()
                            .sequences(1)
                            .heads(2)
                            .headDim(8)
                            .pageSize(4)
                            .pages(1)
                            .capacity(4)
                            .options(how)
                            .build()) {
                        cache.appendTo(graph, grids, "late", q, q, q, output, lse, options);
                    }
                }),
                new EntryPoint("RaggedTasks.append", (graph, grids) -> {
                    Tensor packed = Tensor.random(DType.F32, 1, 4, 2, 8);
                    try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
                        ragged.tasks(graph, grids, packed, packed, 1, options)
                                .append(
                                        "late",
                                        packed,
                                        packed,
                                        packed,
                                        Tensor.allocate(DType.F32, 4, 2, 8),
                                        Tensor.allocate(DType.F32, 4, 2));
                    }
                }));
    }

    @ParameterizedTest
    @MethodSource("entryPoints")
    void everyEntryPointRefusesAGraphThatHasASnapshot(EntryPoint entryPoint) {
        TaskGraph graph = new TaskGraph("graph");
        GridScheduler grids = new GridScheduler();
        Tensor tensor = Tensor.random(DType.F32, 1, STEP);
        Tensor output = Tensor.allocate(DType.F32, STEP);
        Tensor lse = Tensor.allocate(DType.F32, ROWS);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            attention.appendTo(graph, grids, "first", tensor, tensor, tensor, output, lse, AttentionOptions.defaults());
        }
        graph.snapshot();
        assertThatExceptionOfType(RuntimeException.class)
                .isThrownBy(() -> entryPoint.appending.accept(graph, grids))
                .withMessageContainingAll("graph has a snapshot already", "before snapshot()");
        entryPoint.appending.accept(new TaskGraph("another"), grids);
    }

    private static KernelChoice append(ComputeDevice device, AttentionShape shape, DType dtype) {
        AttentionCase problem = AttentionCase.of(shape, dtype, AttentionOptions.defaults());
        Tensor output = Tensor.allocate(dtype, shape.queryShape());
        Tensor lse = Tensor.allocate(DType.F32, shape.logSumExpShape());
        try (FlashAttention attention = FlashAttention.on(device)) {
            return attention.appendTo(
                    new TaskGraph("graph"),
                    new GridScheduler(),
                    "attention",
                    problem.q(),
                    problem.k(),
                    problem.v(),
                    output,
                    lse,
                    problem.options());
        }
    }
}
