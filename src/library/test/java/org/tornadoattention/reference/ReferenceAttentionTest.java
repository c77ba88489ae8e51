package org.tornadoattention.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class ReferenceAttentionTest {
    private static double[] numbers(int count, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return random.doubles(count, -1.5, 1.5).toArray();
    }

    private static int size(int[] shape) {
        return Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    static Stream<Arguments> problems() {
        AttentionOptions plain = AttentionOptions.defaults();
        AttentionShape square = new AttentionShape(2, 2, 1, 5, 5, 3);
        AttentionShape wide = new AttentionShape(2, 4, 2, 4, 7, 3);
        AttentionShape tall = new AttentionShape(1, 2, 2, 7, 4, 5);
        return Stream.of(
                Arguments.of(square, plain),
                Arguments.of(wide, plain.withScale(0.9)),
                Arguments.of(wide, AttentionOptions.causal()),
                Arguments.of(tall, AttentionOptions.causal()),
                Arguments.of(square, plain.withWindow(1, 2)),
                Arguments.of(tall, plain.withWindow(0, 1)),
                Arguments.of(square, plain.withSoftcap(0.7).withScale(2)),
                Arguments.of(wide, plain.withAlibi(AttentionOptions.alibiSlopes(4))),
                Arguments.of(wide, plain.withKeyLengths(3, 0)),
                Arguments.of(wide, plain.withDropout(0.4, 1234567890123L)),
                Arguments.of(tall, AttentionOptions.causal().withSoftcap(2).withDropout(0.2, -3, 5)),
                Arguments.of(wide, plain.withKeyLengths(6, 2).withCausal()),
                Arguments.of(
                        wide,
                        plain.withKeyLengths(7, 5)
                                .withWindow(3, 1)
                                .withSoftcap(1.5)
                                .withAlibi(0.5f, 0, -0.25f, 1)
                                .withScale(-1.3)));
    }

    /** The formula once more, over the whole score matrix, with the mask's definition and no care for speed. */
    private static double[] bruteForce(
            AttentionShape shape, double[] q, double[] k, double[] v, AttentionOptions options) {
        double[] output = new double[q.length];
        int d = shape.headDim();
        for (int row = 0; row < shape.queryRows(); row++) {
            int i = row % shape.seqQ();
            int h = row / shape.seqQ() % shape.heads();
            int b = row / shape.seqQ() / shape.heads();
            int keys = options.hasKeyLengths() ? options.keyLengths()[b] : shape.seqK();
            double sum = 0;
            double[] o = new double[d];
            for (int j = 0; j < keys; j++) {
                int position = i + keys - shape.seqQ();
                Mask mask = options.mask();
                if ((mask.left() >= 0 && j < position - mask.left())
                        || (mask.right() >= 0 && j > position + mask.right())) {
                    continue;
                }
                int kvRow = (b * shape.kvHeads() + h / (shape.heads() / shape.kvHeads())) * shape.seqK() + j;
                double s = 0;
                for (int x = 0; x < d; x++) {
                    s += q[row * d + x] * k[kvRow * d + x];
                }
                s *= options.scale().orElse(1 / Math.sqrt(d));
                if (options.softcap() > 0) {
                    s = options.softcap() * Math.tanh(s / options.softcap());
                }
                if (options.hasAlibi()) {
                    s -= options.alibiSlopes()[h] * Math.abs(position - j);
                }
                sum += Math.exp(s);
                double p = Math.exp(s);
                if (options.hasDropout()) {
                    boolean kept = DropoutPattern.keeps(options.dropout(), b * shape.heads() + h, i, j);
                    p = kept ? p / (1 - options.dropout().threshold() * 0x1p-24) : 0;
                }
                for (int x = 0; x < d; x++) {
                    o[x] += p * v[kvRow * d + x];
                }
            }
            for (int x = 0; x < d; x++) {
                output[row * d + x] = sum == 0 ? 0 : o[x] / sum;
            }
        }
        return output;
    }

    @ParameterizedTest
    @MethodSource("problems")
    void everyOptionIsTheFormula(AttentionShape shape, AttentionOptions options) {
        double[] q = numbers(size(shape.queryShape()), 1);
        double[] k = numbers(size(shape.keyShape()), 2);
        double[] v = numbers(size(shape.keyShape()), 3);
        assertThat(ReferenceAttention.forward(shape, q, k, v, options).output())
                .containsExactly(bruteForce(shape, q, k, v, options), within(1e-14));
    }

    @ParameterizedTest
    @MethodSource("problems")
    void gradientsAreThoseOfFiniteDifferences(AttentionShape shape, AttentionOptions options) {
        double[][] inputs = {
            numbers(size(shape.queryShape()), 1), numbers(size(shape.keyShape()), 2), numbers(size(shape.keyShape()), 3)
        };
        double[] dO = numbers(inputs[0].length, 4);
        double[] dLse = numbers((int) shape.queryRows(), 5);
        var backward = ReferenceAttention.backward(shape, inputs[0], inputs[1], inputs[2], dO, dLse, options);
        double[][] gradients = {backward.dQ(), backward.dK(), backward.dV()};
        double step = 1e-4;
        for (int input = 0; input < 3; input++) {
            for (int i = 0; i < inputs[input].length; i++) {
                // The fourth-order stencil: with this step its own error is some 1e-13.
                double difference = 8
                                * (loss(shape, inputs, input, i, step, dO, dLse, options)
                                        - loss(shape, inputs, input, i, -step, dO, dLse, options))
                        - loss(shape, inputs, input, i, 2 * step, dO, dLse, options)
                        + loss(shape, inputs, input, i, -2 * step, dO, dLse, options);
                assertThat(gradients[input][i])
                        .as("input %d, element %d", input, i)
                        .isCloseTo(difference / (12 * step), within(1e-9));
            }
        }
    }

    private static double loss(
            AttentionShape shape,
            double[][] inputs,
            int input,
            int element,
            double change,
            double[] dO,
            double[] dLse,
            AttentionOptions options) {
        double[][] changed = inputs.clone();
        changed[input] = inputs[input].clone();
        changed[input][element] += change;
        var forward = ReferenceAttention.forward(shape, changed[0], changed[1], changed[2], options);
        double loss = 0;
        for (int i = 0; i < dO.length; i++) {
            loss += forward.output()[i] * dO[i];
        }
        for (int row = 0; row < dLse.length; row++) {
            double lse = forward.logSumExp()[row];
            loss += Double.isInfinite(lse) ? 0 : lse * dLse[row]; // a query without keys has a constant one
        }
        return loss;
    }

    @Test
    void keyLengthsAreTheSameAsShorterTensors() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 2, 6, 8);
        float[] keys = Tensor.random(DType.F32, 2, 1, 1, 9, 8).toFloatArray();
        Tensor k = Tensor.of(keys, 1, 1, 9, 8);
        for (int length = 0; length <= 9; length++) {
            Tensor shorter = Tensor.of(Arrays.copyOf(keys, length * 8), 1, 1, length, 8);
            for (Mask mask : new Mask[] {Mask.none(), Mask.causal(), Mask.window(2, 1)}) {
                AttentionOptions options =
                        AttentionOptions.defaults().withMask(mask).withAlibi(0.3f, 0.1f);
                var sliced = ReferenceAttention.forward(q, shorter, shorter, options);
                var masked = ReferenceAttention.forward(q, k, k, options.withKeyLengths(length));
                assertThat(masked.output()).isEqualTo(sliced.output());
                assertThat(masked.logSumExp()).isEqualTo(sliced.logSumExp());
            }
        }
    }

    @Test
    void groupedHeadsAreTheSameAsRepeatedOnes() {
        Tensor q = Tensor.random(DType.F32, 1, 2, 6, 5, 4);
        Tensor k = Tensor.random(DType.F32, 2, 2, 2, 7, 4);
        Tensor repeated = Tensor.allocate(DType.F32, 2, 6, 7, 4);
        for (int b = 0; b < 2; b++) {
            for (int h = 0; h < 6; h++) {
                for (int j = 0; j < 7; j++) {
                    for (int x = 0; x < 4; x++) {
                        repeated.set(k.get(b, h / 3, j, x), b, h, j, x);
                    }
                }
            }
        }
        AttentionOptions options = AttentionOptions.causal();
        assertThat(ReferenceAttention.forward(q, k, k, options).output())
                .isEqualTo(ReferenceAttention.forward(q, repeated, repeated, options)
                        .output());
    }

    @Test
    void rowsThatSeeNoKeyAreZeroAndMinusInfinity() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 1, 3, 2);
        Tensor none = Tensor.allocate(DType.F32, 1, 1, 0, 2);
        var empty = ReferenceAttention.forward(q, none, none, AttentionOptions.defaults());
        assertThat(empty.output()).containsOnly(0);
        assertThat(empty.logSumExp()).containsOnly(Double.NEGATIVE_INFINITY);

        Tensor one = Tensor.random(DType.F32, 2, 1, 1, 1, 2);
        var causal = ReferenceAttention.forward(q, one, one, AttentionOptions.causal());
        assertThat(causal.logSumExp()[1]).isEqualTo(Double.NEGATIVE_INFINITY);
        assertThat(causal.logSumExp()[2]).isFinite();
        assertThat(causal.output()).startsWith(0, 0, 0, 0).endsWith(one.getFlat(0), one.getFlat(1));
        var gradients = ReferenceAttention.backward(q, one, one, q, AttentionOptions.causal());
        assertThat(gradients.dQ()).containsOnly(0);
        assertThat(gradients.dV()).containsExactly(q.getFlat(4), q.getFlat(5));
    }

    @Test
    void noQueriesOrNoBatchGiveEmptyResults() {
        Tensor k = Tensor.random(DType.F32, 1, 2, 1, 3, 4);
        Tensor q = Tensor.allocate(DType.F32, 2, 1, 0, 4);
        assertThat(ReferenceAttention.forward(q, k, k, AttentionOptions.causal())
                        .output())
                .isEmpty();
        assertThat(ReferenceAttention.backward(q, k, k, q, AttentionOptions.causal())
                        .dK())
                .hasSize(24)
                .containsOnly(0);
        assertThat(NaiveAttention.forward(q, k, k, AttentionOptions.causal()).logSumExp())
                .isEmpty();
        assertThat(NaiveAttention.backward(q, k, k, q, AttentionOptions.causal())
                        .dV())
                .hasSize(24)
                .containsOnly(0);
        Tensor nothing = Tensor.allocate(DType.F32, 0, 1, 3, 4);
        assertThat(ReferenceAttention.forward(nothing, nothing, nothing, AttentionOptions.defaults())
                        .logSumExp())
                .isEmpty();
    }

    @Test
    void hugeScoresDoNotOverflow() {
        Tensor q = Tensor.of(new float[] {1e18f, -1e18f}, 1, 1, 2, 1);
        Tensor k = Tensor.of(new float[] {1e18f, -1e18f, 3}, 1, 1, 3, 1);
        Tensor v = Tensor.of(new float[] {1, 2, 4}, 1, 1, 3, 1);
        var result = ReferenceAttention.forward(q, k, v, AttentionOptions.defaults());
        assertThat(result.output()).containsExactly(1, 2);
        assertThat(result.logSumExp()[0]).isFinite();
    }

    @Test
    void resultsAreTheSameOnEveryRun() {
        Tensor q = Tensor.random(DType.F16, 1, 2, 4, 50, 16);
        Tensor k = Tensor.random(DType.F16, 2, 2, 2, 70, 16);
        var first = ReferenceAttention.backward(q, k, k, q, AttentionOptions.causal());
        var naive = NaiveAttention.backward(q, k, k, q, AttentionOptions.causal());
        for (int run = 0; run < 5; run++) {
            var again = ReferenceAttention.backward(q, k, k, q, AttentionOptions.causal());
            assertThat(again.dQ()).isEqualTo(first.dQ());
            assertThat(again.dK()).isEqualTo(first.dK());
            assertThat(NaiveAttention.backward(q, k, k, q, AttentionOptions.causal())
                            .dK())
                    .isEqualTo(naive.dK());
        }
    }

    @Test
    void wrongSizesAreNamed() {
        AttentionShape shape = new AttentionShape(1, 1, 1, 2, 3, 4);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ReferenceAttention.forward(
                        shape, new double[8], new double[11], new double[12], AttentionOptions.defaults()))
                .withMessageContaining("k has 11 elements")
                .withMessageContaining("[1, 1, 3, 4]");
        Tensor q = Tensor.allocate(DType.F32, 1, 1, 2, 4);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NaiveAttention.backward(q, q, q, q.as(DType.F16), AttentionOptions.defaults()))
                .withMessageContaining("F16[1, 1, 2, 4]");
    }
}
