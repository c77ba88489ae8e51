package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** FlexAttention's own grid of functions, forward and backward, on every kernel that claims functions. */
@Order(1)
class FunctionsTest {

    private static final int BATCH = 2;
    static final int HEADS = 2;
    static final int QUERIES = 37;
    static final int KEYS = 53;

    private static float slopeOf(int head) {
        return TornadoMath.pow(2f, -(head + 1));
    }

    private static boolean sameBlock(int batch, int head, int query, int key) {
        return query / 8 == key / 8;
    }

    /** What is computed, by a name. */
    static Map<String, AttentionOptions> functions() {
        AttentionOptions plain = AttentionOptions.defaults();
        FloatArray table = new FloatArray(QUERIES + KEYS);
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, (i * 37 % 64) / 32f - 1);
        }
        IntArray documents = new IntArray(KEYS);
        for (int i = 0; i < KEYS; i++) {
            documents.set(i, i / 11);
        }
        int n = QUERIES - 1;
        int width = 7;
        float factor = 0.5f;
        Map<String, AttentionOptions> functions = new LinkedHashMap<>();
        functions.put("identity", plain.withScore((s, b, h, i, j) -> s));
        functions.put("times two", plain.withScore((s, b, h, i, j) -> 2 * s));
        functions.put("square", plain.withScore((s, b, h, i, j) -> s * s));
        functions.put("causal", plain.withMask(Mask.of((b, h, i, j) -> j <= i)));
        functions.put("inverse causal", plain.withMask(Mask.of((b, h, i, j) -> j >= i)));
        functions.put("relative bias", plain.withScore((s, b, h, i, j) -> s + (i - j) * factor));
        functions.put("relative causal", plain.withScore((s, b, h, i, j) -> j <= i ? s + (i - j) : -1e9f));
        functions.put("infinite", plain.withScore((s, b, h, i, j) -> j <= i ? s : Float.NEGATIVE_INFINITY));
        functions.put("ALiBi", plain.withScore((s, b, h, i, j) -> s - slopeOf(h) * Math.abs(i - j)));
        functions.put("table", plain.withScore((s, b, h, i, j) -> s + table.get(j - i + n)));
        functions.put("documents", plain.withMask(Mask.of((b, h, i, j) -> documents.get(i) == documents.get(j))));
        functions.put("blocks", plain.withMask(Mask.of(FunctionsTest::sameBlock)));
        functions.put(
                "neighbours",
                plain.withMask(Mask.of(
                        (b, h, i, j) -> Math.abs(i % width - j % width) <= 1 && Math.abs(i / width - j / width) <= 1)));
        functions.put("prefix", plain.withMask(Mask.causal().or(Mask.of((b, h, i, j) -> j < 5))));
        functions.put("not window", plain.withMask(Mask.window(3, 3).not()));
        functions.put("nothing", plain.withMask(Mask.of((b, h, i, j) -> i % 3 != 0)));
        functions.put("nothing at all", plain.withMask(Mask.none().not()));
        functions.put("softcap", plain.withScore((s, b, h, i, j) -> 2 * (float) Math.tanh(s / 2)));
        functions.put("bias", plain.withBias(Tensor.random(DType.F32, 7, BATCH, HEADS, QUERIES, KEYS)));
        functions.put("shared bias in F16", plain.withBias(Tensor.random(DType.F16, 8, 1, HEADS, QUERIES, KEYS)));
        functions.put(
                "bias of a batch entry in BF16", plain.withBias(Tensor.random(DType.BF16, 9, BATCH, 1, QUERIES, KEYS)));
        functions.put("sinks", plain.withSinks(Tensor.of(new float[] {-3, 20}, HEADS)));
        functions.put(
                "sinks alone",
                plain.withSinks(Tensor.of(new float[] {0.5f, -3}, HEADS))
                        .withMask(Mask.none().not()));
        functions.put(
                "bias and all",
                AttentionOptions.causal()
                        .withScore((s, b, h, i, j) -> 3 * TornadoMath.tanh(s / 3) + table.get(j))
                        .withMask(Mask.of((b, h, i, j) -> documents.get(j) != b + 1)
                                .and(Mask.window(30, 2)))
                        .withBias(Tensor.random(DType.F32, 7, 1, 1, QUERIES, KEYS))
                        .withSinks(Tensor.of(new float[] {0.5f, 4}, HEADS))
                        .withSoftcap(3)
                        .withAlibi(AttentionOptions.alibiSlopes(HEADS))
                        .withKeyLengths(KEYS, KEYS - 9)
                        .withDropout(0.2, 5));
        functions.put(
                "all together",
                AttentionOptions.causal()
                        .withScore((s, b, h, i, j) -> h % 2 == 0 ? s + table.get(j) : s * factor)
                        .withMask(Mask.window(20, 5).and(Mask.of((b, h, i, j) -> documents.get(j) != b + 1)))
                        .withSoftcap(3)
                        .withAlibi(AttentionOptions.alibiSlopes(HEADS))
                        .withKeyLengths(KEYS, KEYS - 9)
                        .withDropout(0.2, 5));
        return functions;
    }

    private static final Map<String, AttentionOptions> FUNCTIONS = functions();

    /** What all kernels are held against. */
    private static final Map<String, AccuracyCheck> CHECKS = new HashMap<>();

    static Stream<Arguments> kernelsAndFunctions() {
        return CoveringArray.today(Stream.of(AttentionKernel.values())
                .filter(kernel -> kernel.spec().functions() && TestDevice.tries(kernel))
                .flatMap(kernel -> FUNCTIONS.keySet().stream().map(name -> Arguments.of(kernel, name))));
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernelsAndFunctions")
    void isWhatTheOracleComputes(AttentionKernel kernel, String name) {
        AttentionOptions options = FUNCTIONS.get(name);
        DType dtype = kernel == AttentionKernel.TILED || !kernel.supports(DType.F32) ? DType.F16 : DType.F32;
        Tensor q = Tensor.random(dtype, 1, BATCH, HEADS, QUERIES, 16);
        Tensor k = Tensor.random(dtype, 2, BATCH, 1, KEYS, 16);
        Tensor v = Tensor.random(dtype, 3, BATCH, 1, KEYS, 16);
        Tensor dOut = Tensor.random(dtype, 4, BATCH, HEADS, QUERIES, 16);
        AccuracyCheck check = CHECKS.computeIfAbsent(name + dtype, _ -> AccuracyCheck.of(q, k, v, dOut, options));
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            // Gradients of another kernel's are that kernel's case.
            if (kernel.spec().backward() instanceof Backward.Own) {
                assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
            }
        }
    }

    /**
     * Tiles with no edge of a mask in them, whose biases kernels on tensor cores read by twos where rows begin at even
     * elements.
     */
    @ParameterizedTest
    @CsvSource({
        "F16, 256, 16, true",
        "BF16, 256, 16, true",
        "F16, 257, 16, true",
        "F16, 384, 16, false",
        "BF16, 250, 16, false",
        "F16, 257, 16, false",
        "F16, 200, 80, false"
    })
    void biasesOfInnerTilesAreThoseOfTheirPairs(DType dtype, int keys, int headDim, boolean scored) {
        AttentionKernel kernel = AttentionKernel.WARP_GROUP;
        assumeTrue(kernel.supports(TestDevice.of(kernel)));
        AttentionOptions options = AttentionOptions.defaults().withBias(Tensor.random(dtype, 7, 1, 1, 128, keys));
        if (scored) {
            options = options.withScore((s, b, h, i, j) -> 4 * TornadoMath.tanh(s / 4));
        }
        Tensor q = Tensor.random(DType.F16, 1, 1, 1, 128, headDim);
        Tensor k = Tensor.random(DType.F16, 2, 1, 1, keys, headDim);
        Tensor v = Tensor.random(DType.F16, 3, 1, 1, keys, headDim);
        Tensor dOut = Tensor.random(DType.F16, 4, 1, 1, 128, headDim);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
        }
    }

    /**
     * Biases whose largest of a row comes late, all at once or little by little, from the lowest numbers or none at
     * all: kernels that leave a maximum as it is for a while must see that it is too low.
     */
    @ParameterizedTest
    @CsvSource({"F16, 256, 16", "BF16, 256, 64", "F16, 320, 128", "F16, 300, 64"})
    void maximaThatComeLateAreSeen(DType dtype, int keys, int headDim) {
        AttentionKernel kernel = AttentionKernel.WARP_GROUP;
        assumeTrue(kernel.supports(TestDevice.of(kernel)));
        float[] biases = new float[128 * keys];
        for (int i = 0; i < 128; i++) {
            for (int j = 0; j < keys; j++) {
                float bias = i * 37 % 64 / 32f - j * 21 % 64 / 32f;
                int late = j < keys - 20 ? 0 : 1;
                biases[i * keys + j] = switch (i % 8) {
                    case 0 -> late > 0 ? bias : -60_000f;
                    case 1 -> late > 0 ? bias : Float.NEGATIVE_INFINITY;
                    case 2 -> 0.05f * j;
                    case 3 -> 3 * j;
                    case 4 -> bias + (j % 97 == 90 ? 300 : 0);
                    case 5 -> j < 100 ? Float.NEGATIVE_INFINITY : -60_000f;
                    case 6 -> late > 0 ? 12 + bias : bias;
                    default -> bias;
                };
            }
        }
        AttentionOptions options = AttentionOptions.defaults().withBias(Tensor.of(dtype, biases, 1, 1, 128, keys));
        Tensor q = Tensor.random(DType.F16, 1, 1, 1, 128, headDim);
        Tensor k = Tensor.random(DType.F16, 2, 1, 1, keys, headDim);
        Tensor v = Tensor.random(DType.F16, 3, 1, 1, keys, headDim);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
        }
    }
}
