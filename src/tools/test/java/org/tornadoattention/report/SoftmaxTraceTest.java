package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.report.SoftmaxTrace.Step;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class SoftmaxTraceTest {

    @ParameterizedTest
    @CsvSource({"-1, -1", "-1, 0", "7, 2", "0, 0"})
    void itEndsAtTheOraclesLogSumExp(int left, int right) {
        Tensor q = Tensor.random(DType.F32, 1, 1, 1, 20, 8);
        Tensor k = Tensor.random(DType.F32, 2, 1, 1, 37, 8);
        AttentionOptions options = AttentionOptions.defaults().withWindow(left, right);
        double[] expected = ReferenceAttention.forward(q, k, k, options).logSumExp();
        for (int query = 0; query < 20; query++) {
            SoftmaxTrace trace = SoftmaxTrace.of(q, k, options, query, 8);
            assertThat(trace.logSumExp()).isEqualTo(expected[query], within(1e-6));
            double max = Double.NEGATIVE_INFINITY;
            for (Step step : trace.steps()) {
                assertThat(step.max()).isEqualTo(Math.max(max, step.tileMax()));
                assertThat(step.alpha()).isEqualTo(Math.exp(max - step.max()));
                max = step.max();
            }
        }
    }
}
