package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Chunks of many queries over pages, by warp groups: garbage behind the last token, pages in any order, chunks of any
 * length.
 */
class ChunkedPrefillTest {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    @BeforeEach
    void requireWarpGroups() {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP));
    }

    /**
     * A sequence takes chunks that are no multiples of tiles, the other, which has its first page, fewer; one graph for
     * all.
     */
    @ParameterizedTest
    @CsvSource({
        // of queries, keys and output; head dimension, tokens of a page, pages, parts of the keys
        "F16, F16, F16, 64, 16, 13, 1",
        "F16, F16, F16, 128, 64, 4, 1",
        "F16, F16, F32, 128, 256, 1, 2",
        "BF16, BF16, BF16, 64, 4, 52, 1",
        "F16, F16, F16, 64, 2, 104, 1",
        "BF16, BF16, BF16, 16, 64, 4, 2",
        "F32, F16, F16, 16, 7, 29, 3",
        "F32, BF16, F32, 32, 256, 1, 1",
        "BF16, F16, BF16, 80, 16, 13, 3",
        "F16, F16, F16, 192, 16, 13, 1",
        "BF16, BF16, BF16, 256, 8, 26, 2"
    })
    void chunksOfOneGraph(DType query, DType cache, DType out, int headDim, int pageSize, int pages, int splits) {
        int[] chunks = {70, 1, 66};
        try (PoolCase pool = PoolCase.chunked(query, cache, out, 2, 70, headDim, pageSize, pages, splits, CAUSAL)) {
            assertThat(pool.tile.kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
            pool.deal(pageSize, 0, pages > 1 ? 1 : 0);
            int[] lengths = {0, 3};
            pool.write(1, 1, 0, 3);
            for (int step = 0; step < chunks.length; step++) {
                int[] valid = {chunks[step], step % 2 == 1 ? 0 : 37 - step};
                pool.chunk(step, lengths, valid);
            }
        }
    }

    static Stream<Arguments> options() {
        return Stream.of(
                Arguments.of(CAUSAL.withWindow(9, 0), 1),
                Arguments.of(CAUSAL.withWindow(40, 0).withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4)), 3),
                Arguments.of(CAUSAL.withSoftcap(5).withScale(0.3), 1),
                Arguments.of(CAUSAL.withAlibi(0.5f, 0.25f, 0.125f, 0.0625f), 2),
                Arguments.of(CAUSAL.withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4)), 1),
                Arguments.of(AttentionOptions.defaults(), 2));
    }

    /** Functions that tell batch, head, query and key apart, and that hide keys, whole tiles of them too. */
    private static Stream<Arguments> functions() {
        IntArray documents = new IntArray(200);
        for (int at = 0; at < documents.getSize(); at++) {
            documents.set(at, at / 23);
        }
        FloatArray ofHeads = FloatArray.fromElements(0.3f, -0.2f, 0.05f, 0);
        ScoreFunction all = (s, b, h, i, j) -> s + 0.01f * j - 0.013f * i + 0.1f * h + 0.3f * b;
        ScoreFunction array = (s, b, h, i, j) -> s * ofHeads.get(h) + 0.004f * (i - j);
        ScoreFunction hiding = (s, b, h, i, j) -> i % 7 == 3 ? Float.NEGATIVE_INFINITY : s + 0.02f * (j - i);
        MaskFunction ofDocuments = (b, h, i, j) -> documents.get(i) == documents.get(j);
        MaskFunction ofThirds = (b, h, i, j) -> (i + j + h) % 3 != 1 || j > i + 2;
        AttentionOptions none = AttentionOptions.defaults();
        Optional<ScoreFunction> unscored = Optional.empty();
        Optional<MaskFunction> unmasked = Optional.empty();
        return Stream.of(
                Arguments.of(CAUSAL, Optional.of(all), unmasked, 1),
                Arguments.of(CAUSAL, Optional.of(array), unmasked, 3),
                Arguments.of(CAUSAL.withSoftcap(5), unscored, Optional.of(ofDocuments), 2),
                Arguments.of(none.withAlibi(0.5f, 0.25f, 0.125f, 0.0625f), unscored, Optional.of(ofThirds), 1),
                Arguments.of(
                        CAUSAL.withWindow(40, 0).withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4)),
                        Optional.of(hiding),
                        unmasked,
                        3));
    }

    /** Of the day: each of them, and queries of each type. */
    static Stream<Arguments> functionsOfTheDay() {
        return CoveringArray.today(functions()
                .flatMap(row -> Stream.of(DType.F16, DType.F32)
                        .map(query -> Arguments.of(row.get()[0], row.get()[1], row.get()[2], row.get()[3], query))));
    }

    /** Functions are asked about the places of queries in their sequences, in the caller's arrays and rounded ones. */
    @ParameterizedTest
    @MethodSource("functionsOfTheDay")
    void functionsAreAskedAboutPositions(
            AttentionOptions plain,
            Optional<ScoreFunction> score,
            Optional<MaskFunction> mask,
            int splits,
            DType query) {
        AttentionOptions options = with(plain, score, mask);
        try (PoolCase pool = PoolCase.chunked(query, DType.F16, DType.F16, 2, 70, 16, 16, 12, splits, options)) {
            assertThat(pool.tile.kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
            pool.deal(3);
            for (int b = 0; b < 2; b++) {
                pool.positions.set(b, 118 - 107 * b);
                pool.rows.set(b, 70 - 3 * b);
                pool.write(b, b, 0, 188 - 110 * b);
            }
            pool.execute();
            pool.assertAccurate((sequence, before) -> with(
                    plain,
                    score.map(f -> (s, b, h, i, j) -> f.apply(s, b + sequence, h, i + before, j)),
                    mask.map(f -> (b, h, i, j) -> f.sees(b + sequence, h, i + before, j))));
        }
    }

    private static AttentionOptions with(
            AttentionOptions options, Optional<ScoreFunction> score, Optional<MaskFunction> mask) {
        AttentionOptions scored = score.map(options::withScore).orElse(options);
        return mask.map(function -> scored.withMask(scored.mask().and(Mask.of(function))))
                .orElse(scored);
    }

    /** Rows of a block mask's tiles and biases of 16 bits are left to the other kernels. */
    @Test
    void functionsThatItDoesNotTake() {
        AttentionOptions blocks = CAUSAL.withMask(Mask.blocks(BlockMask.of((b, h, i, j) -> j > i - 9, 1, 1, 192, 192)));
        AttentionOptions bias = CAUSAL.withBias(Tensor.random(DType.F16, 1, 1, 1, 192, 192));
        for (AttentionOptions options : new AttentionOptions[] {blocks, bias}) {
            assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                    .isThrownBy(() -> PoolCase.chunked(DType.F16, DType.F16, DType.F16, 2, 17, 16, 16, 12, 1, options))
                    .withMessageContaining("neither with block masks nor a bias of 16 bits");
        }
    }

    @ParameterizedTest
    @MethodSource("options")
    void masksAndTermsCountFromThePositions(AttentionOptions options, int splits) {
        try (PoolCase pool = PoolCase.chunked(DType.F16, DType.F16, DType.F16, 2, 17, 16, 16, 12, splits, options)) {
            pool.deal(3);
            for (int b = 0; b < 2; b++) {
                pool.positions.set(b, 171 - 160 * b);
                pool.rows.set(b, 17 - b);
                pool.write(b, b, 0, 188 - 160 * b);
            }
            pool.execute();
            pool.assertAccurate();
        }
    }

    /**
     * A prompt in steps of 40 tokens, then single tokens, in windows too: the graphs of chunks see what those of tokens
     * append.
     */
    @ParameterizedTest
    @CsvSource({"F16, 64, 0, 1", "BF16, 32, 16, 2", "F16, 24, 7, 0"})
    void promptsThroughCaches(DType dtype, int headDim, int pageSize, int splits) {
        CacheOptions options = CacheCase.options(TestDevice.get(), dtype)
                .withKernel(DecodeKernel.WARP_GROUP)
                .withSplits(splits)
                .withPromptTokens(40);
        try (KeyValueCache cache = cache(pageSize, headDim, options)) {
            assertThat(cache.tile(40).kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
            int[] tokens = {67, 1, 17};
            for (int call = 0; call < tokens.length; call++) {
                Tensor q = Tensor.random(dtype, call, 2, 4, tokens[call], headDim);
                Tensor k = Tensor.random(dtype, 10 + call, 2, 2, tokens[call], headDim);
                Tensor v = Tensor.random(dtype, 20 + call, 2, 2, tokens[call], headDim);
                AttentionOptions masked =
                        call < 2 ? CAUSAL : CAUSAL.withWindow(20, 0).withScale(0.2);
                CacheCase.assertAccurate(cache, q, masked, cache.forward(q, k, v, masked));
            }
            Tensor token = Tensor.random(dtype, 3, 2, 4, 1, headDim);
            int keys = cache.capacity();
            AttentionOptions blocks =
                    CAUSAL.withMask(Mask.blocks(BlockMask.of((b, h, i, j) -> j > i - 9, 1, 1, keys, keys)));
            for (AttentionOptions refused : new AttentionOptions[] {CAUSAL.withScale(-1), blocks}) {
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> cache.forward(token, refused))
                        .withMessageContaining("takes no block mask");
            }
        }
    }

    /** Softcap, ALiBi, sinks and windows of prompts through a cache. */
    @ParameterizedTest
    @MethodSource("options")
    void termsOfPromptsThroughCaches(AttentionOptions options, int splits) {
        assertPromptsAccurate(options, Optional.empty(), Optional.empty(), splits, 0);
    }

    /** Functions of them, asked about the places of queries in their sequences. */
    @ParameterizedTest
    @MethodSource("functions")
    void functionsOfPromptsThroughCaches(
            AttentionOptions plain, Optional<ScoreFunction> score, Optional<MaskFunction> mask, int splits) {
        assertPromptsAccurate(plain, score, mask, splits, 16);
    }

    /** A prompt of two calls, the first of which has other options, and a token. */
    private static void assertPromptsAccurate(
            AttentionOptions plain,
            Optional<ScoreFunction> score,
            Optional<MaskFunction> mask,
            int splits,
            int pageSize) {
        CacheOptions options = CacheCase.options(TestDevice.get(), DType.F16)
                .withKernel(DecodeKernel.WARP_GROUP)
                .withSplits(splits)
                .withPromptTokens(40);
        try (KeyValueCache cache = cache(pageSize, 16, options)) {
            int[] tokens = {19, 57, 1};
            int before = 0;
            for (int call = 0; call < tokens.length; call++) {
                Tensor q = Tensor.random(DType.F16, call, 2, 4, tokens[call], 16);
                Tensor k = Tensor.random(DType.F16, 10 + call, 2, 2, tokens[call], 16);
                Tensor v = Tensor.random(DType.F16, 20 + call, 2, 2, tokens[call], 16);
                AttentionResult result = cache.forward(q, k, v, call == 0 ? CAUSAL : with(plain, score, mask));
                assertThat(cache.tile(tokens[call]).kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
                for (int sequence = 0; sequence < 2; sequence++) {
                    int b = sequence;
                    int first = before;
                    AttentionOptions ofOracle = with(
                            plain,
                            score.map(f -> (x, entry, h, i, j) -> f.apply(x, b, h, i + first, j)),
                            mask.map(f -> (entry, h, i, j) -> f.sees(b, h, i + first, j)));
                    assertThat(CacheCase.compare(
                                    CacheCase.sequence(q, sequence),
                                    cache.keys(sequence),
                                    cache.values(sequence),
                                    0,
                                    call == 0 ? CAUSAL : ofOracle,
                                    CacheCase.sequence(result.output(), sequence),
                                    CacheCase.sequence(result.logSumExp(), sequence)))
                            .allMatch(Comparison::passed);
                }
                before += tokens[call];
            }
        }
    }

    /** Where nobody asks for a kernel, prompts with functions go through warp groups too, single tokens do not. */
    @Test
    void promptsWithFunctionsAreChunks() {
        assumeTrue(!TestDevice.get().isSimulator(), "the simulator prefers the portable kernels");
        CacheOptions options = CacheCase.options(TestDevice.get(), DType.F16).withPromptTokens(40);
        try (KeyValueCache cache = cache(16, 32, options)) {
            Tensor q = Tensor.random(DType.F16, 1, 2, 4, 40, 32);
            Tensor k = Tensor.random(DType.F16, 2, 2, 2, 40, 32);
            AttentionOptions scored = CAUSAL.withSoftcap(5).withScore((s, b, h, i, j) -> s + 0.02f * (j - i));
            CacheCase.assertAccurate(cache, q, scored, cache.forward(q, k, k, scored));
            assertThat(cache.tile(40).kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
            assertThat(cache.tile(1).kernel()).isNotEqualTo(DecodeKernel.WARP_GROUP);
        }
    }

    /** Fixed parts of the keys by warp groups: bits depend neither on the batch nor on how a prompt is cut. */
    @Test
    void fixedPartsAreTheSameForEveryBatchAndEveryChunk() {
        float[] alone = invariant(1, 290);
        assertThat(invariant(1, 150, 278, 290)).isEqualTo(alone);
        assertThat(invariant(2, 289, 290)).isEqualTo(alone);
    }

    /** Outputs of the last sequence's tokens, run in chunks that end there. */
    private static float[] invariant(int batch, int... ends) {
        int tokens = ends[ends.length - 1];
        int room = ends[0];
        for (int chunk = 1; chunk < ends.length; chunk++) {
            room = Math.max(room, ends[chunk] - ends[chunk - 1]);
        }
        Tensor queries = Tensor.random(DType.F16, 5, 4, tokens, 16);
        float[] outputs = new float[4 * tokens * 16];
        AttentionOptions options = CAUSAL.withWindow(250, 0).withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4));
        try (PoolCase pool = PoolCase.decoded(
                DType.F16,
                DType.F16,
                DType.F32,
                batch,
                room,
                16,
                16,
                19,
                200,
                options,
                of -> of.withKernel(DecodeKernel.WARP_GROUP))) {
            assertThat(pool.tile.kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
            assertThat(pool.tile.splits()).isGreaterThan(1);
            pool.deal(batch);
            for (int other = 0; other < batch - 1; other++) {
                pool.write(other, 50 + other, 0, room);
            }
            int from = 0;
            for (int to : ends) {
                pool.attend(queries, batch - 1, from, to, outputs);
                from = to;
            }
            pool.assertAccurate();
        }
        return outputs;
    }

    /** A prompt in steps of 40 tokens over what bytes are in 16 bits, then single tokens over the bytes. */
    @ParameterizedTest
    @CsvSource({"F16, E4M3, 64, 0, 1", "BF16, E4M3, 32, 16, 2", "F16, INT8, 24, 7, 0", "BF16, INT8, 128, 0, 1"})
    void promptsThroughCachesOfBytes(DType dtype, CacheType type, int headDim, int pageSize, int splits) {
        CacheOptions options = CacheCase.options(TestDevice.get(), dtype)
                .withCacheType(type)
                .withWideCopy()
                .withSplits(splits)
                .withPromptTokens(40);
        try (KeyValueCache cache = cache(pageSize, headDim, options)) {
            assertThat(cache.tile(40).kernel()).isEqualTo(DecodeKernel.WARP_GROUP);
            assertThat(cache.tile(1).kernel()).isNotEqualTo(DecodeKernel.WARP_GROUP);
            int[] tokens = {67, 1, 17};
            for (int call = 0; call < tokens.length; call++) {
                Tensor q = Tensor.random(dtype, call, 2, 4, tokens[call], headDim);
                Tensor k = Tensor.random(dtype, 10 + call, 2, 2, tokens[call], headDim);
                Tensor v = Tensor.random(dtype, 20 + call, 2, 2, tokens[call], headDim);
                if (call == 2) {
                    // Rounded to bytes, the largest F16 is past it.
                    v.setFlat(5, 65504);
                }
                AttentionOptions masked = call < 2
                        ? CAUSAL
                        : CAUSAL.withWindow(20, 0).withScale(0.2).withSoftcap(5);
                AttentionResult result = cache.forward(q, k, v, masked);
                for (int sequence = 0; sequence < 2; sequence++) {
                    AccuracyCheck check = AccuracyCheck.of(
                            CacheCase.sequence(q, sequence).as(DType.F32),
                            cache.keys(sequence).as(dtype).as(DType.F32),
                            finite(cache.values(sequence), dtype).as(dtype).as(DType.F32),
                            masked);
                    assertThat(check.forward(
                                    CacheCase.sequence(result.output(), sequence)
                                            .as(DType.F32),
                                    CacheCase.sequence(result.logSumExp(), sequence),
                                    new Tolerance(2, dtype.unitRoundoff())))
                            .allMatch(Comparison::passed);
                }
            }
        }
    }

    /** Steps of many tokens over bytes, as tasks of a caller's graph. */
    @ParameterizedTest
    @EnumSource(
            value = CacheType.class,
            names = {"E4M3", "INT8"})
    void chunksOverBytesInAGraphAreThoseOfACall(CacheType type) throws TornadoExecutionPlanException {
        CacheOptions options = CacheCase.options(TestDevice.get(), DType.F16)
                .withCacheType(type)
                .withWideCopy();
        assertGraphIsCall(options.withPromptTokens(20), CAUSAL);
    }

    /** The same with terms and functions. */
    @Test
    void functionsOfChunksInAGraphAreThoseOfACall() throws TornadoExecutionPlanException {
        CacheOptions options = CacheCase.options(TestDevice.get(), DType.F16).withKernel(DecodeKernel.WARP_GROUP);
        AttentionOptions attention = CAUSAL.withSoftcap(5)
                .withAlibi(0.5f, 0.25f, 0.125f, 0.0625f)
                .withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4));
        assertGraphIsCall(options.withPromptTokens(20), attention);
        assertGraphIsCall(
                options.withPromptTokens(20), attention.withScore((s, b, h, i, j) -> s + 0.1f * h - 0.02f * i));
    }

    /** Steps of a graph have the same bits as calls, and those are right. */
    private static void assertGraphIsCall(CacheOptions options, AttentionOptions attention)
            throws TornadoExecutionPlanException {
        Tensor q = Tensor.allocate(DType.F16, 2, 4, 20, 16);
        Tensor k = Tensor.allocate(DType.F16, 2, 2, 20, 16);
        Tensor v = Tensor.allocate(DType.F16, 2, 2, 20, 16);
        Tensor o = Tensor.allocate(DType.F16, 2, 4, 20, 16);
        Tensor lse = Tensor.allocate(DType.F32, 2, 4, 20);
        TaskGraph graph = new TaskGraph("prompt");
        GridScheduler grids = new GridScheduler();
        try (KvCache called = (KvCache) cache(0, 16, options);
                KvCache inGraph = (KvCache) cache(0, 16, options)) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array());
            inGraph.appendTo(graph, grids, "layer", q, k, v, o, lse, attention);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, o.array(), lse.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(inGraph.device().handle()).withGridScheduler(grids);
                for (int step = 0; step < 4; step++) {
                    q.copyFrom(Tensor.random(DType.F16, 3 * step, q.shape()));
                    k.copyFrom(Tensor.random(DType.F16, 3 * step + 1, k.shape()));
                    v.copyFrom(Tensor.random(DType.F16, 3 * step + 2, v.shape()));
                    plan.execute();
                    AttentionResult expected = called.forward(q, k, v, attention);
                    assertThat(o.toFloatArray())
                            .containsExactly(expected.output().toFloatArray());
                    assertThat(lse.toFloatArray())
                            .containsExactly(expected.logSumExp().toFloatArray());
                }
            }
        }
    }

    private static Tensor finite(Tensor values, DType dtype) {
        float[] all = values.toFloatArray();
        for (int at = 0; at < all.length && dtype == DType.F16; at++) {
            all[at] = Math.clamp(all[at], -65504, 65504);
        }
        return Tensor.of(all, values.shape());
    }

    @Test
    void wideCopiesThatAreNotTakenAreRefused() {
        CacheOptions options =
                CacheCase.options(TestDevice.get(), DType.F16).withWideCopy().withPromptTokens(40);
        assertNoWideCopy(options);
        assertNoWideCopy(options.withCacheType(CacheType.INT8).withPromptTokens(15));
        assertNoWideCopy(options.withCacheType(CacheType.INT8).withKernel(DecodeKernel.SPLIT_KEY));
        assertNoWideCopy(CacheCase.options(TestDevice.get(), DType.F32)
                .withCacheType(CacheType.E4M3)
                .withWideCopy());
        assertThat(options.toString()).endsWith("wide copy");
        assertThat(options).isNotEqualTo(CacheOptions.of(DType.F16)).isEqualTo(options.withWideCopy());
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> cache(
                        0,
                        32,
                        CacheOptions.of(DType.F16)
                                .withCacheType(CacheType.INT8)
                                .withWideCopy()
                                .on(Devices.jvm(Runnable::run, 1))))
                .withMessageContaining("leave withWideCopy() out");
    }

    private static void assertNoWideCopy(CacheOptions options) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache(0, 32, options))
                .withMessageContaining("leave withWideCopy() out");
    }

    /** Turned queries are those of the other kernel; left padding is not seen. */
    @Test
    void turnedQueriesAndLeftPadding() {
        CacheOptions plain = CacheCase.options(TestDevice.get(), DType.F16)
                .withPromptTokens(40)
                .withRotary(RotaryEmbedding.of(32, RotaryEmbedding.Style.HALF_SPLIT));
        Tensor q = Tensor.random(DType.F16, 1, 2, 4, 30, 32);
        Tensor k = Tensor.random(DType.F16, 2, 2, 2, 30, 32);
        try (KeyValueCache cache = cache(0, 32, plain.withKernel(DecodeKernel.WARP_GROUP));
                KeyValueCache other = cache(0, 32, plain.withKernel(DecodeKernel.SPLIT_KEY))) {
            cache.reset(0, 5);
            other.reset(0, 5);
            float[] expected = other.forward(q, k, k, CAUSAL).output().toFloatArray();
            float[] actual = cache.forward(q, k, k, CAUSAL).output().toFloatArray();
            for (int at = 0; at < actual.length; at++) {
                assertThat(actual[at]).isCloseTo(expected[at], within(4e-3f));
            }
        }
    }

    private static KeyValueCache cache(int pageSize, int headDim, CacheOptions options) {
        if (pageSize == 0) {
            return KvCache.builder()
                    .batch(2)
                    .heads(4, 2)
                    .headDim(headDim)
                    .capacity(96)
                    .options(options)
                    .build();
        }
        return PagedKvCache.builder()
                .sequences(2)
                .heads(4, 2)
                .headDim(headDim)
                .pageSize(pageSize)
                .pages(2 * Math.ceilDiv(96, pageSize) + 1)
                .capacity(96)
                .options(options)
                .build();
    }

    @Test
    void whatItDoesNotTakeIsRefused() {
        KeyValuePool pool = KeyValuePool.of(
                        Tensor.allocate(DType.F16, 2, 2, 8, 16),
                        Tensor.allocate(DType.F16, 2, 2, 8, 16),
                        new IntArray(2))
                .withKernel(DecodeKernel.WARP_GROUP);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KeyValuePoolTest.append(
                        pool.withFixedSplits(8),
                        Tensor.allocate(DType.F16, 2, 4, 20, 16),
                        Tensor.allocate(DType.F16, 2, 4, 20, 16),
                        Tensor.allocate(DType.F32, 2, 4, 20),
                        CAUSAL.withBias(Tensor.random(DType.F16, 1, 1, 1, 8, 8))))
                .withMessageContaining("a pool without prefix");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> pool.withSplits(-1))
                .withMessageContaining("1 or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeyValuePoolTest.append(
                        pool.withFixedSplits(8).withSplits(2),
                        Tensor.allocate(DType.F16, 2, 4, 20, 16),
                        Tensor.allocate(DType.F16, 2, 4, 20, 16),
                        Tensor.allocate(DType.F32, 2, 4, 20),
                        CAUSAL))
                .withMessageContaining("leave one of them out");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> pool.withKernel(DecodeKernel.VECTOR))
                .withMessageContaining("takes no pools");
    }
}
