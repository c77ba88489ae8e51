package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A function is compiled at its first call: another object of the same code, over another array, runs what there is.
 */
class SecondCallTest {

    private static AttentionOptions options(float bias) {
        FloatArray table = new FloatArray(20);
        table.init(bias);
        table.set(3, -bias);
        return AttentionOptions.defaults()
                .withScore((s, b, h, i, j) -> s + table.get(j))
                .withMask(Mask.of((b, h, i, j) -> table.get(i) < 5 && j <= i + 2));
    }

    @Test
    void compilesNothing() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 2, 20, 8);
        Tensor k = Tensor.random(DType.F32, 2, 1, 2, 20, 8);
        Tensor dOut = Tensor.random(DType.F32, 3, 1, 2, 20, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.TILED)) {
            AttentionResult first = attention.forward(q, k, k, options(1));
            attention.backward(first, dOut);
            assertThat(first.execution().orElseThrow().compileTime()).isPositive();
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(0, 2, 2));

            AttentionOptions others = options(2);
            AttentionResult second = attention.forward(q, k, k, others);
            Gradients gradients = attention.backward(second, dOut);
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(2, 2, 2));
            assertThat(second.execution().orElseThrow().compileTime()).isZero();
            AccuracyCheck check = AccuracyCheck.of(q, k, k, dOut, others);
            assertThat(check.forward(second.output(), second.logSumExp())).allMatch(Comparison::passed);
            assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
        }
    }
}
