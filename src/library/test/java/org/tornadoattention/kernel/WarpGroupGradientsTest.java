package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
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
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.simulator.Simulator;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** All gradients in one kernel, which the simulator's default local memory is too small for: with each kind of option. */
class WarpGroupGradientsTest {

    /** Of a work-group on the devices that the kernel is for. */
    private static final int LOCAL_MEMORY = 227 << 10;

    private static AttentionShape shape(int heads, int kvHeads, int seqQ, int seqK, int headDim) {
        return new AttentionShape(1, heads, kvHeads, seqQ, seqK, headDim);
    }

    private static Stream<Arguments> problems() {
        AttentionOptions options = AttentionOptions.defaults();
        return Stream.of(
                Arguments.of(shape(1, 1, 150, 150, 64), DType.F16, options),
                Arguments.of(shape(2, 2, 100, 170, 32), DType.F16, options.withCausal()),
                Arguments.of(shape(2, 2, 200, 100, 64), DType.BF16, options.withCausal()),
                Arguments.of(
                        shape(2, 2, 140, 200, 40),
                        DType.F16,
                        options.withWindow(30, 20).withDropout(0.2, 5)),
                Arguments.of(
                        shape(2, 2, 70, 260, 48),
                        DType.F16,
                        options.withSoftcap(2)
                                .withAlibi(AttentionOptions.alibiSlopes(2))
                                .withKeyLengths(131)),
                Arguments.of(shape(1, 1, 65, 129, 128), DType.F16, options.withKeyLengths(0)),
                Arguments.of(shape(1, 1, 65, 64, 7), DType.BF16, options));
    }

    private static ComputeDevice device() {
        ComputeDevice device = TestDevice.get();
        CompilerExtension.Support support = device.extension();
        return !device.isSimulator()
                ? device
                : new ComputeDevice(
                        device.backend(),
                        device.backendIndex(),
                        device.deviceIndex(),
                        device.name(),
                        device.type(),
                        LOCAL_MEMORY,
                        device.maxGroupSize(),
                        device.maxAllocationBytes(),
                        device.globalMemoryBytes(),
                        device.computeUnits(),
                        device.halfFloats(),
                        new CompilerExtension.Support(
                                support.level(), support.computeCapability(), LOCAL_MEMORY, support.reason()),
                        device.handle());
    }

    @ParameterizedTest
    @MethodSource("problems")
    void areAccurateAndTheSameInEveryRun(AttentionShape shape, DType dtype, AttentionOptions options) {
        ComputeDevice device = device();
        assumeTrue(AttentionKernel.WARP_GROUP.supports(device));
        AttentionProblem problem = AttentionProblem.of(shape, dtype, options);
        KernelChoice choice = KernelChoice.chooseBackward(problem, device, Optional.of(AttentionKernel.WARP_GROUP));
        assertThat(choice.tiles()).as("tiles of one kernel").hasSize(1);

        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.keyShape());
        Tensor dOut = Tensor.random(dtype, 4, shape.queryShape());
        try (Simulator.Restore _ = Simulator.configure(
                        Simulator.settings().withLocalMemory(LOCAL_MEMORY).withSeed(7));
                FlashAttention attention = FlashAttention.on(device, AttentionKernel.WARP_GROUP)) {
            AttentionResult result = attention.forward(q, k, v, options);
            Gradients first = attention.backward(result, dOut);
            assertThat(AccuracyCheck.of(q, k, v, dOut, options).gradients(first))
                    .allMatch(Comparison::passed);
            Gradients second = attention.backward(result, dOut);
            for (List<Tensor> pair : List.of(
                    List.of(first.dQ(), second.dQ()),
                    List.of(first.dK(), second.dK()),
                    List.of(first.dV(), second.dV()))) {
                assertThat(pair.getFirst().toFloatArray())
                        .isEqualTo(pair.getLast().toFloatArray());
            }
        }
    }
}
