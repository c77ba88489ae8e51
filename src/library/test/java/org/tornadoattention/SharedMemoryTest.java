package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.PagedKvCache;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** What a task writes overlaps nothing else that it reads or writes, by whatever tensor that is named. */
class SharedMemoryTest {

    /** All of one size, so that each may be put in the place of each other. */
    private static final int[] SHAPE = {1, 2, 4, 1};

    private static final int[] ROWS = {1, 2, 4};

    private static final AttentionOptions OPTIONS = AttentionOptions.causal();

    /** Tensors by name, of which two may be over one array. */
    private static Map<String, Tensor> tensors(List<String> names, String one, String other) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        FloatArray shared = new FloatArray(8);
        for (String name : names) {
            int[] shape = name.equals("logSumExp") || name.equals("dLse") ? ROWS : SHAPE;
            tensors.put(
                    name,
                    name.equals(one) || name.equals(other)
                            ? Tensor.wrap(shared, shape)
                            : Tensor.allocate(DType.F32, shape));
        }
        return tensors;
    }

    private static Stream<Arguments> pairs(List<String> read, List<String> written) {
        List<Arguments> pairs = new ArrayList<>();
        for (int i = 0; i < written.size(); i++) {
            for (String name : read) {
                pairs.add(Arguments.of(name, written.get(i)));
            }
            for (int j = 0; j < i; j++) {
                pairs.add(Arguments.of(written.get(j), written.get(i)));
            }
        }
        return pairs.stream();
    }

    static Stream<Arguments> ofForward() {
        return pairs(List.of("q", "k", "v"), List.of("output", "logSumExp"));
    }

    @ParameterizedTest
    @MethodSource("ofForward")
    void appendToRefuses(String one, String other) {
        Map<String, Tensor> t = tensors(List.of("q", "k", "v", "output", "logSumExp"), one, other);
        TaskGraph graph = new TaskGraph("graph");
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.appendTo(
                            graph,
                            new GridScheduler(),
                            "attention",
                            t.get("q"),
                            t.get("k"),
                            t.get("v"),
                            t.get("output"),
                            t.get("logSumExp"),
                            OPTIONS))
                    .withMessageContainingAll(one, other, "share memory");
        }
    }

    static Stream<Arguments> ofBackward() {
        return pairs(List.of("q", "k", "v", "output", "logSumExp", "dOut", "dLse"), List.of("dQ", "dK", "dV"));
    }

    private static BackwardTensors backward(String one, String other) {
        Map<String, Tensor> t =
                tensors(List.of("q", "k", "v", "output", "logSumExp", "dOut", "dLse", "dQ", "dK", "dV"), one, other);
        return BackwardTensors.builder()
                .q(t.get("q"))
                .k(t.get("k"))
                .v(t.get("v"))
                .output(t.get("output"))
                .logSumExp(t.get("logSumExp"))
                .dOut(t.get("dOut"))
                .dLse(t.get("dLse"))
                .dQ(t.get("dQ"))
                .dK(t.get("dK"))
                .dV(t.get("dV"))
                .build();
    }

    @ParameterizedTest
    @MethodSource("ofBackward")
    void appendBackwardToRefuses(String one, String other) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.appendBackwardTo(
                            new TaskGraph("graph"), new GridScheduler(), "back", backward(one, other), OPTIONS))
                    .withMessageContainingAll(one, other, "share memory");
        }
    }

    @ParameterizedTest
    @MethodSource("ofForward")
    void appendToOfACacheRefuses(String one, String other) {
        Map<String, Tensor> t = tensors(List.of("q", "k", "v", "output", "logSumExp"), one, other);
        CacheOptions options = CacheOptions.of(DType.F32).on(TestDevice.get());
        try (KvCache cache = KvCache.builder()
                        .batch(1)
                        .heads(2)
                        .headDim(1)
                        .capacity(4)
                        .options(options)
                        .build();
                PagedKvCache paged = PagedKvCache.builder()
                        .sequences(1)
                        .heads(2)
                        .headDim(1)
                        .pageSize(4)
                        .pages(1)
                        .capacity(4)
                        .options(options)
                        .build()) {
            Tensor q = t.get("q");
            Tensor k = t.get("k");
            Tensor v = t.get("v");
            Tensor output = t.get("output");
            Tensor logSumExp = t.get("logSumExp");
            assertRefused((graph, grids) -> cache.appendTo(graph, grids, "step", q, k, v, output, logSumExp, OPTIONS));
            assertRefused((graph, grids) -> paged.appendTo(graph, grids, "step", q, k, v, output, logSumExp, OPTIONS));
            // What was refused leaves both as they were.
            Tensor tokens = Tensor.random(DType.F32, 1, SHAPE);
            assertThat(cache.forward(tokens, tokens, tokens, OPTIONS).output().toFloatArray())
                    .isEqualTo(paged.forward(tokens, tokens, tokens, OPTIONS)
                            .output()
                            .toFloatArray());
        }
    }

    @ParameterizedTest
    @MethodSource("ofForward")
    void forwardIntoAnOutputRefuses(String one, String other) {
        assumeTrue(!one.equals("logSumExp") && !other.equals("logSumExp"), "it makes that one itself");
        Map<String, Tensor> t = tensors(List.of("q", "k", "v", "output"), one, other);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertRefused((_, _) -> attention.forward(t.get("q"), t.get("k"), t.get("v"), OPTIONS, t.get("output")));
        }
    }

    /** Of tensors with an even head dimension, whose log-sum-exp is smaller than queries and output. */
    static Stream<Arguments> ofEvenHeads() {
        return ofForward()
                .filter(pair -> !List.of(pair.get()).contains("logSumExp")
                        || List.of("k", "v").contains(pair.get()[0]));
    }

    /** A tensor of its own, or one over the array that two share. */
    private static Tensor of(String name, String one, String other, FloatArray shared, int... shape) {
        return name.equals(one) || name.equals(other) ? Tensor.wrap(shared, shape) : Tensor.allocate(DType.F32, shape);
    }

    @ParameterizedTest
    @MethodSource("ofEvenHeads")
    void appendToOverAPoolRefuses(String one, String other) {
        int keys = other.equals("logSumExp") ? 2 : 4;
        FloatArray shared = new FloatArray(2 * keys);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Tensor q = of("q", one, other, shared, 1, 2, 2, 2);
            Tensor output = of("output", one, other, shared, 1, 2, 2, 2);
            Tensor logSumExp = of("logSumExp", one, other, shared, 1, 2, 2);
            KeyValuePool pool = KeyValuePool.of(
                    of("k", one, other, shared, 1, 1, keys, 2),
                    of("v", one, other, shared, 1, 1, keys, 2),
                    new IntArray(1));
            assertRefused(
                    (graph, grids) -> attention.appendTo(graph, grids, "pool", q, pool, output, logSumExp, OPTIONS));
        }
    }

    @ParameterizedTest
    @MethodSource("ofEvenHeads")
    void tasksOfPackedSequencesRefuse(String one, String other) {
        int keys = other.equals("logSumExp") ? 2 : 4;
        FloatArray shared = new FloatArray(2 * keys);
        Tensor q = of("q", one, other, shared, 2, 2, 2);
        Tensor k = of("k", one, other, shared, keys, 1, 2);
        Tensor v = of("v", one, other, shared, keys, 1, 2);
        Tensor output = of("output", one, other, shared, 2, 2, 2);
        Tensor logSumExp = of("logSumExp", one, other, shared, 2, 2);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            assertRefused((graph, grids) ->
                    ragged.tasks(graph, grids, q, k, 1, OPTIONS).append("packed", q, k, v, output, logSumExp));
        }
    }

    @FunctionalInterface
    private interface Appending {
        void append(TaskGraph graph, GridScheduler grids);
    }

    private static void assertRefused(Appending appending) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> appending.append(new TaskGraph("graph"), new GridScheduler()))
                .withMessageContaining("share memory");
    }

    /** Keys that are the values too are common, and read only. */
    @Test
    void whatIsOnlyReadMayBeShared() {
        Map<String, Tensor> t = tensors(List.of("q", "k", "v", "output", "logSumExp"), "k", "v");
        AttentionShape shape = AttentionShape.of(t.get("q"), t.get("k"), t.get("v"), OPTIONS);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            KernelChoice forward = attention.appendTo(
                    new TaskGraph("graph"),
                    new GridScheduler(),
                    "forward",
                    t.get("q"),
                    t.get("k"),
                    t.get("v"),
                    t.get("output"),
                    t.get("logSumExp"),
                    OPTIONS);
            assertThat(forward).isEqualTo(attention.choose(shape, DType.F32, OPTIONS));
            KernelChoice backward = attention.appendBackwardTo(
                    new TaskGraph("graph"), new GridScheduler(), "backward", backward("output", "dOut"), OPTIONS);
            assertThat(backward).isEqualTo(attention.chooseBackward(shape, DType.F32, OPTIONS));
        }
    }
}
