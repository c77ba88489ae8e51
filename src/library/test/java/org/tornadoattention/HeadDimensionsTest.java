package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.kernel.TiledQueryGradient;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Values with a head dimension of their own, and heads of up to 512 elements, forward and backward. */
class HeadDimensionsTest {

    private static final List<int[]> DIMENSIONS = List.of(
            new int[] {192, 128},
            new int[] {64, 128},
            new int[] {8, 16},
            new int[] {16, 8},
            new int[] {7, 13},
            new int[] {13, 6},
            new int[] {1, 5},
            new int[] {300, 300},
            new int[] {512, 512},
            new int[] {512, 64});

    static Stream<Arguments> kernelsAndDimensions() {
        Stream<Arguments> table = Stream.of(AttentionKernel.values())
                .filter(kernel -> kernel.spec().ownValueDim() && TestDevice.tries(kernel))
                .flatMap(kernel -> DIMENSIONS.stream()
                        .filter(dims ->
                                Math.max(dims[0], dims[1]) <= kernel.spec().widestHead())
                        .map(dims -> Arguments.of(kernel, dtype(kernel), dims[0], dims[1])));
        return CoveringArray.today(table, 2, 3);
    }

    private static DType dtype(AttentionKernel kernel) {
        return kernel == AttentionKernel.TILED || !kernel.supports(DType.F32) ? DType.F16 : DType.F32;
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernelsAndDimensions")
    void areWhatTheOracleComputes(AttentionKernel kernel, DType dtype, int headDim, int valueDim) {
        Tensor q = Tensor.random(dtype, 1, 1, 2, 19, headDim);
        Tensor k = Tensor.random(dtype, 2, 1, 1, 37, headDim);
        Tensor v = Tensor.random(dtype, 3, 1, 1, 37, valueDim);
        Tensor dOut = Tensor.random(dtype, 4, 1, 2, 19, valueDim);
        AttentionOptions options = AttentionOptions.causal()
                .withBias(Tensor.random(DType.F32, 5, 1, 2, 19, 37))
                .withSoftcap(9);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(result.output().shape()).containsExactly(1, 2, 19, valueDim);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            if (!hasRoom(kernel, q, k, v, options)) {
                assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                        .isThrownBy(() -> attention.backward(result, dOut))
                        .withMessageContaining("local memory or group size for any tile of the kernel tiled");
                return;
            }
            Gradients gradients = attention.backward(result, dOut);
            assertThat(gradients.dV().shape()).containsExactly(1, 1, 37, valueDim);
            assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
        }
    }

    /** Four tiles of 8 rows, of S and of dP: 90 KB for 512 elements. */
    private static boolean hasRoom(AttentionKernel kernel, Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        int widest = AttentionShape.of(q, k, v, options).widestDim();
        return !List.of(AttentionKernel.TILED, AttentionKernel.WARP).contains(kernel)
                || TiledQueryGradient.localMemoryBytes(widest, 8)
                        <= TestDevice.get().localMemoryBytes();
    }

    @Test
    void kernelsThatTakeOneDimensionSaySo() {
        Tensor q = Tensor.random(DType.F16, 1, 1, 1, 4, 64);
        Tensor v = Tensor.random(DType.F16, 1, 1, 1, 4, 128);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.TENSOR_CORE)) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(q, q, v, AttentionOptions.defaults()))
                    .withMessageContaining(
                            "tensor-core takes values of the head dimension of the keys, and these have 128 and 64")
                    .withMessageContaining("choose tiled");
        }
        Tensor wide = Tensor.random(DType.F16, 1, 1, 1, 4, 257);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.WARP)) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(wide, wide, wide, AttentionOptions.defaults()))
                    .withMessageContaining("heads of up to 256 elements, and these have 257");
        }
    }
}
