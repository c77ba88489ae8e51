package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Attention in 8 bits of numbers that 8 bits hold, which must come out as exact as the output's type is: so layouts,
 * masks and scales are held to what the rounding of other numbers would hide.
 */
class WarpGroupFp8FlashAttentionTest {

    private static final float LN_2 = (float) Math.log(2);

    /** Of the output, twice F16's rounding, and of the tensor cores' sums. */
    private static final Tolerance EXACT = new Tolerance(0, 2e-3);

    private final Random random = new Random(5);

    @BeforeEach
    void theDeviceHasTheInstructions() {
        assumeTrue(AttentionKernel.WARP_GROUP_FP8.supports(TestDevice.get()));
    }

    private static AttentionResult run(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.WARP_GROUP_FP8)) {
            return attention.forward(q, k, v, options);
        }
    }

    static Stream<Arguments> problems() {
        AttentionOptions causal = AttentionOptions.causal();
        AttentionOptions window = AttentionOptions.defaults().withWindow(31, 17);
        return Stream.of(
                Arguments.of(1, 5, 40, AttentionOptions.defaults()),
                Arguments.of(24, 70, 203, causal),
                Arguments.of(32, 33, 129, window),
                Arguments.of(59, 130, 70, causal),
                Arguments.of(64, 128, 300, causal.withKeyLengths(300, 171)),
                Arguments.of(80, 40, 290, AttentionOptions.defaults().withKeyLengths(7, 290)),
                Arguments.of(128, 113, 203, causal),
                Arguments.of(128, 200, 200, window.withKeyLengths(129, 0)),
                Arguments.of(144, 20, 150, causal.withAlibi(LN_2, 2 * LN_2, 3 * LN_2, LN_2)),
                Arguments.of(256, 65, 130, causal));
    }

    /** Queries of zeros: each output is the plain mean of what it sees. */
    @ParameterizedTest
    @MethodSource("problems")
    void meansAreExact(int headDim, int queries, int keys, AttentionOptions options) {
        int batch = batch(options);
        Tensor q = Tensor.allocate(DType.F16, batch, heads(options), queries, headDim);
        assertExact(q, integers(batch, 1, keys, headDim), integers(batch, 1, keys, headDim), options);
    }

    /**
     * One batch entry, but where each has a length of its own; two heads on one of keys, but where each has a slope.
     */
    private static int batch(AttentionOptions options) {
        return Math.max(1, options.keyLengths().length);
    }

    private static int heads(AttentionOptions options) {
        return Math.max(2, options.alibiSlopes().length);
    }

    /** A query and a key have one element each, so a score is an integer power of 2, or 1 where the places differ. */
    @ParameterizedTest
    @MethodSource("problems")
    void wholeScoresAreExact(int headDim, int queries, int keys, AttentionOptions options) {
        int batch = batch(options);
        Tensor q = oneElementEach(batch, heads(options), queries, headDim, 1);
        Tensor k = oneElementEach(batch, 1, keys, headDim, 15);
        assertExact(q, k, integers(batch, 1, keys, headDim), options.withScale(LN_2));
        assertExact(q, k, integers(batch, 1, keys, headDim), options.withScale(-LN_2));
    }

    private static void assertExact(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        AttentionResult result = run(q, k, v, options);
        assertThat(AccuracyCheck.of(q, k, v, options).forward(result.output(), result.logSumExp(), EXACT))
                .allMatch(Comparison::passed);
    }

    private Tensor oneElementEach(int batch, int heads, int rows, int columns, int largest) {
        float[] values = new float[batch * heads * rows * columns];
        for (int row = 0; row < values.length / columns; row++) {
            values[row * columns + random.nextInt(Math.min(columns, 3))] = 1 + random.nextInt(largest);
        }
        return Tensor.of(DType.F16, values, batch, heads, rows, columns);
    }

    /** From -15 to 15, later keys times up to 4, so that the scales of tiles differ. */
    private Tensor integers(int batch, int heads, int rows, int columns) {
        float[] values = new float[batch * heads * rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (random.nextInt(31) - 15) * (1 << i / columns % rows / 128 % 3);
        }
        return Tensor.of(DType.F16, values, batch, heads, rows, columns);
    }

    /** Every power of 2 on Q, K or V is a matter of scales. */
    @ParameterizedTest
    @CsvSource({"-9, 0, 0", "9, -9, 0", "0, 10, -8", "0, 0, 8", "0, 0, -12"})
    void powersOfTwoChangeNothing(int ofQ, int ofK, int ofV) {
        Tensor q = Tensor.random(DType.BF16, 1, 1, 2, 70, 64);
        Tensor k = Tensor.random(DType.BF16, 2, 1, 2, 150, 64);
        Tensor v = Tensor.random(DType.BF16, 3, 1, 2, 150, 64);
        AttentionResult plain = run(q, k, v, AttentionOptions.causal().withScale(0.125));
        AttentionResult scaled = run(
                times(q, ofQ),
                times(k, ofK),
                times(v, ofV),
                AttentionOptions.causal().withScale(Math.scalb(0.125, -ofQ - ofK)));
        assertThat(scaled.logSumExp().toFloatArray())
                .containsExactly(plain.logSumExp().toFloatArray(), within(1e-5f));
        assertThat(scaled.output().toFloatArray())
                .containsExactly(
                        times(plain.output(), ofV).toFloatArray(), within(0x1p-7f * (float) Math.scalb(4, ofV)));
    }

    private static org.assertj.core.data.Offset<Float> within(float offset) {
        return org.assertj.core.data.Offset.offset(offset);
    }

    private static Tensor times(Tensor tensor, int exponent) {
        float[] values = tensor.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.scalb(values[i], exponent);
        }
        return Tensor.of(tensor.dtype(), values, tensor.shape());
    }

    @Test
    void whatItLacksItSays() {
        Tensor q = Tensor.random(DType.F16, 1, 1, 1, 8, 16);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run(q, q, q, AttentionOptions.defaults().withDropout(0.1, 1)))
                .withMessageContaining("warp-group-fp8 takes no dropout");
        Tensor f32 = Tensor.random(DType.F32, 1, 1, 1, 8, 16);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> run(f32, f32, f32, AttentionOptions.defaults()))
                .withMessageContaining("warp-group-fp8 takes F16 and BF16 only");
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.WARP_GROUP_FP8)) {
            AttentionResult result = attention.forward(q, q, q);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, q))
                    .withMessageContaining("warp-group-fp8 has no backward pass");
        }
    }
}
