package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Backend;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoProfilerResult;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Attention over pages in arrays of the caller's, with lengths, positions and tables that the device reads. */
class KeyValuePoolTest {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    private static void requireHalfFloats(DType... types) {
        assumeTrue(TestDevice.get().halfFloats() || Stream.of(types).noneMatch(type -> type == DType.F16));
    }

    @ParameterizedTest
    @CsvSource({
        "F32, F32, F32, 1, 40",
        "F32, F16, F16, 16, 5",
        "F32, F32, F16, 3, 20",
        "BF16, BF16, BF16, 16, 5",
        "F16, BF16, F32, 256, 1",
        "F32, F32, F32, 7, 12"
    })
    void chunksAndStepsOfOneGraph(DType query, DType cache, DType out, int pageSize, int pagesPerSequence) {
        requireHalfFloats(query, cache, out);
        int[] chunks = {8, 8, 5, 1, 1, 8};
        try (PoolCase pool = PoolCase.paged(query, cache, out, 2, 8, pageSize, pagesPerSequence, 0, CAUSAL)) {
            pool.deal(pageSize, 0, 1);
            int[] lengths = {0, 3};
            pool.write(1, 1, 0, 3);
            for (int step = 0; step < chunks.length; step++) {
                // The first sequence takes all chunks, the second waits in every third execution.
                int[] valid = {chunks[step], step % 3 == 2 ? 0 : chunks[(step + 2) % chunks.length]};
                pool.chunk(step, lengths, valid);
            }
        }
    }

    /**
     * What was captured at the first execution finds other positions, lengths and pages at each of those that follow.
     */
    @ParameterizedTest
    @CsvSource({"F32, 1", "F16, 1", "F16, 16"})
    void aCapturedGraphServesEveryChunkAndEveryStep(DType cache, int chunk) {
        requireHalfFloats(cache);
        assumeTrue(TestDevice.get().isSimulator() || TestDevice.get().backend() == Backend.CUDA);
        try (PoolCase pool =
                PoolCase.paged(cache, cache, cache, 2, chunk, 16, 6, 0, CAUSAL).captured()) {
            pool.deal(2, 0, 1);
            int[] lengths = {0, 5};
            pool.write(1, 1, 0, 5);
            for (int step = 0; step < 5; step++) {
                pool.chunk(step, lengths, new int[] {chunk, step == 3 ? 0 : Math.max(1, chunk - step)});
                if (step == 2) {
                    // The first sequence goes on in other pages, as after a fork.
                    pool.exchange(0, 1 + lengths[0] / 16);
                }
            }
        }
    }

    static Stream<Arguments> options() {
        return Stream.of(
                Arguments.of(CAUSAL.withWindow(9, 0)),
                Arguments.of(CAUSAL.withSoftcap(5).withScale(0.3)),
                Arguments.of(CAUSAL.withAlibi(0.5f, 0.25f, 0.125f, 0.0625f)),
                Arguments.of(CAUSAL.withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4))),
                Arguments.of(AttentionOptions.defaults()),
                Arguments.of(CAUSAL.withScore((s, b, h, i, j) -> s + 0.01f * j + 0.1f * h)));
    }

    @ParameterizedTest
    @MethodSource("options")
    void masksAndTermsCountFromThePositions(AttentionOptions options) {
        for (int fixedSplit : new int[] {0, 16}) {
            try (PoolCase pool = PoolCase.paged(DType.F32, DType.F32, DType.F32, 2, 6, 16, 4, fixedSplit, options)) {
                pool.deal(3);
                for (int b = 0; b < 2; b++) {
                    pool.positions.set(b, 31 - 20 * b);
                    pool.rows.set(b, 6 - b);
                    pool.write(b, b, 0, 37 - 20 * b);
                }
                pool.execute();
                pool.assertAccurate();
            }
        }
    }

    /** Several queries at one position each see their branch: a tree is a mask over an array of the caller's. */
    @Test
    void aTreeIsAMask() {
        int start = 21;
        // Bit 0 is all that stands before the tree, bit t + 1 its token t; of each position.
        IntArray ancestors = new IntArray(32);
        ancestors.init(1);
        int[] seen = {0b000011, 0b000111, 0b001011, 0b010111, 0b101011};
        for (int t = 0; t < seen.length; t++) {
            ancestors.set(start + t, seen[t]);
        }
        AttentionOptions tree = AttentionOptions.defaults()
                .withMask(Mask.of((b, h, i, j) -> (ancestors.get(i) >> Math.max(0, j - start + 1) & 1) == 1));
        try (PoolCase pool = PoolCase.paged(DType.F32, DType.F32, DType.F32, 1, 5, 8, 4, 0, tree)) {
            pool.deal(1);
            pool.positions.set(0, start);
            pool.write(0, 1, 0, start + 5);
            pool.execute();
            float[] all = pool.output.toFloatArray();
            // Query 3 sees tokens 0, 1 and 3 of the tree: in a chain of these three it is the last.
            try (PoolCase chain = PoolCase.paged(DType.F32, DType.F32, DType.F32, 1, 3, 8, 4, 0, CAUSAL)) {
                chain.deal(1);
                chain.positions.set(0, start);
                chain.write(0, 1, 0, start);
                int[] branch = {0, 1, 3};
                for (int t = 0; t < 3; t++) {
                    for (int at = 0; at < 4 * 16; at++) {
                        chain.q.set(pool.q.get(0, at / 16, branch[t], at % 16), 0, at / 16, t, at % 16);
                    }
                    chain.copyToken(pool, start + branch[t], start + t);
                }
                chain.execute();
                for (int head = 0; head < 4; head++) {
                    for (int x = 0; x < 16; x++) {
                        assertThat(all[(head * 5 + 3) * 16 + x])
                                .isCloseTo(chain.output.get(0, head, 2, x), within(1e-6f));
                    }
                }
            }
        }
    }

    /**
     * The whole prompt at once, in chunks, alone and among others, {@code -Dattention.batch=64} of them: the bits are
     * the same.
     */
    @Test
    void fixedSplitsAreTheSameForEveryBatchAndEveryChunk() {
        int tokens = 45;
        float[] alone = invariant(1, 45, tokens);
        assertThat(invariant(1, 16, tokens)).isEqualTo(alone);
        assertThat(invariant(1, 1, tokens)).isEqualTo(alone);
        assertThat(invariant(Integer.getInteger("attention.batch", 3), 7, tokens))
                .isEqualTo(alone);
        assertThat(invariant(2, 45, tokens)).isEqualTo(alone);
    }

    /** Outputs of a sequence's tokens, run in chunks among others of other lengths. */
    private static float[] invariant(int batch, int chunk, int tokens) {
        Tensor queries = Tensor.random(DType.F32, 5, 4, tokens, 16);
        float[] outputs = new float[4 * tokens * 16];
        AttentionOptions options = CAUSAL.withWindow(30, 0);
        try (PoolCase pool = PoolCase.paged(DType.F32, DType.F32, DType.F32, batch, chunk, 8, 6, 16, options)) {
            pool.deal(batch);
            int sequence = batch - 1;
            for (int other = 0; other < sequence; other++) {
                pool.write(other, 50 + other, 0, chunk);
            }
            for (int from = 0; from < tokens; from += chunk) {
                pool.attend(queries, sequence, from, Math.min(tokens, from + chunk), outputs);
            }
        }
        return outputs;
    }

    /** What is attended to once for all sequences, in pages of its own, is what each would see in its own table. */
    @ParameterizedTest
    @CsvSource({"13, 0", "16, 0", "0, 0", "13, 16"})
    void aSharedPrefixIsAsIfEachHadIt(int prefix, int fixedSplit) {
        AttentionOptions options = CAUSAL.withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4));
        try (PoolCase own = PoolCase.paged(DType.F32, DType.F32, DType.F32, 3, 2, 8, 5, 0, options)) {
            own.deal(5);
            for (int b = 0; b < 3; b++) {
                own.positions.set(b, prefix + 9 * b);
                own.rows.set(b, b == 1 ? 1 : 2);
                own.write(b, 1, 0, prefix);
                own.write(b, 10 + b, prefix, prefix + 9 * b + 2);
            }
            own.execute();
            own.assertAccurate();

            // The same tokens, those of the prefix in pages of the first sequence and the others from a page's
            // beginning on.
            try (PoolCase shared = PoolCase.paged(
                    DType.F32, DType.F32, DType.F32, 3, 2, 8, 5, fixedSplit, options, IntArray.fromElements(prefix))) {
                shared.deal(6);
                shared.writePrefix(1, prefix);
                for (int b = 0; b < 3; b++) {
                    shared.positions.set(b, own.positions.get(b));
                    shared.rows.set(b, own.rows.get(b));
                    shared.writeBehind(b, 10 + b, prefix, prefix + 9 * b + 2);
                }
                shared.execute();
                for (int b = 0; b < 3; b++) {
                    for (int at = 0; at < 4 * own.rows.get(b) * 16; at++) {
                        int head = at / 16 / own.rows.get(b);
                        int i = at / 16 % own.rows.get(b);
                        assertThat(shared.output.get(b, head, i, at % 16))
                                .isCloseTo(own.output.get(b, head, i, at % 16), within(2e-6f));
                        assertThat(shared.logSumExp.get(b, head, i))
                                .isCloseTo(own.logSumExp.get(b, head, i), within(1e-5f));
                    }
                }
            }
        }
        KeyValuePool pool = KeyValuePool.of(
                        Tensor.allocate(DType.F32, 2, 2, 8, 16),
                        Tensor.allocate(DType.F32, 2, 2, 8, 16),
                        new IntArray(2))
                .withSharedPrefix(new IntArray(1), 1, new IntArray(1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(
                        pool,
                        Tensor.allocate(DType.F32, 2, 4, 3, 16),
                        Tensor.allocate(DType.F32, 2, 4, 3, 16),
                        Tensor.allocate(DType.F32, 2, 4, 3),
                        CAUSAL.withWindow(3, 0)))
                .withMessageContaining("over a shared prefix");
    }

    /** {@code -Dattention.steps=1000} for the whole. */
    @Test
    void stepsCompileNothingAndAllocateNothing() {
        int steps = Integer.getInteger("attention.steps", 150);
        int pages = Math.ceilDiv(steps, 16);
        try (PoolCase pool = PoolCase.paged(DType.F32, DType.F32, DType.F32, 1, 1, 16, pages, 0, CAUSAL)
                .profiled()) {
            pool.deal(1);
            long bytes = 0;
            for (int step = 0; step < steps; step++) {
                pool.positions.set(0, step);
                pool.write(0, 1, step, step + 1);
                TornadoProfilerResult profile = pool.execute().getProfilerResult();
                if (step == 0) {
                    bytes = pool.deviceBytes();
                } else {
                    assertThat(profile.getCompileTime()).isZero();
                    assertThat(pool.deviceBytes()).isEqualTo(bytes);
                }
                if (step % 50 == 49) {
                    pool.assertAccurate();
                }
            }
            pool.assertAccurate();
        }
    }

    @Test
    void whatDoesNotFitIsSaidBeforeAnythingIsCompiled() {
        Tensor keys = Tensor.random(DType.F32, 1, 5, 2, 8, 16);
        IntArray positions = new IntArray(2);
        Tensor q = Tensor.random(DType.F32, 2, 2, 4, 3, 16);
        Tensor o = Tensor.allocate(DType.F32, 2, 4, 3, 16);
        Tensor lse = Tensor.allocate(DType.F32, 2, 4, 3);
        KeyValuePool pool = KeyValuePool.of(keys, keys, positions);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeyValuePool.of(keys, keys.as(DType.F16), positions))
                .withMessageContaining("must be alike");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeyValuePool.of(
                        Tensor.allocate(DType.F32, 1, 1, 8, 15), Tensor.allocate(DType.F32, 1, 1, 8, 15), positions))
                .withMessageContaining("must be even");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> pool.withFixedSplits(0))
                .withMessageContaining("1 or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(pool.withBlockTable(new IntArray(5), 3), q, o, lse, CAUSAL))
                .withMessageContaining("5 numbers for the block table: this batch needs 6");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(KeyValuePool.of(keys, keys, new IntArray(1)), q, o, lse, CAUSAL))
                .withMessageContaining("1 numbers for positions");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(
                        KeyValuePool.of(keys, keys, new IntArray(6)),
                        Tensor.allocate(DType.F32, 6, 4, 3, 16),
                        o,
                        lse,
                        CAUSAL))
                .withMessageContaining("a page for each sequence");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(pool, Tensor.allocate(DType.F32, 2, 3, 3, 16), o, lse, CAUSAL))
                .withMessageContaining("a multiple of its heads");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(pool, q, q, lse, CAUSAL))
                .withMessageContaining("share memory");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(pool, q, o, lse, CAUSAL.withDropout(0.5, 1)))
                .withMessageContaining("dropout");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(pool, q, o, lse, CAUSAL.withKeyLengths(3, 4)))
                .withMessageContaining("key lengths");
        IntArray manyPages = new IntArray(2 * 60_000);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> append(
                        pool.withBlockTable(manyPages, 60_000).withFixedSplits(1),
                        Tensor.allocate(DType.F32, 2, 4, 8000, 16),
                        Tensor.allocate(DType.F32, 2, 4, 8000, 16),
                        Tensor.allocate(DType.F32, 2, 4, 8000),
                        CAUSAL))
                .withMessageContaining("take larger fixed splits");
        try (FlashAttention tiled = FlashAttention.on(TestDevice.get(), AttentionKernel.TILED)) {
            assertThatIllegalStateException()
                    .isThrownBy(
                            () -> tiled.appendTo(new TaskGraph("g"), new GridScheduler(), "a", q, pool, o, lse, CAUSAL))
                    .withMessageContaining("takes no pools");
        }
    }

    static void append(KeyValuePool pool, Tensor q, Tensor o, Tensor lse, AttentionOptions options) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            attention.appendTo(new TaskGraph("g"), new GridScheduler(), "a", q, pool, o, lse, options);
        }
    }
}
