package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Block masks: their tiles, and attention with them. */
@Order(1)
class BlockMaskTest {

    private static IntArray ids(int tokens, int length) {
        IntArray ids = new IntArray(tokens);
        for (int i = 0; i < tokens; i++) {
            ids.set(i, i / length);
        }
        return ids;
    }

    @Test
    void tilesAreEmptyPartialOrFull() {
        BlockMask causal = BlockMask.of((b, h, i, j) -> j <= i, 1, 1, 10, 12, 4, 4);
        assertThat(causal.picture()).isEqualTo("+..\n#+.\n##+\n");
        assertThat(causal.density()).isCloseTo(6 / 9.0, within(1e-12));
        assertThat(BlockMask.of((b, h, i, j) -> false, 1, 1, 10, 10).density()).isZero();
        assertThat(BlockMask.of((b, h, i, j) -> h == 1, 1, 2, 10, 10, 5, 10).density())
                .isEqualTo(0.5);
        assertThat(BlockMask.of(new boolean[][] {{true, false}, {false, true}}, 7, 8, 4, 4)
                        .picture())
                .isEqualTo("#.\n.#\n");
        assertThat(BlockMask.of(new int[][] {{1}, {}}, 7, 8, 4, 4).picture()).isEqualTo(".#\n..\n");
    }

    /** Whether the first question or the first use finds the tiles, they are the same. */
    @ParameterizedTest
    @CsvSource({"37, 53, 8, 8", "37, 53, 64, 16", "5, 130, 3, 64", "64, 64, 16, 16", "1, 1, 128, 128"})
    void theDeviceFindsWhatTheJvmFinds(int queries, int keys, int blockQ, int blockK) {
        IntArray ids = ids(Math.max(queries, keys), 11);
        MaskFunction function = (b, h, i, j) -> ids.get(i) == ids.get(j) && (h == 0 || j <= i + b);
        BlockMask here = BlockMask.of(function, 2, 2, queries, keys, blockQ, blockK);
        BlockMask there = BlockMask.of(function, 2, 2, queries, keys, blockQ, blockK);
        here.density();
        forward(queries, keys, AttentionOptions.defaults().withMask(Mask.blocks(there)));
        assertThat(there.tiles().toHeapArray()).isEqualTo(here.tiles().toHeapArray());
    }

    private static void forward(int queries, int keys, AttentionOptions options) {
        Tensor q = Tensor.random(DType.F32, 1, 2, 2, queries, 8);
        Tensor k = Tensor.random(DType.F32, 2, 2, 2, keys, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            attention.forward(q, k, k, options);
        }
    }

    static Map<String, AttentionOptions> masks() {
        int n = 200;
        IntArray ids = ids(n, 67);
        MaskFunction documents = (b, h, i, j) -> ids.get(i) == ids.get(j);
        AttentionOptions plain = AttentionOptions.defaults();
        Map<String, AttentionOptions> masks = new LinkedHashMap<>();
        for (int[] block : new int[][] {{64, 64}, {128, 128}, {256, 256}, {128, 256}, {16, 8}, {5, 7}}) {
            masks.put(
                    "documents in blocks of %dx%d".formatted(block[0], block[1]),
                    plain.withMask(Mask.blocks(BlockMask.of(documents, 1, 1, n, n, block[0], block[1]))));
        }
        masks.put(
                "of each head and entry, causal",
                AttentionOptions.causal()
                        .withMask(Mask.causal()
                                .and(Mask.blocks(BlockMask.of(
                                        (b, h, i, j) -> (i / 9 + j / 5 + h) % 3 != b, 2, 2, n, n, 32, 16)))));
        masks.put("nothing", plain.withMask(Mask.blocks(BlockMask.of((b, h, i, j) -> false, 1, 1, n, n, 64, 64))));
        masks.put(
                "one tile",
                plain.withMask(Mask.blocks(
                        BlockMask.of((b, h, i, j) -> i >= 64 && i < 128 && j >= 128 && j < 192, 1, 1, n, n, 64, 64))));
        boolean[][] random = new boolean[25][25];
        for (int row = 0; row < 25; row++) {
            for (int column = 0; column < 25; column++) {
                random[row][column] = (row * 7 + column * 13) % 5 == 0;
            }
        }
        Mask given = Mask.blocks(BlockMask.of(random, n, n, 8, 8));
        masks.put("given", plain.withMask(given));
        masks.put("not given", plain.withMask(given.not()));
        masks.put("given or window", plain.withMask(given.or(Mask.window(3, 0))).withScore((s, b, h, i, j) -> s + h));
        masks.put(
                "given and documents",
                plain.withMask(given.and(Mask.of(documents))).withKeyLengths(150, n));
        return masks;
    }

    private static final Map<String, AttentionOptions> MASKS = masks();

    /** Masks that differ from one batch entry to another; the others have one entry. */
    private static final Set<String> DIFFERING_ENTRIES =
            Set.of("of each head and entry, causal", "given and documents");

    /** What kernels one after the other are held against. */
    private static Problem last;

    /** Inputs for a mask, and the oracle's answer. */
    private record Problem(String mask, DType dtype, Tensor q, Tensor k, Tensor v, Tensor dOut, AccuracyCheck check) {

        static Problem of(String mask, DType dtype) {
            if (last == null || !last.mask.equals(mask) || last.dtype != dtype) {
                int headDim = dtype == DType.F16 ? 32 : 16; // of whole rows of sixteen bytes
                int batch = DIFFERING_ENTRIES.contains(mask) ? 2 : 1;
                Tensor q = Tensor.random(dtype, 1, batch, 2, 200, headDim);
                Tensor k = Tensor.random(dtype, 2, batch, 1, 200, headDim);
                Tensor v = Tensor.random(dtype, 3, batch, 1, 200, headDim);
                Tensor dOut = Tensor.random(dtype, 4, batch, 2, 200, headDim);
                last = new Problem(mask, dtype, q, k, v, dOut, AccuracyCheck.of(q, k, v, dOut, MASKS.get(mask)));
            }
            return last;
        }

        void check(AttentionKernel kernel, boolean gradients) {
            AttentionOptions options = MASKS.get(mask);
            try (FlashAttention attention = FlashAttention.on(TestDevice.assumed(kernel), kernel)) {
                AttentionResult result = attention.forward(q, k, v, options);
                assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
                if (gradients) {
                    assertThat(check.gradients(attention.backward(result, dOut)))
                            .allMatch(Comparison::passed);
                }
            }
        }
    }

    private static Stream<Arguments> withMasks(AttentionKernel... kernels) {
        return CoveringArray.today(MASKS.keySet().stream()
                .flatMap(name ->
                        Stream.of(kernels).filter(TestDevice::tries).map(kernel -> Arguments.of(kernel, name))));
    }

    static Stream<Arguments> kernelsAndMasks() {
        return withMasks(AttentionKernel.TILED, AttentionKernel.ONLINE, AttentionKernel.VECTOR);
    }

    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernelsAndMasks")
    void attentionIsWhatTheOracleComputes(AttentionKernel kernel, String name) {
        Problem.of(name, DType.F32).check(kernel, true);
    }

    static Stream<Arguments> tensorCoresAndMasks() {
        return withMasks(AttentionKernel.WARP, AttentionKernel.WARP_GROUP);
    }

    /**
     * With tiles that are whole, cut by an edge, and left out; the gradients of {@code warp} are another kernel's case.
     */
    @ParameterizedTest(allowZeroInvocations = true) // where no device has tensor cores
    @MethodSource("tensorCoresAndMasks")
    void attentionOnTensorCoresIsWhatTheOracleComputes(AttentionKernel kernel, String name) {
        Problem.of(name, DType.F16).check(kernel, kernel.spec().backward() instanceof Backward.Own);
    }

    static Stream<AttentionKernel> kernelsOfTiles() {
        return Stream.of(
                        AttentionKernel.TILED, AttentionKernel.WARP, AttentionKernel.WARP_GROUP, AttentionKernel.VECTOR)
                .filter(TestDevice::tries);
    }

    /** Nothing of an empty tile enters, not even what is no number. */
    @Tag("both-tiers")
    @ParameterizedTest
    @MethodSource("kernelsOfTiles")
    void emptyTilesAreNotLoaded(AttentionKernel kernel) {
        BlockMask mask = BlockMask.of((b, h, i, j) -> j < 128, 1, 1, 128, 256, 128, 128);
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        Tensor q = Tensor.random(dtype, 1, 1, 1, 128, 16);
        Tensor k = Tensor.random(dtype, 2, 1, 1, 256, 16);
        for (int key = 128; key < 256; key++) {
            k.set(Float.NaN, 0, 0, key, 3);
        }
        AttentionOptions options = AttentionOptions.defaults().withMask(Mask.blocks(mask));
        try (FlashAttention attention = FlashAttention.on(TestDevice.assumed(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, k, options);
            Gradients gradients = attention.backward(result, q);
            assertThat(result.output().toFloatArray()).doesNotContain(Float.NaN);
            assertThat(gradients.dQ().toFloatArray()).doesNotContain(Float.NaN);
            assertThat(gradients.dK().toFloatArray()).doesNotContain(Float.NaN);
        }
    }

    @Test
    void mistakesAreRefused() {
        BlockMask mask = BlockMask.of((b, h, i, j) -> true, 1, 1, 30, 30);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> forward(30, 31, AttentionOptions.defaults().withMask(Mask.blocks(mask))))
                .withMessageContaining("The block mask is of [1, 1, 30, 30]: it must be [1 or 2, 1 or 2, 30, 31]");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BlockMask.of((b, h, i, j) -> true, 1, 1, 0, 5))
                .withMessageContaining("seqQ is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BlockMask.of(new boolean[1][1], 9, 9, 4, 4))
                .withMessageContaining("3 rows of 3");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> BlockMask.of(new int[][] {{3}, {}, {}}, 9, 9, 4, 4))
                .withMessageContaining("there are 0 to 2");
    }
}
