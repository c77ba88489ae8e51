package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.TestDevice;
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

/** Packed sequences of any lengths give what each gives alone, by one compiled plan. */
class RaggedAttentionTest {

    private static final List<AttentionOptions> OPTIONS = List.of(
            AttentionOptions.defaults(),
            AttentionOptions.causal(),
            AttentionOptions.defaults().withWindow(5, 3).withSoftcap(15),
            AttentionOptions.causal().withAlibi(AttentionOptions.alibiSlopes(6)));

    @ParameterizedTest
    @EnumSource
    void lengthsMayChangeWithoutRecompiling(DType dtype) {
        Random random = new Random(1);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get());
                RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            for (int call = 0; call < 6; call++) {
                IntArray queryOffsets = offsets(random, 40, 60, 5);
                IntArray keyOffsets = offsets(random, 70, 90, 5);
                Tensor q = Tensor.random(dtype, call, last(queryOffsets), 6, 35);
                Tensor k = Tensor.random(dtype, call + 50, last(keyOffsets), 2, 35);
                Tensor v = Tensor.random(dtype, call + 90, last(keyOffsets), 2, 35);
                AttentionOptions options = OPTIONS.get(call % OPTIONS.size());
                assertAccurate(
                        q,
                        k,
                        v,
                        queryOffsets,
                        keyOffsets,
                        options,
                        ragged.forward(q, k, v, queryOffsets, keyOffsets, options));
                if (call == 0) {
                    assertAccurate(
                            q,
                            k,
                            v,
                            queryOffsets,
                            keyOffsets,
                            options,
                            attention.forwardRagged(q, k, v, queryOffsets, keyOffsets, options));
                }
            }
            // Tokens are rounded to room for 48 and 64, and for 80 and 96.
            assertThat(ragged.statistics().misses()).isLessThanOrEqualTo(4);
            assertThat(ragged.statistics().hits() + ragged.statistics().misses())
                    .isEqualTo(6);
        }
    }

    /**
     * Two layers in a graph of the caller's, the second over the first one's output, divided anew for each execution.
     */
    @ParameterizedTest
    @EnumSource(names = {"F32", "F16"})
    void aGraphOfTheCallersHasItAsTasks(DType dtype) throws TornadoExecutionPlanException {
        assumeTrue(dtype == DType.F32 || TestDevice.get().halfFloats(), "no 16-bit floats");
        Tensor q = Tensor.random(dtype, 1, 40, 4, 6);
        Tensor k = Tensor.random(dtype, 2, 40, 2, 6);
        Tensor v = Tensor.random(dtype, 3, 40, 2, 6);
        Tensor first = Tensor.allocate(dtype, 40, 4, 6);
        Tensor second = Tensor.allocate(dtype, 40, 4, 6);
        Tensor logSumExp = Tensor.allocate(DType.F32, 40, 4);
        AttentionOptions options = AttentionOptions.causal();
        TaskGraph graph = new TaskGraph("packed");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array(), first.array(), second.array());
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, logSumExp.array());
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            RaggedTasks tasks = ragged.tasks(graph, grids, q, k, 5, options);
            tasks.append("first", q, k, v, first, logSumExp);
            tasks.append("second", first, k, v, second, logSumExp);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, first.array(), second.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids);
                for (int[] offsets : new int[][] {{0, 40}, {0, 3, 3, 20, 33}, {0, 1, 2, 3, 4, 40}}) {
                    IntArray division = IntArray.fromArray(offsets);
                    tasks.divide(division, division);
                    plan.execute();
                    int rows = offsets[offsets.length - 1];
                    AttentionResult expected =
                            ragged.forward(part(q, rows), part(k, rows), part(v, rows), division, division, options);
                    assertClose(part(first, rows), expected.output());
                    expected = ragged.forward(
                            expected.output(), part(k, rows), part(v, rows), division, division, options);
                    assertClose(part(second, rows), expected.output());
                }
            }
            IntArray tooLong = IntArray.fromElements(0, 41);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> tasks.divide(tooLong, tooLong))
                    .withMessageContaining("room for 40 tokens");
            IntArray tooMany = IntArray.fromElements(0, 1, 2, 3, 4, 5, 6);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> tasks.divide(tooMany, tooMany))
                    .withMessageContaining("for 5 sequences at most");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> tasks.append("third", q, q, v, second, logSumExp))
                    .withMessageContaining("k is ");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> tasks.append("third", first, k, v, first, logSumExp))
                    .withMessageContainingAll("output", "q", "share memory");
            assertThatIllegalArgumentException()
                    .isThrownBy(() ->
                            ragged.tasks(graph, grids, q, k, 5, options.withBias(Tensor.random(dtype, 4, 1, 1, 1, 1))));
        }
    }

    /** Keys may be divided into other parts. */
    private static void assertClose(Tensor computed, Tensor expected) {
        float tolerance = expected.dtype() == DType.F32 ? 2e-6f : 4e-3f;
        assertThat(computed.toFloatArray())
                .usingComparatorWithPrecision(tolerance)
                .containsExactly(expected.toFloatArray());
    }

    private static Tensor part(Tensor tensor, int rows) {
        int[] shape = tensor.shape();
        shape[0] = rows;
        return tensor.block(new int[shape.length], shape);
    }

    /** Packed sequences, some of them empty, and their merge with attention over the same keys in two parts. */
    @Tag("second-tier")
    @ParameterizedTest
    @EnumSource
    void theJvmComputesThemWithoutPlans(DType dtype) {
        IntArray queryOffsets = IntArray.fromElements(0, 0, 3, 3, 80, 81);
        IntArray keyOffsets = IntArray.fromElements(0, 4, 4, 9, 150, 230);
        Tensor q = Tensor.random(dtype, 1, 81, 6, 35);
        Tensor k = Tensor.random(dtype, 2, 230, 2, 35);
        Tensor v = Tensor.random(dtype, 3, 230, 2, 35);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.jvm());
                FlashAttention attention = FlashAttention.on(TestDevice.jvm())) {
            for (AttentionOptions options : OPTIONS) {
                AttentionResult result = ragged.forward(q, k, v, queryOffsets, keyOffsets, options);
                assertAccurate(q, k, v, queryOffsets, keyOffsets, options, result);
                assertThat(result.logSumExp().get(2, 5)).isEqualTo(Float.NEGATIVE_INFINITY);
                assertThat(attention
                                .forwardRagged(q, k, v, queryOffsets, keyOffsets, options)
                                .output()
                                .toFloatArray())
                        .containsExactly(result.output().toFloatArray());
                AttentionResult same = ragged.merge(List.of(result, result));
                assertThat(same.output().toFloatArray())
                        .containsExactly(result.output().toFloatArray());
                assertThat(same.logSumExp().get(2, 5)).isEqualTo(Float.NEGATIVE_INFINITY);
                assertThat(same.logSumExp().get(40, 1))
                        .isCloseTo(result.logSumExp().get(40, 1) + (float) Math.log(2), within(1e-5f));
            }
            assertThat(ragged.statistics()).isEqualTo(new PlanStatistics(0, 0, 0));
        }
    }

    @Test
    void emptySequencesAreAllowed() {
        IntArray queryOffsets = IntArray.fromElements(0, 0, 3, 3, 10, 10);
        IntArray keyOffsets = IntArray.fromElements(0, 4, 4, 9, 30, 30);
        Tensor q = Tensor.random(DType.F32, 1, 10, 6, 16);
        Tensor k = Tensor.random(DType.F32, 2, 30, 2, 16);
        Tensor v = Tensor.random(DType.F32, 3, 30, 2, 16);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            for (AttentionOptions options : OPTIONS) {
                AttentionResult result = ragged.forward(q, k, v, queryOffsets, keyOffsets, options);
                assertAccurate(q, k, v, queryOffsets, keyOffsets, options, result);
                assertThat(result.logSumExp().get(2, 5)).isEqualTo(Float.NEGATIVE_INFINITY);
                assertThat(result.output().get(2, 5, 3)).isZero();
            }
            assertThat(ragged.statistics()).isEqualTo(new PlanStatistics(3, 1, 1));
            Tensor none = Tensor.allocate(DType.F32, 0, 6, 16);
            IntArray nothing = IntArray.fromElements(0, 0);
            assertThat(ragged.forward(none, k, v, nothing, IntArray.fromElements(0, 30), OPTIONS.getFirst())
                            .output()
                            .numberOfElements())
                    .isZero();
        }
    }

    @Test
    void mistakesAreNamed() {
        Tensor q = Tensor.random(DType.F32, 1, 10, 6, 16);
        Tensor k = Tensor.random(DType.F32, 2, 30, 2, 16);
        IntArray ten = IntArray.fromElements(0, 4, 10);
        IntArray thirty = IntArray.fromElements(0, 4, 30);
        AttentionOptions options = AttentionOptions.causal();
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.forward(q, k, k, IntArray.fromElements(0, 4, 9), thirty, options))
                    .withMessageContaining("query offsets are [0, 4, 9]: they must rise from 0 to the 10 tokens");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.forward(q, k, k, ten, IntArray.fromElements(0, 4, 3, 30), options))
                    .withMessageContaining("key offsets");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.forward(q, k, k, ten, IntArray.fromElements(0, 30), options))
                    .withMessageContaining("as many of both");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.forward(q, k, q, ten, thirty, options))
                    .withMessageContaining("one shape");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.forward(q, k, k, ten, thirty, options.withKeyLengths(3, 4)))
                    .withMessageContaining("without key lengths");
        }
    }

    @ParameterizedTest
    @EnumSource
    void partsOfTheKeysMergeIntoAll(DType dtype) {
        int[] ends = {0, 7, 7, 40, 100};
        Tensor q = Tensor.random(dtype, 1, 2, 4, 5, 24);
        Tensor k = Tensor.random(dtype, 2, 2, 2, 100, 24);
        Tensor v = Tensor.random(dtype, 3, 2, 2, 100, 24);
        AttentionOptions options = AttentionOptions.defaults();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            List<AttentionResult> parts = new ArrayList<>();
            for (int part = 1; part < ends.length; part++) {
                parts.add(attention.forward(
                        q,
                        CacheCase.tokens(k, ends[part - 1], ends[part]),
                        CacheCase.tokens(v, ends[part - 1], ends[part]),
                        options));
            }
            AttentionResult merged = attention.merge(parts.toArray(AttentionResult[]::new));
            assertThat(AccuracyCheck.of(q, k, v, options).forward(merged.output(), merged.logSumExp()))
                    .allMatch(Comparison::passed);
            float[] unsplit = attention.forward(q, k, v, options).logSumExp().toFloatArray();
            float[] lse = merged.logSumExp().toFloatArray();
            for (int row = 0; row < lse.length; row++) {
                assertThat(lse[row]).isCloseTo(unsplit[row], org.assertj.core.data.Offset.offset(1e-5f));
            }
            AttentionResult nothing = attention.merge(parts.get(1), parts.get(1));
            assertThat(nothing.logSumExp().toFloatArray()).containsOnly(Float.NEGATIVE_INFINITY);
            assertThat(nothing.output().toFloatArray()).containsOnly(0f);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.merge())
                    .withMessageContaining("at least one");
        }
    }

    static void assertAccurate(
            Tensor q,
            Tensor k,
            Tensor v,
            IntArray queryOffsets,
            IntArray keyOffsets,
            AttentionOptions options,
            AttentionResult result) {
        for (int sequence = 0; sequence + 1 < queryOffsets.getSize(); sequence++) {
            int from = queryOffsets.get(sequence);
            int to = queryOffsets.get(sequence + 1);
            int keysFrom = keyOffsets.get(sequence);
            int keysTo = keyOffsets.get(sequence + 1);
            assertThat(AccuracyCheck.of(
                                    unpacked(q, from, to),
                                    unpacked(k, keysFrom, keysTo),
                                    unpacked(v, keysFrom, keysTo),
                                    options)
                            .forward(unpacked(result.output(), from, to), unpacked(result.logSumExp(), from, to)))
                    .as("sequence %d, %s, %s", sequence, q, options)
                    .allMatch(Comparison::passed);
        }
    }

    /** Packed tokens {@code [tokens, heads, …]} as {@code [1, heads, tokens, …]}. */
    private static Tensor unpacked(Tensor packed, int from, int to) {
        int heads = packed.dimension(1);
        int width = packed.rank() == 3 ? packed.dimension(2) : 1;
        int[] shape = packed.rank() == 3 ? new int[] {1, heads, to - from, width} : new int[] {1, heads, to - from};
        Tensor result = Tensor.allocate(packed.dtype(), shape);
        for (int token = from; token < to; token++) {
            for (int head = 0; head < heads; head++) {
                for (int x = 0; x < width; x++) {
                    result.setFlat(
                            (head * (to - from) + token - from) * width + x,
                            packed.getFlat((token * heads + head) * width + x));
                }
            }
        }
        return result;
    }

    private static IntArray offsets(Random random, int least, int most, int sequences) {
        int total = random.nextInt(least, most + 1);
        int[] offsets = new int[sequences + 1];
        for (int i = 1; i < sequences; i++) {
            offsets[i] = random.nextInt(total + 1);
        }
        offsets[sequences] = total;
        Arrays.sort(offsets);
        return IntArray.fromArray(offsets);
    }

    private static int last(IntArray offsets) {
        return offsets.get(offsets.getSize() - 1);
    }
}
