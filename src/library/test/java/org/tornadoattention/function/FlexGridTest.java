package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The grid of FlexAttention's own tests in shape: its score and mask functions, its block sizes, and lengths below a
 * block, a block, and not a multiple of one. Forward and backward, each case against the oracle. A third of the cases
 * by default, another third each day, each on one of the kernels that claim functions, on another the day after;
 * {@code -Dattention.flex=all} for all cases on all.
 */
class FlexGridTest {

    private static final int HEADS = 2;
    private static final int DIM = 16;
    private static final int[][] LENGTHS = {{33, 33}, {64, 128}, {130, 210}, {257, 65}};
    private static final int[][] BLOCKS = {{64, 64}, {128, 128}, {256, 256}, {128, 256}};

    private static float slopeOf(int head) {
        return TornadoMath.pow(2f, -8f * (head + 1) / HEADS);
    }

    private static Map<String, ScoreFunction> scores(int queries, int keys) {
        FloatArray buffer = new FloatArray(HEADS);
        FloatArray table = new FloatArray(queries + keys);
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, i * 29 % 50 / 25f - 1);
        }
        buffer.set(0, 0.5f);
        buffer.set(1, -1.5f);
        int shift = queries - 1;
        Map<String, ScoreFunction> scores = new LinkedHashMap<>();
        scores.put("identity", (s, b, h, i, j) -> s);
        scores.put("times two", (s, b, h, i, j) -> s * 2);
        scores.put("squared", (s, b, h, i, j) -> s * s);
        scores.put("causal", (s, b, h, i, j) -> i >= j ? s : Float.NEGATIVE_INFINITY);
        scores.put("inverse causal", (s, b, h, i, j) -> i <= j ? s : Float.NEGATIVE_INFINITY);
        scores.put("relative bias", (s, b, h, i, j) -> s + (i - j));
        scores.put("relative causal", (s, b, h, i, j) -> i >= j ? s + (i - j) : Float.NEGATIVE_INFINITY);
        scores.put("ALiBi", (s, b, h, i, j) -> s + (j - i) * slopeOf(h));
        scores.put("a captured buffer", (s, b, h, i, j) -> s + buffer.get(h) * table.get(j - i + shift));
        scores.put("a head's own", (s, b, h, i, j) -> h == 0 ? s : TornadoMath.sin(s) + b);
        return scores;
    }

    private static Map<String, MaskFunction> masks(int queries, int keys) {
        IntArray documents = new IntArray(Math.max(queries, keys));
        for (int i = 0; i < documents.getSize(); i++) {
            documents.set(i, (i + 7) / 53);
        }
        int width = 9;
        Map<String, MaskFunction> masks = new LinkedHashMap<>();
        masks.put("none", (b, h, i, j) -> true);
        masks.put("causal", (b, h, i, j) -> i >= j);
        masks.put("inverse causal", (b, h, i, j) -> i <= j);
        masks.put("documents", (b, h, i, j) -> documents.get(i) == documents.get(j));
        masks.put(
                "neighbourhood",
                (b, h, i, j) -> Math.abs(i / width - j / width) <= 2 && Math.abs(i % width - j % width) <= 2);
        masks.put("prefix", (b, h, i, j) -> j < 20 || i >= j);
        masks.put("nothing", (b, h, i, j) -> false);
        return masks;
    }

    static Stream<Arguments> grid() {
        List<Arguments> cases = new ArrayList<>();
        for (int[] lengths : LENGTHS) {
            scores(lengths[0], lengths[1])
                    .forEach((name, score) -> cases.add(Arguments.of(
                            "%s, %d x %d".formatted(name, lengths[0], lengths[1]),
                            lengths[0],
                            lengths[1],
                            AttentionOptions.defaults().withScore(score))));
            for (int[] block : BLOCKS) {
                masks(lengths[0], lengths[1])
                        .forEach((name, mask) -> cases.add(Arguments.of(
                                "%s in blocks of %d x %d, %d x %d"
                                        .formatted(name, block[0], block[1], lengths[0], lengths[1]),
                                lengths[0],
                                lengths[1],
                                AttentionOptions.defaults()
                                        .withMask(Mask.blocks(BlockMask.of(
                                                mask, 1, 1, lengths[0], lengths[1], block[0], block[1]))))));
            }
        }
        long today = System.currentTimeMillis() / 86_400_000;
        boolean all = "all".equals(System.getProperty("attention.flex"));
        List<AttentionKernel> kernels = Stream.of(AttentionKernel.values())
                .filter(kernel -> kernel.spec().functions() && kernel.supports(TestDevice.of(kernel)))
                .toList();
        return IntStream.range(0, cases.size())
                .filter(number -> all || (number + today) % 3 == 0)
                .boxed()
                .flatMap(number -> kernels.stream()
                        .filter(kernel ->
                                all || kernel == kernels.get((int) Math.floorMod(number / 3 + today, kernels.size())))
                        .filter(TestDevice::tries)
                        .map(kernel ->
                                Arguments.of(prepend(kernel, cases.get(number).get()))));
    }

    private static Object[] prepend(Object first, Object[] others) {
        return Stream.concat(Stream.of(first), Stream.of(others)).toArray();
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("grid")
    void isWhatTheOracleComputes(AttentionKernel kernel, String name, int queries, int keys, AttentionOptions options) {
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        Tensor q = Tensor.random(dtype, 1, 1, HEADS, queries, DIM);
        Tensor k = Tensor.random(dtype, 2, 1, 1, keys, DIM);
        Tensor v = Tensor.random(dtype, 3, 1, 1, keys, DIM);
        Tensor dOut = Tensor.random(dtype, 4, 1, HEADS, queries, DIM);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
        }
    }
}
