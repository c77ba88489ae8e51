package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * F32 in three products of F16, both ways, with each kind of option. In the simulator a test of its own computes them,
 * with its work-items in a shuffled order.
 */
public class WarpGroupF32Test {

    private static final double MAX_RELATIVE_ERROR = 2e-6;

    private static AttentionShape shape(int heads, int kvHeads, int seqQ, int seqK, int headDim) {
        return new AttentionShape(1, heads, kvHeads, seqQ, seqK, headDim);
    }

    static Stream<Arguments> problems() {
        AttentionOptions options = AttentionOptions.defaults();
        return Stream.of(
                Arguments.of(shape(2, 1, 70, 100, 40), options, 1f),
                Arguments.of(shape(1, 1, 70, 100, 128), options.withCausal(), 1f),
                Arguments.of(shape(1, 1, 65, 129, 7), options.withKeyLengths(70), 1f),
                Arguments.of(shape(1, 1, 70, 30, 64), options.withKeyLengths(0), 1f),
                Arguments.of(
                        shape(2, 2, 40, 130, 16),
                        options.withSoftcap(2).withAlibi(AttentionOptions.alibiSlopes(2)),
                        1f),
                Arguments.of(shape(1, 1, 70, 200, 64), options.withWindow(20, 10), 1e-4f),
                Arguments.of(shape(1, 1, 70, 90, 34), options, 3e5f));
    }

    /** Numbers that F16 cannot hold, as values and gradients: each block has a scale. */
    private static Tensor scaled(Tensor tensor, float factor) {
        for (int at = 0; at < tensor.numberOfElements(); at++) {
            tensor.setFlat(at, tensor.getFlat(at) * (at % 3 == 0 ? factor : factor / 100));
        }
        return tensor;
    }

    /** What the problems are computed on. */
    protected ComputeDevice device() {
        return TestDevice.get();
    }

    /** Whether they are computed in this class. */
    protected boolean isHere() {
        return !device().isSimulator();
    }

    @ParameterizedTest
    @MethodSource("problems")
    void isAsExactAsStandardAttention(AttentionShape shape, AttentionOptions options, float factor) {
        ComputeDevice device = device();
        assumeTrue(AttentionKernel.WARP_GROUP_F32.supports(device));
        assumeTrue(isHere(), "SKIPPED: SimulatedWarpGroupF32Test computes them in the simulator, in another order");
        AttentionProblem problem = AttentionProblem.of(shape, DType.F32, options);
        assertThat(KernelChoice.chooseBackward(problem, device, Optional.of(AttentionKernel.WARP_GROUP_F32))
                        .kernel())
                .isEqualTo(AttentionKernel.WARP_GROUP_F32);

        Tensor q = Tensor.random(DType.F32, 1, shape.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = scaled(Tensor.random(DType.F32, 3, shape.keyShape()), factor);
        Tensor dOut = scaled(Tensor.random(DType.F32, 4, shape.queryShape()), factor);
        try (FlashAttention attention = FlashAttention.on(device, AttentionKernel.WARP_GROUP_F32)) {
            AttentionResult result = attention.forward(q, k, v, options);
            Gradients gradients = attention.backward(result, dOut);
            AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(this::isAsExact);
            assertThat(check.gradients(gradients)).allMatch(this::isAsExact);
        }
    }

    static Stream<AttentionShape> problemsOfOneKey() {
        return Stream.of(shape(1, 1, 70, 1, 64), shape(2, 1, 65, 1, 128), shape(1, 1, 3, 1, 40), shape(1, 1, 3, 1, 7));
    }

    /** O is then V, and dP and D are the same sums, of which nothing may be left. */
    @ParameterizedTest
    @MethodSource("problemsOfOneKey")
    void queriesThatSeeOneKeyHaveGradientsOfZero(AttentionShape shape) {
        ComputeDevice device = device();
        assumeTrue(AttentionKernel.WARP_GROUP_F32.supports(device));
        assumeTrue(isHere(), "SKIPPED: SimulatedWarpGroupF32Test computes them in the simulator, in another order");
        Tensor q = scaled(Tensor.random(DType.F32, 1, shape.queryShape()), 5);
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = scaled(Tensor.random(DType.F32, 3, shape.keyShape()), 30);
        Tensor dOut = Tensor.random(DType.F32, 4, shape.queryShape());
        try (FlashAttention attention = FlashAttention.on(device, AttentionKernel.WARP_GROUP_F32)) {
            Gradients gradients = attention.backward(attention.forward(q, k, v), dOut);
            assertThat(gradients.dQ().toFloatArray()).containsOnly(0f);
            assertThat(gradients.dK().toFloatArray()).containsOnly(0f);
        }
    }

    /** The rule allows 10⁻⁵ in any case, which would hide that small numbers were lost. */
    private boolean isAsExact(Comparison comparison) {
        return comparison.passed() && !(comparison.relativeError() > MAX_RELATIVE_ERROR);
    }
}
