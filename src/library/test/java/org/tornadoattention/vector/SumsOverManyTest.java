package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Sums over very many keys and queries are as good as those of a blocked product. Queries or keys of 0 make all
 * probabilities alike, so that the right values are means and multiples, which need no oracle.
 */
@Tag("second-tier")
class SumsOverManyTest {

    private static final int HEAD_DIM = 8;
    private static final float VALUE = 0.1f;

    private static final FlashAttention ATTENTION = FlashAttention.on(TestDevice.jvm());

    @AfterAll
    static void close() {
        ATTENTION.close();
    }

    private static Tensor filled(DType dtype, float value, int rows) {
        Tensor tensor = Tensor.allocate(dtype, 1, 1, rows, HEAD_DIM);
        tensor.fill(value);
        return tensor;
    }

    /** A row of 1 and one of −1 in turn. */
    private static Tensor alternating(int rows) {
        Tensor tensor = Tensor.allocate(DType.F32, 1, 1, rows, HEAD_DIM);
        for (int i = 0; i < tensor.numberOfElements(); i++) {
            tensor.setFlat(i, i / HEAD_DIM % 2 == 0 ? 1 : -1);
        }
        return tensor;
    }

    private static void assertAll(Tensor tensor, double expected, double relativeError) {
        for (float element : tensor.toFloatArray()) {
            assertThat((double) element).isCloseTo(expected, within(Math.abs(expected) * relativeError));
        }
    }

    /** One query, whose keys threads share, and a tile of them. */
    @ParameterizedTest
    @CsvSource({"1, 131072, 1.5e-5", "70, 131072, 1.5e-5", "1, 1048576, 1e-4", "70, 1048576, 1e-4"})
    void theOutputIsTheMeanOfTheValues(int queries, int keys, double allowed) {
        Tensor v = filled(DType.F32, VALUE, keys);
        AttentionResult result = ATTENTION.forward(filled(DType.F32, 0, queries), v, v);
        assertAll(result.output(), VALUE, allowed);
        assertAll(result.logSumExp(), Math.log(keys), 1e-6);
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void soItIsOfSixteenBits(DType dtype) {
        Tensor v = filled(dtype, VALUE, 131_072);
        assertAll(ATTENTION.forward(filled(dtype, 0, 70), v, v).output(), v.getFlat(0), dtype.unitRoundoff());
    }

    /** The first key has three times the weight of the others, so that what is summed is 1/3 and no integer. */
    @ParameterizedTest
    @CsvSource({"1", "70"})
    void theSumOfProbabilitiesIsExactEnough(int queries) {
        int keys = 131_072;
        Tensor k = filled(DType.F32, 0, keys);
        k.setFlat(0, (float) Math.log(3));
        AttentionResult result = ATTENTION.forward(
                filled(DType.F32, 1, queries),
                k,
                filled(DType.F32, VALUE, keys),
                AttentionOptions.defaults().withScale(1));
        assertAll(result.output(), VALUE, 1.5e-5);
        assertAll(result.logSumExp(), Math.log(keys + 2.0), 1e-6);
    }

    /** dV is the sum of what comes back, a key's share of each. */
    @Test
    void theGradientOfAValueIsTheSumOverTheQueries() {
        int queries = 131_072;
        Tensor k = filled(DType.F32, 0, 2);
        AttentionResult result = ATTENTION.forward(filled(DType.F32, 0, queries), k, filled(DType.F32, 1, 2));
        Gradients gradients = ATTENTION.backward(result, filled(DType.F32, VALUE, queries));
        assertAll(gradients.dV(), 0.5 * VALUE * queries, 1.5e-5);
    }

    /**
     * Values of 1 and −1 have the mean 0: D = 0, dP = ±0.8, and with the values as keys dQ is the sum of equal terms.
     */
    @Test
    void theGradientOfAQueryIsTheSumOverTheKeys() {
        int keys = 131_072;
        Tensor v = alternating(keys);
        AttentionResult result = ATTENTION.forward(
                filled(DType.F32, 0, 20), v, v, AttentionOptions.defaults().withScale(1));
        Gradients gradients = ATTENTION.backward(result, filled(DType.F32, VALUE, 20));
        assertAll(gradients.dQ(), VALUE * HEAD_DIM, 1.5e-5);
    }
}
