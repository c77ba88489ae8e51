package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Plans, their cache, and what a call leaves behind. */
class FlashAttentionTest {

    /** As {@code PlanCache} has it. */
    private static final int CAPACITY = 16;

    private static final AttentionShape SMALL = new AttentionShape(2, 2, 1, 5, 9, 16);

    private static AttentionCase small(AttentionOptions options) {
        return AttentionCase.of(SMALL, DType.F32, options);
    }

    private static FlashAttention attention() {
        return FlashAttention.on(TestDevice.get());
    }

    private static void assertAccurate(AttentionResult result) {
        AttentionResult.Inputs inputs = result.inputs().orElseThrow();
        assertThat(AccuracyCheck.of(inputs.q(), inputs.k(), inputs.v(), inputs.options())
                        .forward(result.output(), result.logSumExp()))
                .allMatch(Comparison::passed);
    }

    @Test
    void theBestDeviceIsTheDefault() {
        try (FlashAttention attention = FlashAttention.create()) {
            assertThat(attention.device()).isEqualTo(Devices.best());
            Tensor q = small(AttentionOptions.defaults()).q();
            AttentionResult result = attention.forward(q, q, q);
            assertThat(result.inputs().orElseThrow().options()).isEqualTo(AttentionOptions.defaults());
            assertAccurate(result);
        }
    }

    static Stream<AttentionKernel> kernelsForF32() {
        return Arrays.stream(AttentionKernel.values())
                .filter(kernel -> kernel.supports(DType.F32) && kernel.supports(TestDevice.get()));
    }

    @ParameterizedTest
    @MethodSource("kernelsForF32")
    void theSecondCallCompilesNothingAndAllocatesNothing(AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionCase problem = small(AttentionOptions.causal());
            Execution first = problem.run(attention).execution().orElseThrow();
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(0, 1, 1));
            Execution second = problem.run(attention).execution().orElseThrow();
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(1, 1, 1));

            assertThat(first.compileTime()).isPositive();
            assertThat(second.compileTime()).isEqualTo(Duration.ZERO);
            assertThat(first.deviceBytes()).isPositive();
            assertThat(second.deviceBytes()).isEqualTo(first.deviceBytes());
        }
    }

    @Test
    void anExecutionTellsWhereAndHowLong() {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.TILED)) {
            Execution execution = small(AttentionOptions.defaults())
                    .run(attention)
                    .execution()
                    .orElseThrow();
            assertThat(execution.device()).isEqualTo(TestDevice.get());
            KernelChoice choice = attention.choose(SMALL, DType.F32, AttentionOptions.defaults());
            assertThat(execution.tile()).isEqualTo(choice.tile().map(Object::toString));
            assertThat(execution.reason()).isEqualTo(choice.reason());
            assertThat(execution.kernel()).isEqualTo(AttentionKernel.TILED.id());
            assertThat(execution.kernelTime()).isPositive();
            assertThat(execution.wallTime()).isPositive();
        }
    }

    @Test
    void onlyWhatIsCompiledInNeedsAPlanOfItsOwn() {
        try (FlashAttention attention = attention()) {
            List<AttentionOptions> sharePlan = List.of(
                    AttentionOptions.defaults().withAlibi(0.5f, 0.1f).withKeyLengths(9, 4),
                    AttentionOptions.defaults().withAlibi(0.2f, 0.7f).withKeyLengths(0, 9),
                    AttentionOptions.defaults().withAlibi(0f, 0f).withKeyLengths(1, 1));
            sharePlan.forEach(options -> assertAccurate(small(options).run(attention)));
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(2, 1, 1));

            List<AttentionOptions> differ = List.of(
                    AttentionOptions.defaults(),
                    AttentionOptions.causal(),
                    AttentionOptions.defaults().withWindow(3, 1),
                    AttentionOptions.defaults().withScale(0.5),
                    AttentionOptions.defaults().withSoftcap(2),
                    AttentionOptions.defaults().withAlibi(0.2f, 0.7f),
                    AttentionOptions.defaults().withKeyLengths(3, 3));
            differ.forEach(options -> assertAccurate(small(options).run(attention)));
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(2, 8, 8));
        }
    }

    @Test
    void theLeastRecentlyUsedPlanGoesFirst() {
        try (FlashAttention attention = attention()) {
            IntStream.range(0, CAPACITY).forEach(queries -> runWithQueries(attention, queries));
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(0, CAPACITY, CAPACITY));
            runWithQueries(attention, 0);
            runWithQueries(attention, CAPACITY);
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(1, CAPACITY + 1, CAPACITY));
            runWithQueries(attention, 0);
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(2, CAPACITY + 1, CAPACITY));
            runWithQueries(attention, 1);
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(2, CAPACITY + 2, CAPACITY));
        }
    }

    private static void runWithQueries(FlashAttention attention, int more) {
        AttentionShape shape = new AttentionShape(1, 1, 1, 1 + more, 3, 4);
        assertAccurate(
                AttentionCase.of(shape, DType.F32, AttentionOptions.defaults()).run(attention));
    }

    @Test
    void callsLeaveTheirInputsAndEarlierResultsAlone() {
        try (FlashAttention attention = attention()) {
            AttentionCase problem = small(AttentionOptions.causal());
            Tensor q = problem.q();
            Tensor k = problem.k();
            Tensor v = problem.v();
            AttentionResult first = attention.forward(q, k, v, problem.options());
            assertThat(first.inputs().orElseThrow().q()).isSameAs(q);
            assertThat(q.toFloatArray()).isEqualTo(problem.q().toFloatArray());
            assertThat(k.toFloatArray()).isEqualTo(problem.k().toFloatArray());
            assertThat(v.toFloatArray()).isEqualTo(problem.v().toFloatArray());

            float[] output = first.output().toFloatArray();
            float[] logSumExp = first.logSumExp().toFloatArray();
            AttentionResult second = problem.withSeed(9).run(attention);
            assertThat(second.output().toFloatArray()).isNotEqualTo(output);
            assertThat(first.output().toFloatArray()).isEqualTo(output);
            assertThat(first.logSumExp().toFloatArray()).isEqualTo(logSumExp);
            assertAccurate(second);
        }
    }

    @Test
    void threadsMayShareAnInstance() throws InterruptedException, ExecutionException {
        try (FlashAttention attention = attention();
                ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Future<AttentionResult>> results = IntStream.range(0, 16)
                    .mapToObj(i -> threads.submit(
                            () -> small(i % 2 == 0 ? AttentionOptions.causal() : AttentionOptions.defaults())
                                    .withSeed(i)
                                    .run(attention)))
                    .toList();
            for (Future<AttentionResult> result : results) {
                assertAccurate(result.get());
            }
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(14, 2, 2));
        }
    }

    @Test
    void closingTwiceDoesNothingAndAClosedInstanceSaysSo() {
        FlashAttention attention = attention();
        AttentionCase problem = small(AttentionOptions.defaults());
        AttentionResult result = problem.run(attention);
        attention.close();
        attention.close();
        assertThat(attention.statistics().plans()).isZero();
        assertAccurate(result);
        assertThatIllegalStateException()
                .isThrownBy(() -> problem.run(attention))
                .withMessageContainingAll("closed", "create a new one");
        assertThatIllegalStateException()
                .isThrownBy(() -> attention.appendTo(
                        new TaskGraph("graph"),
                        new GridScheduler(),
                        "attention",
                        problem.q(),
                        problem.k(),
                        problem.v(),
                        result.output(),
                        result.logSumExp(),
                        problem.options()))
                .withMessageContaining("closed");
    }

    @Test
    void instancesAreIndependent() {
        AttentionCase problem = small(AttentionOptions.causal());
        try (FlashAttention open = attention()) {
            problem.run(open);
            try (FlashAttention closed = attention()) {
                problem.run(closed);
            }
            assertAccurate(problem.run(open));
            assertThat(open.statistics()).isEqualTo(new PlanStatistics(1, 1, 1));
        }
    }

    @Test
    void aDeviceThatIsTooSmallIsNamedBeforeAnythingIsCompiled() {
        AttentionCase problem = small(AttentionOptions.defaults());
        long plenty = 1L << 40;
        try (FlashAttention little = FlashAttention.on(TestDevice.limited(1 << 16, 1024, plenty, 1000))) {
            assertUnsupported(little, problem, "memory", "it has 1,000", "split the batch or the heads");
            assertThat(little.statistics().plans()).isZero();
        }
        try (FlashAttention pieces = FlashAttention.on(TestDevice.limited(1 << 16, 1024, 1000, plenty))) {
            assertUnsupported(pieces, problem, "memory", "1,000 in one piece", "split the batch or the heads");
        }
        try (FlashAttention tiled =
                FlashAttention.on(TestDevice.limited(1000, 1024, plenty, plenty), AttentionKernel.TILED)) {
            assertUnsupported(tiled, problem, "local memory", "1,000 bytes", "use the kernel online");
        }
        try (FlashAttention tiled =
                FlashAttention.on(TestDevice.limited(1 << 16, 1, plenty, plenty), AttentionKernel.TILED)) {
            assertUnsupported(tiled, problem, "group size", "1 work-items", "use the kernel online");
        }
        AttentionCase long1 = AttentionCase.of(
                new AttentionShape(1, 1, 1, 50_000, 50_000, 1), DType.F32, AttentionOptions.defaults());
        try (FlashAttention standard =
                FlashAttention.on(TestDevice.limited(1 << 16, 1024, plenty, plenty), AttentionKernel.STANDARD)) {
            assertUnsupported(standard, long1, "2,500,000,000 elements", "online or tiled");
        }
    }

    @ParameterizedTest
    @MethodSource("kernelsForF32")
    void whatLiesPastAKeyLengthMayBeAnything(AttentionKernel kernel) {
        AttentionShape shape = new AttentionShape(2, 2, 1, 20, 50, 24);
        AttentionCase problem =
                AttentionCase.of(shape, DType.F32, AttentionOptions.causal().withKeyLengths(50, 33));
        Tensor k = problem.k();
        Tensor v = problem.v();
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult expected = attention.forward(problem.q(), k, v, problem.options());
            for (float anything : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.MAX_VALUE}) {
                for (int key = 33; key < 50; key++) {
                    for (int x = 0; x < shape.headDim(); x++) {
                        k.set(anything, 1, 0, key, x);
                        v.set(anything, 1, 0, key, x);
                    }
                }
                AttentionResult result = attention.forward(problem.q(), k, v, problem.options());
                assertThat(result.output().toFloatArray())
                        .isEqualTo(expected.output().toFloatArray());
                assertThat(result.logSumExp().toFloatArray())
                        .isEqualTo(expected.logSumExp().toFloatArray());
            }
        }
    }

    @Test
    void halvesAreReadAsBitsWhereTheDeviceHasNone() {
        try (FlashAttention attention = FlashAttention.on(TestDevice.withoutHalfFloats())) {
            for (int seed = 0; seed < 3; seed++) {
                AttentionShape shape = new AttentionShape(2, 2, 1, 40 + seed, 70, 64);
                assertAccurate(AttentionCase.of(shape, DType.F16, AttentionOptions.causal())
                        .withSeed(seed)
                        .run(attention));
            }
        }
    }

    @Test
    void aChosenKernelIsNotIgnoredByRaggedBatches() {
        Tensor packed = Tensor.random(DType.F32, 1, 5, 1, 8);
        IntArray offsets = IntArray.fromElements(0, 2, 5);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.ONLINE)) {
            assertThatIllegalStateException()
                    .isThrownBy(() -> attention.forwardRagged(
                            packed, packed, packed, offsets, offsets, AttentionOptions.defaults()))
                    .withMessageContainingAll("kernel online", "without a kernel", "RaggedAttention");
            assertThat(attention.toString()).contains("by the kernel online", "0 plans");
        }
    }

    @Test
    void statisticsCountRaggedBatchesAndMerges() {
        Tensor packed = Tensor.random(DType.F32, 1, 5, 1, 8);
        IntArray offsets = IntArray.fromElements(0, 2, 5);
        try (FlashAttention attention = attention()) {
            AttentionOptions options = AttentionOptions.defaults();
            AttentionResult part = attention.forwardRagged(packed, packed, packed, offsets, offsets, options);
            attention.forwardRagged(packed, packed, packed, offsets, offsets, options);
            attention.merge(part, part);
            small(options).run(attention);
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(1, 3, 3));
            assertThat(attention.toString()).contains(attention.device().toString(), "3 plans");
        }
    }

    @Test
    void onlyWhatForwardGaveHasABackwardPass() {
        try (FlashAttention attention = attention()) {
            AttentionCase problem = small(AttentionOptions.defaults());
            AttentionResult result = problem.run(attention);
            AttentionResult merged = attention.merge(result, result);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(merged, problem.dO()))
                    .withMessageContainingAll("no backward pass", "give what forward returned");
        }
    }

    @Test
    void aClosedInstanceAnswersNothing() {
        FlashAttention attention = attention();
        attention.close();
        AttentionOptions options = AttentionOptions.defaults();
        assertThatIllegalStateException().isThrownBy(() -> attention.choose(SMALL, DType.F32, options));
        assertThatIllegalStateException().isThrownBy(() -> attention.chooseBackward(SMALL, DType.F32, options));
        assertThatIllegalStateException().isThrownBy(() -> attention.reseed(new TaskGraph("graph"), 1));
        assertThatIllegalStateException().isThrownBy(attention::merge);
        assertThat(attention.toString()).contains("closed");
    }

    private static void assertUnsupported(FlashAttention attention, AttentionCase problem, String... parts) {
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> problem.run(attention))
                .satisfies(e -> assertThat(e.device()).isEqualTo(attention.device()))
                .withMessageContaining("limited")
                .satisfies(e -> assertThat(e).hasMessageContainingAll(parts));
    }
}
