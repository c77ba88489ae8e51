package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.reference.NaiveAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Sums over very many keys and queries are as good as those of a blocked product. Queries or keys of 0 make all
 * probabilities alike, so the right values are means and multiples, which need no oracle.
 */
class LongSumsTest {

    private static final int HEAD_DIM = 8;
    private static final boolean FEWER = TestDevice.get().isSimulator() && !AttentionGrid.FULL;

    /** By default, a quarter of them in the simulator: one after the other they would be off by 2·10⁻⁴ there. */
    private static final int KEYS = FEWER ? 32_768 : 131_072;

    /** Likewise an eighth: 10⁻³ where all of them are off by 10⁻². */
    private static final int MILLION = FEWER ? 1 << 17 : 1 << 20;

    private static final int QUERIES = 16_384;
    private static final float VALUE = 0.1f;
    private static final Set<AttentionKernel> PORTABLE =
            EnumSet.of(AttentionKernel.STANDARD, AttentionKernel.ONLINE, AttentionKernel.TILED);

    /** Of a blocked product over as many keys; 16-bit results are rounded, by half a unit in their last place. */
    private static double relativeError(DType dtype) {
        return dtype == DType.F32 ? 1.5e-5 : dtype.unitRoundoff();
    }

    private static void assertAll(Tensor tensor, double expected, double relativeError) {
        for (float element : tensor.toFloatArray()) {
            assertThat((double) element).isCloseTo(expected, within(Math.abs(expected) * relativeError));
        }
    }

    private static Tensor filled(DType dtype, float value, int... shape) {
        Tensor tensor = Tensor.allocate(dtype, shape);
        tensor.fill(value);
        return tensor;
    }

    /** 1 and −1 in turn, of rows of equal elements. */
    private static Tensor alternating(DType dtype, float magnitude, int rows) {
        Tensor tensor = Tensor.allocate(dtype, 1, 1, rows, HEAD_DIM);
        for (int i = 0; i < tensor.numberOfElements(); i++) {
            tensor.setFlat(i, i / HEAD_DIM % 2 == 0 ? magnitude : -magnitude);
        }
        return tensor;
    }

    static Stream<Arguments> kernels(boolean onTensorCores) {
        AttentionShape shape = new AttentionShape(1, 1, 1, 1, KEYS, HEAD_DIM);
        return Arrays.stream(DType.values())
                .flatMap(dtype ->
                        AttentionCase.of(shape, dtype, AttentionOptions.defaults()).kernelsOfTaskGraphs().stream()
                                .filter(kernel -> onTensorCores != PORTABLE.contains(kernel) && !kernel.isFp8())
                                .map(kernel -> Arguments.of(kernel, dtype)));
    }

    static Stream<Arguments> portableKernels() {
        return kernels(false);
    }

    static Stream<Arguments> tensorCoreKernels() {
        return kernels(true);
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("portableKernels")
    void theOutputOfManyKeysIsTheirMean(AttentionKernel kernel, DType dtype) {
        assertMean(kernel, dtype, KEYS, relativeError(dtype));
    }

    /**
     * Tensor cores add the products of 16 keys (of 8 in TF32) to an accumulator that stands for all keys before and cut
     * off what does not fit, so that an output is off by up to 2⁻²⁴ for each such addition, beside its rounding. Fewer
     * keys in the simulator, which needs minutes for more.
     */
    @ParameterizedTest(name = "{0}, {1}", allowZeroInvocations = true)
    @MethodSource("tensorCoreKernels")
    void tensorCoresLoseNoMoreThanAnAdditionEach(AttentionKernel kernel, DType dtype) {
        int keys = TestDevice.get().isSimulator() ? 1024 : KEYS;
        double additions = keys / (dtype == DType.F32 ? 8.0 : 16.0);
        double operands = dtype == DType.F32 ? 1e-6 : dtype.unitRoundoff();
        assertMean(kernel, dtype, keys, additions * 0x1p-24 + operands);
    }

    private static void assertMean(AttentionKernel kernel, DType dtype, int keys, double error) {
        Tensor q = filled(dtype, 0, 1, 1, 1, HEAD_DIM);
        Tensor k = Tensor.random(dtype, 2, 1, 1, keys, HEAD_DIM);
        Tensor v = filled(dtype, VALUE, 1, 1, keys, HEAD_DIM);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            AttentionResult result = attention.forward(q, k, v);
            assertAll(result.output(), v.getFlat(0), error);
            assertAll(result.logSumExp(), Math.log(keys), 1.5e-5);
        }
    }

    /** The first key has three times the weight of the others, so that what is summed is 1/3 and no integer. */
    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void soIsTheSumOfProbabilities(AttentionKernel kernel) {
        Tensor q = filled(DType.F32, 1, 1, 1, 1, HEAD_DIM);
        Tensor k = filled(DType.F32, 0, 1, 1, KEYS, HEAD_DIM);
        k.setFlat(0, (float) Math.log(3));
        Tensor v = filled(DType.F32, VALUE, 1, 1, KEYS, HEAD_DIM);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            AttentionResult result =
                    attention.forward(q, k, v, AttentionOptions.defaults().withScale(1));
            assertAll(result.output(), VALUE, 1.5e-5);
            assertThat((double) result.logSumExp().getFlat(0)).isCloseTo(Math.log(KEYS + 2.0), within(1.5e-5));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void aMillionKeysTooGiveTheirMean(AttentionKernel kernel) {
        Tensor q = filled(DType.F32, 0, 1, 1, 1, 1);
        Tensor v = filled(DType.F32, VALUE, 1, 1, MILLION, 1);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            assertAll(attention.forward(q, v, v).output(), VALUE, 1e-4);
        }
    }

    static Stream<Arguments> backwardKernels() {
        return Arrays.stream(DType.values())
                .flatMap(dtype -> GradientGridTest.WITH_BACKWARD.stream()
                        .filter(kernel -> kernel.supports(dtype) && kernel.supports(TestDevice.get()))
                        .map(kernel -> Arguments.of(kernel, dtype)));
    }

    /** Keys of 0 and values of 1 and −1: P = 1/2, dP = ±0.8, D = 0. */
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("backwardKernels")
    void gradientsOfKeysAndValuesAreSumsOverManyQueries(AttentionKernel kernel, DType dtype) {
        // Fewer in the simulator, which is slow with a warp group's.
        int queries = TestDevice.get().isSimulator() && !PORTABLE.contains(kernel) ? QUERIES / 64 : QUERIES;
        assertGradients(kernel, dtype, 1, queries);
    }

    /** A key of 16 heads with 1,024 queries each has as many. */
    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void soAreThoseOfManyHeadsThatShareThem(AttentionKernel kernel) {
        assertGradients(kernel, DType.F32, 16, QUERIES / 16);
    }

    private static void assertGradients(AttentionKernel kernel, DType dtype, int heads, int queriesOfHead) {
        int queries = heads * queriesOfHead;
        Tensor q = filled(dtype, VALUE, 1, heads, queriesOfHead, HEAD_DIM);
        Tensor k = filled(dtype, 0, 1, 1, 2, HEAD_DIM);
        Tensor v = alternating(dtype, 1, 2);
        Tensor dO = filled(dtype, VALUE, 1, heads, queriesOfHead, HEAD_DIM);
        AttentionOptions options = AttentionOptions.defaults().withScale(1);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            Gradients gradients = attention.backward(attention.forward(q, k, v, options), dO);
            double value = dO.getFlat(0);
            assertAll(gradients.dV(), queries * 0.5 * value, relativeError(dtype));
            for (int i = 0; i < 2 * HEAD_DIM; i++) {
                double expected = (i < HEAD_DIM ? 0.5 : -0.5) * queries * HEAD_DIM * value * value;
                double error = Math.abs(expected) * (relativeError(dtype) + dtype.unitRoundoff());
                assertThat((double) gradients.dK().getFlat(i)).isCloseTo(expected, within(error));
            }
        }
    }

    /** Queries of 0, keys of ±0.1 and values of ±1: dS of key j is P times ±0.8. */
    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void gradientsOfQueriesAreSumsOverManyKeys(AttentionKernel kernel) {
        Tensor q = filled(DType.F32, 0, 1, 1, 1, HEAD_DIM);
        Tensor k = alternating(DType.F32, VALUE, KEYS);
        Tensor v = alternating(DType.F32, 1, KEYS);
        Tensor dO = filled(DType.F32, VALUE, 1, 1, 1, HEAD_DIM);
        AttentionOptions options = AttentionOptions.defaults().withScale(1);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            Gradients gradients = attention.backward(attention.forward(q, k, v, options), dO);
            assertAll(gradients.dQ(), HEAD_DIM * (double) VALUE * VALUE, 1.5e-5);
        }
    }

    /** A group's work-items divide the keys of a split, so that none adds up more than a few thousand. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void soDoCachesWhateverTheirSplits(int splits) {
        CacheOptions options = CacheOptions.of(DType.F32)
                .on(TestDevice.get())
                .withKernel(DecodeKernel.SPLIT_KEY)
                .withPromptTokens(KEYS);
        Tensor k = filled(DType.F32, 0, 1, 1, KEYS, HEAD_DIM);
        Tensor v = filled(DType.F32, VALUE, 1, 1, KEYS, HEAD_DIM);
        try (KvCache cache = KvCache.builder()
                .batch(1)
                .heads(1, 1)
                .headDim(HEAD_DIM)
                .capacity(KEYS)
                .options(splits == 0 ? options : options.withSplits(splits))
                .build()) {
            cache.append(k, v);
            AttentionResult result =
                    cache.forward(filled(DType.F32, 0, 1, 1, 1, HEAD_DIM), AttentionOptions.defaults());
            assertAll(result.output(), VALUE, 5e-5);
            assertAll(result.logSumExp(), Math.log(KEYS), 1.5e-5);
        }
    }

    @Test
    void theYardstickSumsPairwise() {
        Tensor q = filled(DType.F32, 0, 1, 1, 1, 1);
        Tensor v = filled(DType.F32, VALUE, 1, 1, 1 << 20, 1);
        NaiveAttention.Forward forward = NaiveAttention.forward(q, v, v, AttentionOptions.defaults());
        assertThat(forward.output()[0]).isCloseTo(VALUE, within(1e-6f * VALUE));
        Tensor many = filled(DType.F32, VALUE, 1, 1, QUERIES, 1);
        Tensor one = filled(DType.F32, VALUE, 1, 1, 1, 1);
        NaiveAttention.Backward backward = NaiveAttention.backward(many, one, one, many, AttentionOptions.defaults());
        assertThat(backward.dV()[0]).isCloseTo(QUERIES * VALUE, within(1e-6f * QUERIES * VALUE));
    }
}
