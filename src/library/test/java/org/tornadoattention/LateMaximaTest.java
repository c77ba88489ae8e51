package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Rows whose largest score comes late, all at once or little by little: kernels that leave a maximum as it is for a
 * while must see that it is too low.
 */
class LateMaximaTest {

    /** Keys, each of about equal elements, whose size says where the largest scores are. */
    private static Tensor keys(DType dtype, int keys, int headDim, String how) {
        float[] values = new float[keys * headDim];
        for (int j = 0; j < keys; j++) {
            float key = switch (how) {
                case "once" -> j < keys - 3 ? -60 : 2;
                case "little" -> 0.01f * j;
                case "steeply" -> 0.25f * j - 40;
                case "never" -> 3 - 0.05f * j;
                default -> j % 100 == 77 ? 9 : 0.1f * (j % 7);
            };
            for (int x = 0; x < headDim; x++) {
                values[j * headDim + x] = key + (x * 29 + j * 13) % 16 / 64f;
            }
        }
        return Tensor.of(dtype, values, 1, 1, keys, headDim);
    }

    private static Tensor queries(DType dtype, int queries, int headDim) {
        float[] values = new float[queries * headDim];
        for (int at = 0; at < values.length; at++) {
            values[at] = at / headDim % 5 == 3 ? -1 : 1 + at % 11 / 16f;
        }
        return Tensor.of(dtype, values, 1, 1, queries, headDim);
    }

    @ParameterizedTest
    @CsvSource({
        "F16, 192x64/12, 128, once, false",
        "F16, 192x64/12, 128, steeply, true",
        "BF16, 192x80/12, 128, now and then, false",
        "F16, 192x80/12, 128, little, true",
        "BF16, 192x128/12, 64, little, false",
        "BF16, 192x64/12, 16, once, true",
        "F16, 192x128/12, 64, steeply, false",
        "F16, 192x64/12, 64, never, true",
        "BF16, 192x64/12, 64, now and then, false",
        "F16, 128x128/8, 64, steeply, false"
    })
    void areSeen(DType dtype, String tile, int headDim, String how, boolean causal) {
        AttentionKernel kernel = AttentionKernel.WARP_GROUP;
        assumeTrue(kernel.supports(TestDevice.of(kernel)));
        AttentionOptions options = causal ? AttentionOptions.causal() : AttentionOptions.defaults();
        Tensor q = queries(dtype, 200, headDim);
        Tensor k = keys(dtype, 300, headDim, how);
        Tensor v = Tensor.random(dtype, 3, 1, 1, 300, headDim);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel, kernel.tile(tile))) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
        }
    }
}
