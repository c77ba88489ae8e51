package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.DropoutPattern;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The same pairs are dropped by every kernel, forward and backward, on every device. */
class DropoutTest {

    private static final long SEED = 0x1234_5678_9abc_def0L;

    /** Equal scores and a unit matrix for V, so that the output of a query is the pattern of its keys. */
    private static Tensor pattern(AttentionKernel kernel, DType dtype, AttentionShape shape, AttentionOptions options) {
        Tensor q = Tensor.allocate(dtype, shape.queryShape());
        Tensor k = Tensor.allocate(dtype, shape.keyShape());
        Tensor v = Tensor.allocate(dtype, shape.keyShape());
        for (int entry = 0; entry < shape.batch(); entry++) {
            for (int head = 0; head < shape.kvHeads(); head++) {
                for (int key = 0; key < shape.seqK(); key++) {
                    v.set(1, entry, head, key, key);
                }
            }
        }
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            return attention.forward(q, k, v, options).output();
        }
    }

    static Stream<Arguments> kernels() {
        return Arrays.stream(AttentionKernel.values())
                .flatMap(kernel -> Arrays.stream(DType.values())
                        .filter(dtype -> kernel.supports(dtype) && TestDevice.tries(kernel))
                        .filter(_ -> kernel.supportsDropout())
                        .map(dtype -> Arguments.of(kernel, dtype)));
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("kernels")
    void thePatternIsPhiloxs(AttentionKernel kernel, DType dtype) {
        AttentionShape shape = new AttentionShape(2, 4, 2, 70, 72, 72);
        AttentionOptions options = AttentionOptions.defaults().withDropout(0.3, SEED, -5);
        Tensor output = pattern(kernel, dtype, shape, options);
        for (int row = 0; row < shape.queryRows(); row++) {
            for (int key = 0; key < shape.seqK(); key++) {
                boolean kept = output.getFlat(row * shape.headDim() + key) != 0;
                assertThat(kept)
                        .as("query row %d, key %d", row, key)
                        .isEqualTo(
                                DropoutPattern.keeps(options.dropout(), row / shape.seqQ(), row % shape.seqQ(), key));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.1, 0.5, 0.9})
    void soManyAreDroppedAsWereAskedFor(double probability) {
        AttentionShape shape = new AttentionShape(2, 4, 4, 128, 64, 64);
        Tensor output = pattern(
                AttentionKernel.ONLINE,
                DType.F32,
                shape,
                AttentionOptions.defaults().withDropout(probability, 42));
        int dropped = 0;
        double sum = 0;
        for (float o : output.toFloatArray()) {
            dropped += o == 0 ? 1 : 0;
            sum += o;
        }
        double all = output.numberOfElements();
        assertThat(dropped / all).isCloseTo(probability, within(0.01));
        // Every element is 1 / 64 on average, as without dropout: a standard deviation is sqrt(p / (1 - p) / all) / 64.
        assertThat(sum / all * 64).isCloseTo(1, within(5 * Math.sqrt(probability / (1 - probability) / all)));
    }

    static Stream<Arguments> gradients() {
        AttentionOptions all = AttentionOptions.defaults()
                .withWindow(20, 5)
                .withSoftcap(3)
                .withAlibi(0.5f, 0.25f, 0.1f, 0f)
                .withKeyLengths(50, 37);
        return Stream.of(
                        AttentionCase.of(
                                new AttentionShape(2, 2, 1, 33, 49, 24),
                                DType.F32,
                                AttentionOptions.causal().withDropout(0.2, SEED)),
                        AttentionCase.of(
                                new AttentionShape(2, 4, 2, 41, 50, 40), DType.F32, all.withDropout(0.5, 7, 3)),
                        AttentionCase.of(
                                new AttentionShape(2, 4, 2, 41, 50, 40), DType.F16, all.withDropout(0.5, 7, 3)),
                        AttentionCase.of(
                                new AttentionShape(1, 2, 2, 65, 40, 128),
                                DType.BF16,
                                AttentionOptions.defaults().withDropout(0.1, -1)))
                .flatMap(problem -> problem.kernels().stream()
                        .filter(TestDevice::tries)
                        .map(kernel -> Arguments.of(problem, kernel)));
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("gradients")
    void forwardAndBackwardAreAccurate(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            if (GradientGridTest.WITH_BACKWARD.contains(kernel)) {
                problem.assertAllAccurate(attention, result);
            } else {
                // Gradients of another kernel's are that kernel's case.
                problem.assertAccurate(result);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void anotherSeedNeedsNoOtherPlan(AttentionKernel kernel) {
        AttentionCase problem = AttentionCase.of(
                new AttentionShape(1, 2, 2, 20, 30, 16),
                DType.F32,
                AttentionOptions.causal().withDropout(0.5, 1));
        Tensor q = problem.q();
        Tensor k = problem.k();
        Tensor v = problem.v();
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            for (long seed = 1; seed < 4; seed++) {
                AttentionOptions options = problem.options().withDropout(0.25 * seed, seed, (int) seed);
                AttentionResult result = attention.forward(q, k, v, options);
                assertThat(AccuracyCheck.of(q, k, v, options).forward(result.output(), result.logSumExp()))
                        .allMatch(Comparison::passed);
            }
            assertThat(attention.statistics().misses()).isEqualTo(1);
            AttentionResult without =
                    attention.forward(q, k, v, problem.options().withoutDropout());
            AttentionResult with = attention.forward(q, k, v, problem.options());
            assertThat(with.logSumExp().toFloatArray())
                    .usingComparatorWithPrecision(1e-5f)
                    .containsExactly(without.logSumExp().toFloatArray());
            assertThat(with.output().toFloatArray())
                    .isNotEqualTo(without.output().toFloatArray());
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {-0.1, 1, 1.5, Double.NaN})
    void aProbabilityIsFromZeroToBelowOne(double probability) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionOptions.defaults().withDropout(probability, 1))
                .withMessageContainingAll("dropout probability", "from 0 to below 1");
    }

    @Test
    void noProbabilityIsNoDropout() {
        assertThat(AttentionOptions.defaults().withDropout(0, 5).hasDropout()).isFalse();
        assertThat(AttentionOptions.defaults().withDropout(1e-9, 5).hasDropout())
                .isFalse();
        assertThat(AttentionOptions.defaults().withDropout(0.25, 5).dropout().keptFactor())
                .isEqualTo(4.0 / 3);
    }
}
