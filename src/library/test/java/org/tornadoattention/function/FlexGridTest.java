package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.CoveringArray;
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
 * block, a block, and not a multiple of one. Forward and backward, each case against the oracle, on every kernel that
 * claims functions.
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

    /** A function, by its name, with the tiles of its block mask, over so many queries and keys. */
    private record Case(String function, String block, int queries, int keys, AttentionOptions options) {
        @Override
        public String toString() {
            return "%s%s, %d x %d".formatted(function, block, queries, keys);
        }
    }

    private static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        AttentionOptions plain = AttentionOptions.defaults();
        for (int[] lengths : LENGTHS) {
            int queries = lengths[0];
            int keys = lengths[1];
            scores(queries, keys)
                    .forEach((name, score) -> cases.add(new Case(name, "", queries, keys, plain.withScore(score))));
            for (int[] block : BLOCKS) {
                masks(queries, keys)
                        .forEach((name, mask) -> cases.add(new Case(
                                "mask " + name,
                                " in blocks of %d x %d".formatted(block[0], block[1]),
                                queries,
                                keys,
                                plain.withMask(
                                        Mask.blocks(BlockMask.of(mask, 1, 1, queries, keys, block[0], block[1]))))));
            }
        }
        return cases.stream();
    }

    /**
     * Of the day: each kernel, function, tile of block masks and pair of lengths. Of so many rows each has its turn in
     * four weeks.
     */
    static Stream<Arguments> grid() {
        return CoveringArray.ofEachValue(FlexGridTest::values)
                .within(28)
                .ofTheDay(Stream.of(AttentionKernel.values())
                        .filter(kernel -> kernel.spec().functions() && TestDevice.tries(kernel))
                        .flatMap(kernel -> cases().map(flex -> Arguments.of(kernel, flex))));
    }

    private static List<?> values(Arguments row) {
        Case flex = (Case) row.get()[1];
        return List.of(row.get()[0], flex.function, flex.block, flex.queries);
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("grid")
    void isWhatTheOracleComputes(AttentionKernel kernel, Case flex) {
        AttentionOptions options = flex.options;
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        Tensor q = Tensor.random(dtype, 1, 1, HEADS, flex.queries, DIM);
        Tensor k = Tensor.random(dtype, 2, 1, 1, flex.keys, DIM);
        Tensor v = Tensor.random(dtype, 3, 1, 1, flex.keys, DIM);
        Tensor dOut = Tensor.random(dtype, 4, 1, HEADS, flex.queries, DIM);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
        }
    }
}
