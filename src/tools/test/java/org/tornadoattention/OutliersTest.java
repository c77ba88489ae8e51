package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.bench.ErrorInputs;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The inputs of FlashAttention-3's table of errors: {@code N(0, 1) + N(0, 100) · Bernoulli(0.001)}, F16. What wins
 * there is a softmax that is kept in F32, which standard attention in F16 rounds.
 */
class OutliersTest {

    private static Tensor withOutliers(long seed) {
        return ErrorInputs.OUTLIERS.tensor(DType.F16, seed, 1, 1, 512, 64);
    }

    static Stream<AttentionKernel> kernels() {
        return Arrays.stream(AttentionKernel.values())
                .filter(kernel -> kernel.supports(DType.F16) && kernel.supports(TestDevice.of(kernel)));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void everyKernelIsMoreExactThanStandardAttention(AttentionKernel kernel) {
        Tensor q = withOutliers(1);
        Tensor k = withOutliers(2);
        Tensor v = withOutliers(3);
        AccuracyCheck check =
                AccuracyCheck.of(q, k, v, AttentionOptions.defaults()).ofProducts(kernel.isFp8());
        float[] naive = check.naive().output();
        Comparison standard = Tolerance.forward(DType.F16)
                .compare("naive", naive, check.reference().output(), naive);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v);
            // Tensor cores take P in 16 bits, so they win by what the scores and sums keep, not by P.
            // With 8 bits it is the transformed rows that win.
            double atMost = kernel == AttentionKernel.TILED ? 0.85 : kernel.isFp8() ? 0.9 : 0.97;
            Comparison flash =
                    check.forward(result.output(), result.logSumExp()).getFirst();
            assertThat(flash.passed()).as(flash.toString()).isTrue();
            assertThat(flash.rmse()).isLessThan(atMost * standard.rmse());
        }
    }
}
