package org.tornadoattention.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class NaiveAttentionTest {
    static Stream<Arguments> problems() {
        return ReferenceAttentionTest.problems();
    }

    private static void assertClose(float[] naive, double[] oracle) {
        assertThat(naive).hasSameSizeAs(oracle);
        for (int i = 0; i < naive.length; i++) {
            if (naive[i] != oracle[i]) {
                assertThat((double) naive[i]).as("element %d", i).isCloseTo(oracle[i], within(1e-5));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("problems")
    void inF32EveryOptionIsThatOfTheOracle(AttentionShape shape, AttentionOptions options) {
        Tensor q = Tensor.random(DType.F32, 1, shape.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = Tensor.random(DType.F32, 3, shape.keyShape());
        Tensor dO = Tensor.random(DType.F32, 4, shape.queryShape());
        var naive = NaiveAttention.forward(q, k, v, options);
        var oracle = ReferenceAttention.forward(q, k, v, options);
        assertClose(naive.output(), oracle.output());
        assertClose(naive.logSumExp(), oracle.logSumExp());
        var naiveGradients = NaiveAttention.backward(q, k, v, dO, options);
        var gradients = ReferenceAttention.backward(q, k, v, dO, options);
        assertClose(naiveGradients.dQ(), gradients.dQ());
        assertClose(naiveGradients.dK(), gradients.dK());
        assertClose(naiveGradients.dV(), gradients.dV());
    }

    /** All numbers of E4M3 by their definition, and what lies between and beyond them. */
    @Test
    void e4m3IsRoundedToNearestEven() {
        float[] numbers = new float[0x7f];
        for (int bits = 0; bits < numbers.length; bits++) {
            numbers[bits] = bits < 8 ? bits * 0x1p-9f : Math.scalb(8 + bits % 8, bits / 8 - 10);
        }
        assertThat(numbers[0x7e]).isEqualTo(448);
        for (int bits = 0; bits < numbers.length; bits++) {
            assertThat(NaiveAttention.roundToE4M3(-numbers[bits])).isEqualTo(-numbers[bits]);
            if (bits + 1 < numbers.length) {
                float middle = (numbers[bits] + numbers[bits + 1]) / 2;
                assertThat(NaiveAttention.roundToE4M3(Math.nextDown(middle))).isEqualTo(numbers[bits]);
                assertThat(NaiveAttention.roundToE4M3(middle)).isEqualTo(numbers[bits % 2 == 0 ? bits : bits + 1]);
                assertThat(NaiveAttention.roundToE4M3(Math.nextUp(middle))).isEqualTo(numbers[bits + 1]);
            }
        }
        assertThat(NaiveAttention.roundToE4M3(1e9f)).isEqualTo(448);
        assertThat(NaiveAttention.roundToE4M3(Float.NaN)).isNaN();
    }

    /**
     * A single key gets all the probability, so the output is V, rounded to 8 bits; the score is of rounded numbers.
     */
    @Test
    void eightBitsRoundEveryOperand() {
        Tensor q = Tensor.of(new float[] {1.06f, 0}, 1, 1, 1, 2);
        Tensor k = Tensor.of(new float[] {0, 0, 17, 100}, 1, 1, 2, 2);
        Tensor v = Tensor.of(new float[] {0.3f, 240, 9.4f, 3}, 1, 1, 2, 2);
        AttentionOptions alone = AttentionOptions.defaults().withScale(1);
        var naive = NaiveAttention.forwardFp8(q, k, v, alone);
        float p = NaiveAttention.roundToE4M3((float) (Math.exp(-16) * 256)) / 256;
        assertThat(p).isZero();
        assertThat(naive.output()).containsExactly(new float[] {9, 3}, within(1e-4f));
        assertThat(naive.logSumExp()[0]).isCloseTo(16, within(1e-5f));
    }

    @Test
    void resultsAreValuesOfTheStorageType() {
        for (DType dtype : DType.values()) {
            Tensor q = Tensor.random(dtype, 1, 1, 2, 20, 8);
            var forward = NaiveAttention.forward(q, q, q, AttentionOptions.causal());
            var backward = NaiveAttention.backward(q, q, q, q, AttentionOptions.causal());
            for (float[] values : new float[][] {forward.output(), backward.dQ(), backward.dK(), backward.dV()}) {
                for (float value : values) {
                    assertThat(value).isEqualTo(dtype.round(value));
                }
            }
        }
    }
}
