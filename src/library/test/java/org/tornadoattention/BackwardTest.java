package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** The backward pass: its two faces, its plans, and what it refuses. */
@Order(1)
class BackwardTest {

    private static final AttentionShape SMALL = new AttentionShape(2, 4, 2, 19, 31, 24);

    private static AttentionCase small(DType dtype, AttentionOptions options) {
        return AttentionCase.of(SMALL, dtype, options);
    }

    /** The kernels with a backward pass of their own. */
    static Stream<Arguments> kernels() {
        return Arrays.stream(DType.values())
                .flatMap(dtype -> GradientGridTest.WITH_BACKWARD.stream()
                        .filter(kernel -> kernel.supports(dtype) && TestDevice.tries(kernel))
                        .map(kernel -> Arguments.of(dtype, kernel)));
    }

    private static Tensor dLse(AttentionCase problem) {
        return Tensor.random(DType.F32, 99, problem.shape().logSumExpShape());
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernels")
    void aGradientOnTheLogSumExpCounts(DType dtype, AttentionKernel kernel) {
        // A window of which some queries see nothing, whose log-sum-exp is the constant -infinity.
        AttentionCase problem =
                small(dtype, AttentionOptions.causal().withSoftcap(5).withKeyLengths(31, 7));
        Tensor dLse = dLse(problem);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            AccuracyCheck check =
                    AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), dLse, problem.options());
            assertThat(check.gradients(attention.backward(result, problem.dO(), dLse)))
                    .allMatch(Comparison::passed);
            assertThat(check.gradients(attention.backward(result, problem.dO())))
                    .anyMatch(comparison -> !comparison.passed());
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void theSecondCallNeedsNoOtherPlan(AttentionKernel kernel) {
        AttentionCase problem = small(DType.F32, AttentionOptions.causal());
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            attention.backward(result, problem.dO());
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(0, 2, 2));
            AttentionCase other = problem.withSeed(5);
            AttentionResult second = other.run(attention);
            other.assertGradientsAccurate(attention, second);
            problem.assertGradientsAccurate(attention, result);
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(3, 2, 2));
        }
    }

    static Stream<Arguments> kernelsOfTaskGraphs() {
        return kernels().filter(arguments -> ((AttentionKernel) arguments.get()[1]).supports(TestDevice.get()));
    }

    /** Forward and backward in one graph of the caller's, between tensors that hold NaN before. */
    @ParameterizedTest
    @MethodSource("kernelsOfTaskGraphs")
    void bothPassesAreTasksOfOneGraph(DType dtype, AttentionKernel kernel) throws TornadoExecutionPlanException {
        assumeTrue(
                dtype != DType.F16 || TestDevice.get().halfFloats(),
                "SKIPPED: appendTo refuses halves here, as AppendToTest shows");
        AttentionOptions window = AttentionOptions.defaults().withWindow(9, 3);
        boolean drops = kernel.supportsDropout();
        AttentionCase problem = small(dtype, drops ? window.withDropout(0.25, 11, 2) : window);
        Tensor q = problem.q();
        Tensor k = problem.k();
        Tensor v = problem.v();
        Tensor dO = problem.dO();
        Tensor dLse = dLse(problem);
        Tensor output = Tensor.allocate(dtype, SMALL.queryShape());
        Tensor lse = Tensor.allocate(DType.F32, SMALL.logSumExpShape());
        Gradients plain = unwritten(dtype);
        Gradients withLse = unwritten(dtype);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            TaskGraph graph = new TaskGraph("training");
            GridScheduler grids = new GridScheduler();
            graph.transferToDevice(
                    DataTransferMode.FIRST_EXECUTION,
                    q.array(),
                    k.array(),
                    v.array(),
                    dO.array(),
                    dLse.array(),
                    plain.dQ().array(),
                    plain.dK().array(),
                    plain.dV().array(),
                    withLse.dQ().array(),
                    withLse.dK().array(),
                    withLse.dV().array());
            attention.appendTo(graph, grids, "forward", q, k, v, output, lse, problem.options());
            BackwardTensors.Builder given = BackwardTensors.builder()
                    .q(q)
                    .k(k)
                    .v(v)
                    .output(output)
                    .logSumExp(lse)
                    .dOut(dO);
            KernelChoice choice = attention.appendBackwardTo(
                    graph,
                    grids,
                    "backward",
                    given.dQ(plain.dQ()).dK(plain.dK()).dV(plain.dV()).build(),
                    problem.options());
            attention.appendBackwardTo(
                    graph,
                    grids,
                    "again",
                    given.dLse(dLse)
                            .dQ(withLse.dQ())
                            .dK(withLse.dK())
                            .dV(withLse.dV())
                            .build(),
                    problem.options());
            assertThat(choice).isEqualTo(attention.chooseBackward(SMALL, dtype, problem.options()));
            graph.transferToHost(
                    DataTransferMode.EVERY_EXECUTION,
                    plain.dQ().array(),
                    plain.dK().array(),
                    plain.dV().array(),
                    withLse.dQ().array(),
                    withLse.dK().array(),
                    withLse.dV().array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle()).withGridScheduler(grids);
                for (long seed : new long[] {11, 12}) {
                    if (drops) {
                        attention.reseed(graph, seed);
                    }
                    plan.execute();
                    AttentionOptions options = drops ? window.withDropout(0.25, seed, 2) : window;
                    assertThat(AccuracyCheck.of(q, k, v, dO, options).gradients(plain))
                            .allMatch(Comparison::passed);
                    assertThat(AccuracyCheck.of(q, k, v, dO, dLse, options).gradients(withLse))
                            .allMatch(Comparison::passed);
                }
            }
        }
    }

    private static Gradients unwritten(DType dtype) {
        Gradients gradients = Gradients.of(
                Tensor.allocate(dtype, SMALL.queryShape()),
                Tensor.allocate(dtype, SMALL.keyShape()),
                Tensor.allocate(dtype, SMALL.keyShape()));
        gradients.dQ().fill(Float.NaN);
        gradients.dK().fill(Float.NaN);
        gradients.dV().fill(Float.NaN);
        return gradients;
    }

    @Test
    void aGraphWithoutDropoutHasNoSeed() {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.reseed(new TaskGraph("graph"), 1))
                    .withMessageContaining("Nothing with dropout");
        }
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernels")
    void whatLiesPastAKeyLengthMayBeAnything(DType dtype, AttentionKernel kernel) {
        AttentionShape shape = new AttentionShape(2, 2, 1, 20, 50, 24);
        // The options of another test, whose forms are there.
        AttentionCase problem = AttentionCase.of(
                shape, dtype, AttentionOptions.causal().withSoftcap(5).withKeyLengths(50, 33));
        Tensor k = problem.k();
        Tensor v = problem.v();
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            Gradients expected =
                    attention.backward(attention.forward(problem.q(), k, v, problem.options()), problem.dO());
            float[] anything = {Float.NaN, Float.POSITIVE_INFINITY, Float.MAX_VALUE};
            for (int key = 33; key < 50; key++) {
                for (int x = 0; x < shape.headDim(); x++) {
                    k.set(anything[key % 3], 1, 0, key, x);
                    v.set(anything[(key / 3 + x) % 3], 1, 0, key, x);
                }
            }
            AttentionResult result = attention.forward(problem.q(), k, v, problem.options());
            assertSameBits(attention.backward(result, problem.dO()), expected);
        }
    }

    @Test
    void halvesAreReadAsBitsWhereTheDeviceHasNone() {
        AttentionCase problem = small(DType.F16, AttentionOptions.causal());
        try (FlashAttention attention = FlashAttention.on(TestDevice.withoutHalfFloats())) {
            problem.assertGradientsAccurate(attention, problem.run(attention));
        }
    }

    private static AttentionOptions causalWithDropout(AttentionKernel kernel) {
        AttentionOptions causal = AttentionOptions.causal();
        return kernel.supportsDropout() ? causal.withDropout(0.1, 3) : causal;
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernels")
    void repeatsAreEqualBitForBit(DType dtype, AttentionKernel kernel) {
        AttentionCase problem =
                AttentionCase.of(new AttentionShape(1, 4, 2, 33, 49, 24), dtype, causalWithDropout(kernel));
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel);
                FlashAttention another = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            Gradients first = attention.backward(result, problem.dO());
            assertSameBits(another.backward(result, problem.dO()), first);
            for (int repeat = 1; repeat < DeterminismTest.repeats(kernel); repeat++) {
                assertSameBits(attention.backward(result, problem.dO()), first);
            }
        }
    }

    /** As {@link DeterminismTest} does it for the forward pass: on a full device as on an idle one. */
    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernels")
    void noWorkGroupDisturbsAnother(DType dtype, AttentionKernel kernel) {
        AttentionShape crowd = new AttentionShape(DeterminismTest.crowd(kernel), 4, 2, 9, 17, 24);
        AttentionCase problem = AttentionCase.of(crowd, dtype, causalWithDropout(kernel));
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            Gradients first = attention.backward(result, problem.dO());
            for (int repeat = 1;
                    repeat < (AttentionGrid.FULL ? 250 : TestDevice.of(kernel).isSimulator() ? 2 : 5);
                    repeat++) {
                assertSameBits(attention.backward(result, problem.dO()), first);
            }
        }
    }

    private static void assertSameBits(Gradients gradients, Gradients expected) {
        assertThat(gradients.dQ().toFloatArray()).isEqualTo(expected.dQ().toFloatArray());
        assertThat(gradients.dK().toFloatArray()).isEqualTo(expected.dK().toFloatArray());
        assertThat(gradients.dV().toFloatArray()).isEqualTo(expected.dV().toFloatArray());
    }

    @Test
    void aResultThatWasKeptApartFromItsInputsHasTheSameGradients() {
        AttentionCase problem = small(DType.F16, AttentionOptions.causal());
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            AttentionResult result = problem.run(attention);
            AttentionResult again = AttentionResult.of(
                    problem.q(),
                    problem.k(),
                    problem.v(),
                    problem.options(),
                    result.output().copy(),
                    result.logSumExp().copy());
            assertSameBits(attention.backward(again, problem.dO()), attention.backward(result, problem.dO()));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> AttentionResult.of(
                            problem.q(),
                            problem.k(),
                            problem.v(),
                            problem.options(),
                            result.logSumExp(),
                            result.logSumExp()))
                    .withMessageContaining("F16[2, 4, 19, 24]");
        }
    }

    @Test
    void whatDoesNotFitIsNamed() {
        AttentionCase problem = small(DType.F32, AttentionOptions.defaults());
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            AttentionResult result = problem.run(attention);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(null, problem.dO()))
                    .withMessageContaining("result is null");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, null))
                    .withMessageContainingAll("dOut is null", "[2, 4, 19, 24]");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, problem.k()))
                    .withMessageContainingAll("dOut is", "[2, 4, 19, 24]");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, problem.dO().as(DType.BF16)))
                    .withMessageContainingAll("dOut is", "it must be F32");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, problem.dO(), null))
                    .withMessageContaining("dLse is null");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, problem.dO(), problem.dO()))
                    .withMessageContainingAll("dLse is", "[2, 4, 19]");
        }
    }

    @Test
    void aClosedInstanceSaysSo() {
        AttentionCase problem = small(DType.F32, AttentionOptions.defaults());
        FlashAttention attention = FlashAttention.on(TestDevice.get());
        AttentionResult result = problem.run(attention);
        attention.close();
        assertThatIllegalStateException()
                .isThrownBy(() -> attention.backward(result, problem.dO()))
                .withMessageContaining("closed");
    }

    @Test
    void aDeviceThatIsTooSmallIsNamed() {
        AttentionCase problem = small(DType.F32, AttentionOptions.defaults());
        AttentionResult result = problem.run(AttentionKernel.ONLINE);
        long plenty = 1L << 40;
        try (FlashAttention little = FlashAttention.on(TestDevice.limited(1 << 16, 1024, plenty, 30_000))) {
            assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                    .isThrownBy(() -> little.backward(result, problem.dO()))
                    .withMessageContainingAll("memory", "it has 30,000");
        }
        try (FlashAttention tiled =
                FlashAttention.on(TestDevice.limited(1000, 1024, plenty, plenty), AttentionKernel.TILED)) {
            assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                    .isThrownBy(() -> tiled.backward(result, problem.dO()))
                    .withMessageContainingAll("any tile of the kernel tiled", "1,000 bytes", "use the kernel online");
        }
    }
}
