package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.abort;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Functions are asked about pairs that windows and key lengths let through, and score functions only about those that
 * the mask lets through too: the arrays here have elements for no others, which the simulator tells of.
 */
class AskedPairsTest {

    private static final int TOKENS = 30;

    private static final int HEAD_DIM = 16;

    private static FloatArray table(int elements) {
        return FloatArray.fromArray(Tensor.random(DType.F32, elements, elements).toFloatArray());
    }

    /** What is computed over tokens that are queries and keys. */
    private static Map<String, AttentionOptions> compositions() {
        FloatArray before = table(TOKENS);
        FloatArray near = table(8);
        Map<String, AttentionOptions> compositions = new LinkedHashMap<>();
        compositions.put("causal", AttentionOptions.causal().withScore((s, b, h, i, j) -> s + before.get(i - j)));
        compositions.put(
                "window",
                AttentionOptions.defaults().withWindow(5, 2).withScore((s, b, h, i, j) -> s * near.get(i - j + 2)));
        compositions.put(
                "mask in a window",
                AttentionOptions.defaults()
                        .withMask(Mask.causal().and(Mask.of((b, h, i, j) -> before.get(i - j) > -0.5f))));
        compositions.put(
                "score under a mask",
                AttentionOptions.defaults()
                        .withMask(Mask.of((b, h, i, j) -> j <= i))
                        .withScore((s, b, h, i, j) -> s + before.get(i - j)));
        return compositions;
    }

    static Stream<Arguments> kernels() {
        FloatArray few = table(7);
        Map<String, AttentionOptions> all = compositions();
        all.put(
                "key lengths",
                AttentionOptions.defaults()
                        .withKeyLengths(7, 3)
                        .withScore((s, b, h, i, j) -> s + few.get(b == 0 ? j : j + 4)));
        return CoveringArray.today(Stream.of(
                        AttentionKernel.STANDARD,
                        AttentionKernel.ONLINE,
                        AttentionKernel.TILED,
                        AttentionKernel.WARP,
                        AttentionKernel.WARP_GROUP,
                        AttentionKernel.VECTOR)
                .flatMap(kernel ->
                        all.entrySet().stream().map(entry -> Arguments.of(kernel, entry.getKey(), entry.getValue()))));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("kernels")
    void byEachKernel(AttentionKernel kernel, String name, AttentionOptions options) {
        ComputeDevice device = kernel == AttentionKernel.VECTOR ? Devices.jvm(Runnable::run, 1) : TestDevice.get();
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        Tensor q = Tensor.random(dtype, 1, 2, 2, TOKENS, HEAD_DIM);
        Tensor k = Tensor.random(dtype, 2, 2, 2, TOKENS, HEAD_DIM);
        Tensor v = Tensor.random(dtype, 3, 2, 2, TOKENS, HEAD_DIM);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, v, options);
        try (FlashAttention attention = FlashAttention.on(device, kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            assertThat(check.gradients(attention.backward(result, v))).allMatch(Comparison::passed);
        } catch (UnsupportedOnDeviceException e) {
            abort(e.getMessage());
        }
    }

    static Stream<Arguments> options() {
        return compositions().entrySet().stream().map(entry -> Arguments.of(entry.getKey(), entry.getValue()));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("options")
    void ofPackedSequences(String name, AttentionOptions options) {
        IntArray offsets = IntArray.fromElements(0, TOKENS, TOKENS + 7);
        Tensor q = Tensor.random(DType.F32, 1, TOKENS + 7, 2, HEAD_DIM);
        Tensor k = Tensor.random(DType.F32, 2, TOKENS + 7, 2, HEAD_DIM);
        Tensor v = Tensor.random(DType.F32, 3, TOKENS + 7, 2, HEAD_DIM);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get());
                RaggedAttention onJvm = new RaggedAttention(Devices.jvm(Runnable::run, 1))) {
            AttentionResult result = ragged.forward(q, k, v, offsets, offsets, options);
            AttentionResult expected = onJvm.forward(q, k, v, offsets, offsets, options);
            assertClose(result.output(), expected.output());
            assertClose(
                    ragged.backward(q, k, v, offsets, offsets, options, result, v)
                            .dK(),
                    onJvm.backward(q, k, v, offsets, offsets, options, expected, v)
                            .dK());
        }
    }

    /** Steps of several queries, whose windows differ; the first sequence begins with tokens of padding. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("options")
    void ofACache(String name, AttentionOptions options) {
        CacheOptions ofDevice = CacheOptions.of(DType.F32).on(TestDevice.get());
        CacheOptions ofJvm = CacheOptions.of(DType.F32).on(Devices.jvm(Runnable::run, 1));
        try (KvCache cache = cache(ofDevice);
                KvCache onJvm = cache(ofJvm)) {
            for (int tokens : new int[] {9, 1, 4, 12}) {
                Tensor q = Tensor.random(DType.F32, tokens, 2, 2, tokens, HEAD_DIM);
                Tensor k = Tensor.random(DType.F32, tokens + 1, 2, 2, tokens, HEAD_DIM);
                Tensor v = Tensor.random(DType.F32, tokens + 2, 2, 2, tokens, HEAD_DIM);
                assertClose(
                        cache.forward(q, k, v, options).output(),
                        onJvm.forward(q, k, v, options).output());
            }
        }
    }

    private static KvCache cache(CacheOptions options) {
        KvCache cache = KvCache.builder()
                .batch(2)
                .heads(2, 2)
                .headDim(HEAD_DIM)
                .capacity(TOKENS)
                .options(options)
                .build();
        cache.reset(3, 0);
        return cache;
    }

    private static void assertClose(Tensor computed, Tensor expected) {
        assertThat(computed.toFloatArray()).containsExactly(expected.toFloatArray(), within(2e-5f));
    }
}
