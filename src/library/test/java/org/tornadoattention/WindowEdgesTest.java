package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** A window's edge may be any number: larger than the keys, than a cache's capacity, or as large as an int can be. */
class WindowEdgesTest {

    private static final int QUERIES = 13;
    private static final int KEYS = 8;
    private static final int HEAD_DIM = 16;

    private static final int[][] WINDOWS = {
        {-1, 7},
        {-1, 8},
        {-1, 11},
        {-1, 12},
        {-1, 13},
        {-1, Integer.MAX_VALUE - 1},
        {-1, Integer.MAX_VALUE},
        {6, -1},
        {7, 3},
        {8, 0},
        {20, 4},
        {Integer.MAX_VALUE - 1, 2},
        {Integer.MAX_VALUE, Integer.MAX_VALUE},
        {1 << 30, 1 << 30}
    };

    static Stream<AttentionOptions> windows() {
        return Arrays.stream(WINDOWS).map(window -> AttentionOptions.defaults().withWindow(window[0], window[1]));
    }

    private static Tensor queries(DType dtype) {
        return Tensor.random(dtype, 1, 1, 2, QUERIES, HEAD_DIM);
    }

    private static Tensor keys(DType dtype) {
        return Tensor.random(dtype, 2, 1, 1, KEYS, HEAD_DIM);
    }

    private static Tensor values(DType dtype) {
        return Tensor.random(dtype, 3, 1, 1, KEYS, HEAD_DIM);
    }

    private static void assertAccurate(AttentionOptions options, AttentionResult result) {
        assertThat(AccuracyCheck.of(queries(DType.F32), keys(DType.F32), values(DType.F32), options)
                        .forward(result.output(), result.logSumExp()))
                .allMatch(Comparison::passed);
    }

    static Stream<Arguments> kernelsAndWindows() {
        return CoveringArray.today(Arrays.stream(AttentionKernel.values())
                .filter(TestDevice::tries)
                .filter(kernel -> !kernel.isFp8())
                .flatMap(kernel -> windows().map(options -> Arguments.of(kernel, options))));
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernelsAndWindows")
    void everyKernelTakesEveryEdge(AttentionKernel kernel, AttentionOptions options) {
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        Tensor q = queries(dtype);
        Tensor k = keys(dtype);
        Tensor v = values(dtype);
        Tensor dOut = Tensor.random(dtype, 4, q.shape());
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            // Gradients of another kernel's are that kernel's case.
            if (GradientGridTest.WITH_BACKWARD.contains(kernel)) {
                assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
            }
        }
    }

    /** In one step, and in several, of which the later ones stand nearer to the end. */
    static Stream<Arguments> promptsAndWindows() {
        return Stream.of(5, 128).flatMap(tokens -> windows().map(options -> Arguments.of(tokens, options)));
    }

    @ParameterizedTest
    @MethodSource("promptsAndWindows")
    void aCacheTakesEveryEdge(int promptTokens, AttentionOptions options) {
        CacheOptions cacheOptions =
                CacheOptions.of(DType.F32).on(TestDevice.get()).withPromptTokens(promptTokens);
        try (KvCache cache = KvCache.builder()
                .batch(1)
                .heads(2, 1)
                .headDim(HEAD_DIM)
                .capacity(KEYS)
                .options(cacheOptions)
                .build()) {
            cache.append(keys(DType.F32), values(DType.F32));
            assertAccurate(options, cache.forward(queries(DType.F32), options));
        }
    }

    @ParameterizedTest
    @MethodSource("windows")
    void aRaggedBatchTakesEveryEdge(AttentionOptions options) {
        float[] q = queries(DType.F32).toFloatArray();
        float[] packed = new float[q.length];
        for (int head = 0; head < 2; head++) {
            for (int i = 0; i < QUERIES; i++) {
                System.arraycopy(q, (head * QUERIES + i) * HEAD_DIM, packed, (i * 2 + head) * HEAD_DIM, HEAD_DIM);
            }
        }
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            AttentionResult ragged = attention.forwardRagged(
                    Tensor.of(packed, QUERIES, 2, HEAD_DIM),
                    Tensor.of(keys(DType.F32).toFloatArray(), KEYS, 1, HEAD_DIM),
                    Tensor.of(values(DType.F32).toFloatArray(), KEYS, 1, HEAD_DIM),
                    IntArray.fromElements(0, QUERIES),
                    IntArray.fromElements(0, KEYS),
                    options);
            Tensor output = Tensor.allocate(DType.F32, 1, 2, QUERIES, HEAD_DIM);
            Tensor logSumExp = Tensor.allocate(DType.F32, 1, 2, QUERIES);
            for (int head = 0; head < 2; head++) {
                for (int i = 0; i < QUERIES; i++) {
                    logSumExp.set(ragged.logSumExp().get(i, head), 0, head, i);
                    for (int x = 0; x < HEAD_DIM; x++) {
                        output.set(ragged.output().get(i, head, x), 0, head, i, x);
                    }
                }
            }
            assertAccurate(options, AttentionResult.of(output, logSumExp));
        }
    }
}
