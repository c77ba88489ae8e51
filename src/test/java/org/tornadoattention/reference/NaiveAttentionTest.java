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
