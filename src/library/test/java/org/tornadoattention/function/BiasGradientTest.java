package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * Gradients of a bias that batch entries, heads or both share: a device with many units divides those that share it.
 */
class BiasGradientTest {

    private static final int BATCH = 2;
    private static final int HEADS = 2;
    private static final int QUERIES = 70;
    private static final int KEYS = 72;

    private static final String FUNCTIONS = "a score function, a mask and dropout";
    private static final String OPTIONS = "causal, lengths, softcap and ALiBi";

    private static final AttentionOptions PLAIN = AttentionOptions.defaults();

    /** What there is beside the bias. */
    private static final Map<String, AttentionOptions> OTHERS = Map.of(
            "nothing",
            PLAIN,
            OPTIONS,
            PLAIN.withMask(Mask.causal())
                    .withKeyLengths(5, KEYS - 9)
                    .withSoftcap(3)
                    .withAlibi(AttentionOptions.alibiSlopes(HEADS)),
            FUNCTIONS,
            PLAIN.withScore((s, b, h, i, j) -> 4 * TornadoMath.tanh(s / 4))
                    .withMask(Mask.of((b, h, i, j) -> (i + 3 * j + h) % 5 != b))
                    .withDropout(0.2, 5),
            "a block mask",
            PLAIN.withMask(Mask.blocks(BlockMask.of(
                    (b, h, i, j) -> (i / 64 + j / 64 + h + b) % 2 == 0 && i != 7,
                    BATCH,
                    HEADS,
                    QUERIES,
                    KEYS,
                    64,
                    64))));

    static Stream<Arguments> cases() {
        return Stream.of(
                Arguments.of(AttentionKernel.TILED, DType.F32, "nothing", DType.F32, 1, 1, 100),
                Arguments.of(AttentionKernel.TILED, DType.F32, FUNCTIONS, DType.F32, 1, 2, 1),
                Arguments.of(AttentionKernel.TILED, DType.F16, OPTIONS, DType.F16, 2, 1, 100),
                Arguments.of(AttentionKernel.TILED, DType.F32, "a block mask", DType.BF16, 2, 2, 1),
                Arguments.of(AttentionKernel.WARP_GROUP, DType.F16, FUNCTIONS, DType.F32, 1, 1, 1),
                Arguments.of(AttentionKernel.WARP_GROUP, DType.BF16, OPTIONS, DType.BF16, 1, 2, 100),
                Arguments.of(AttentionKernel.WARP_GROUP, DType.F16, "a block mask", DType.F16, 2, 1, 1));
    }

    /** With units for one group to a tile, or for many. */
    @ParameterizedTest
    @MethodSource("cases")
    void isTheSumOfAllThatShareIt(
            AttentionKernel kernel, DType dtype, String others, DType ofBias, int biasBatch, int biasHeads, int units) {
        TestDevice.assumed(kernel);
        Tensor bias = Tensor.random(ofBias, 7, biasBatch, biasHeads, QUERIES, KEYS);
        AttentionOptions options = OTHERS.get(others).withBias(bias);
        Tensor q = Tensor.random(dtype, 1, BATCH, HEADS, QUERIES, 16);
        Tensor k = Tensor.random(dtype, 2, BATCH, 1, KEYS, 16);
        Tensor v = Tensor.random(dtype, 3, BATCH, 1, KEYS, 16);
        Tensor dOut = Tensor.random(dtype, 4, BATCH, HEADS, QUERIES, 16);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.withUnits(units), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
        }
    }
}
