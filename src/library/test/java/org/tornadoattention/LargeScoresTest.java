package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.NaiveAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Keys that tie at large scores. A backward pass has P = e^(S − L) of a log-sum-exp L = S + ln n in F32, whose places
 * behind the point grow fewer as S grows: docs/accuracy.md says what P is worth then.
 */
class LargeScoresTest {

    private static final int KEYS = 16;
    private static final AttentionShape SHAPE = new AttentionShape(1, 1, 1, KEYS, KEYS, 16);

    static Stream<Arguments> problems() {
        return CoveringArray.ofEachValue(LargeScoresTest::values)
                .withTuple(0, 1)
                .ofTheDay(IntStream.of(3, 10, 16, 20)
                        .boxed()
                        .flatMap(exponent -> cases(SHAPE, scoresOf(exponent), exponent)));
    }

    private static List<?> values(Arguments row) {
        return List.of(row.get()[1], ((AttentionCase) row.get()[0]).dtype(), row.get()[2]);
    }

    static Stream<Arguments> hugeProblems() {
        AttentionOptions options = AttentionOptions.defaults().withAlibi(-Math.scalb(1f, 26));
        return cases(new AttentionShape(1, 1, 1, 3, 3, 16), options, 26);
    }

    private static Stream<Arguments> cases(AttentionShape shape, AttentionOptions options, int exponent) {
        return Arrays.stream(DType.values())
                .map(dtype -> AttentionCase.of(shape, dtype, options))
                .flatMap(problem -> problem.kernels().stream()
                        .filter(kernel -> !kernel.isFp8() && kernel != AttentionKernel.WARP_TF32)
                        .map(kernel -> Arguments.of(problem, kernel, exponent)));
    }

    /** Of queries and keys of ones. */
    private static AttentionOptions scoresOf(int exponent) {
        return AttentionOptions.defaults().withScale(Math.scalb(1.0 / SHAPE.headDim(), exponent));
    }

    /** Values of a key's gradient where all gradients of the output are 1: the sum of its probabilities. */
    private static float[] sums(AttentionCase problem, AttentionKernel kernel) {
        Tensor ones = ones(problem);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(ones, ones, ones, problem.options());
            return attention.backward(result, ones).dV().toFloatArray();
        }
    }

    private static Tensor ones(AttentionCase problem) {
        Tensor ones = Tensor.allocate(problem.dtype(), problem.shape().queryShape());
        ones.fill(1);
        return ones;
    }

    @ParameterizedTest(name = "{0}, {1}, scores of 2^{2}")
    @MethodSource("problems")
    void tiedKeysShareTheRowAsFarAsTheLogSumExpHasPlaces(AttentionCase problem, AttentionKernel kernel, int exponent) {
        double off = Math.expm1(3 * Math.ulp(Math.scalb(1f, exponent)));
        double rounding = Math.max(1e-5, 4 * problem.dtype().unitRoundoff());
        assertThat(sums(problem, kernel))
                .usingComparatorWithPrecision((float) (off + rounding))
                .containsOnly(1f);
    }

    /** The middle one of three queries is as far from the first key as from the last, and nearer to the third. */
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("hugeProblems")
    void beyondThatEachCountsForOneAtMost(AttentionCase problem, AttentionKernel kernel, int exponent) {
        float[] sums = sums(problem, kernel);
        int width = problem.shape().headDim();
        for (int x = 0; x < width; x++) {
            assertThat(sums[x]).isBetween(1.5f, 2f);
            assertThat(sums[width + x]).isZero();
            assertThat(sums[2 * width + x]).isBetween(1.5f, 2f);
        }
    }

    /** It has P itself, not a log-sum-exp. */
    @Test
    void standardAttentionDividesByTheSum() {
        for (int exponent : new int[] {10, 20, 30, 60}) {
            Tensor ones = ones(AttentionCase.of(SHAPE, DType.F32, scoresOf(exponent)));
            for (float sum : NaiveAttention.backward(ones, ones, ones, ones, scoresOf(exponent))
                    .dV()) {
                assertThat(sum).isCloseTo(1f, within(1e-6f));
            }
        }
    }
}
