package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.WarpSplitTile;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Few queries over pages on tensor cores, as one task that reads positions and pages itself and merges its own parts.
 */
class PoolDecodeTest {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    @BeforeEach
    void requireTensorCores() {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP));
    }

    private static PoolCase decode(
            DType query, DType cache, DType out, int seqQ, int headDim, int pageSize, int pages, int splits) {
        return PoolCase.decoded(
                query, cache, out, 2, seqQ, headDim, pageSize, pages, 0, CAUSAL, pool -> pool.withSplits(splits));
    }

    /** One graph, executed again and again: each execution's groups count from 0, and its last one merges. */
    @ParameterizedTest
    @CsvSource({
        // of queries, keys and output; queries, head dimension, tokens of a page, pages, parts of the keys
        "F16, F16, F16, 1, 64, 16, 13, 3",
        "BF16, BF16, BF16, 4, 16, 64, 4, 2",
        "F32, F16, F16, 2, 40, 7, 29, 1",
        "F32, BF16, F32, 9, 32, 256, 1, 5",
        "BF16, F16, BF16, 1, 136, 48, 4, 2",
        "BF16, BF16, BF16, 1, 64, 16, 13, 1",
        "F16, F16, F32, 9, 128, 64, 4, 1"
    })
    void stepsOfOneGraph(
            DType query, DType cache, DType out, int seqQ, int headDim, int pageSize, int pages, int splits) {
        try (PoolCase pool = decode(query, cache, out, seqQ, headDim, pageSize, pages, splits)) {
            threeSteps(pool);
        }
    }

    /** The first sequence is long, the others begin; in pages of their own but for the second one's first. */
    private static void threeSteps(PoolCase pool) {
        assertThat(pool.tile.kernel()).isEqualTo(DecodeKernel.WARP_SPLIT_KEY);
        pool.deal(pool.pageSize, 0, pool.pagesPerSequence > 1 ? 1 : 0);
        int[] lengths = new int[pool.batch];
        for (int b = 0; b < pool.batch; b++) {
            lengths[b] = b == 0 ? Math.min(170, pool.pageSize * pool.pagesPerSequence - 3 * pool.seqQ) : 3;
            pool.write(b, 1, 0, lengths[b]);
        }
        for (int step = 0; step < 3; step++) {
            int[] valid = new int[pool.batch];
            Arrays.fill(valid, step == 1 ? 0 : Math.max(1, pool.seqQ - step));
            valid[0] = pool.seqQ;
            pool.chunk(step, lengths, valid);
        }
    }

    /** Over small pages two KV heads of a token share a group, here one for each multiprocessor of the device. */
    @ParameterizedTest
    @CsvSource({
        // of queries, keys and output; queries, head dimension, tokens of a page, pages
        "F16, F16, F16, 1, 128, 16, 13",
        "BF16, BF16, F32, 4, 64, 64, 4",
        "F32, F16, F16, 2, 40, 7, 29",
        "F16, BF16, F16, 1, 16, 64, 1",
        "F16, F16, F32, 9, 128, 32, 7"
    })
    void aGroupMayHaveTwoHeads(DType query, DType cache, DType out, int seqQ, int headDim, int pageSize, int pages) {
        int units = TestDevice.get().computeUnits();
        try (PoolCase pool =
                PoolCase.decoded(query, cache, out, units, seqQ, headDim, pageSize, pages, 0, CAUSAL, given -> given)) {
            assertTwoHeads(pool, 1);
            threeSteps(pool);
        }
    }

    private static void assertTwoHeads(PoolCase pool, int parts) {
        assertThat(((WarpSplitTile) pool.tile).headsOfGroup()).isEqualTo(2);
        assertThat(pool.tile.splits()).isEqualTo(parts);
    }

    /** The same of half as many sequences in two parts, each with tiles enough; one sequence is as long as that. */
    @Test
    void partsOfTwoHeadsAreMerged() {
        int units = TestDevice.get().computeUnits();
        assumeTrue(units % 2 == 0, "two parts of half as many sequences");
        try (PoolCase pool = PoolCase.decoded(
                DType.F16, DType.F16, DType.F16, units / 2, 1, 16, 64, 17, 0, CAUSAL, given -> given)) {
            assertTwoHeads(pool, 2);
            pool.deal(4);
            for (int b = 0; b < pool.batch; b++) {
                pool.positions.set(b, b == 0 ? 1050 : b);
                pool.write(b, b, 0, pool.positions.get(b) + 1);
            }
            pool.execute();
            pool.assertAccurate();
        }
    }

    static Stream<Arguments> options() {
        return Stream.of(
                Arguments.of(CAUSAL.withWindow(70, 0).withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4)), 16),
                Arguments.of(CAUSAL.withWindow(9, 0), 7),
                Arguments.of(CAUSAL.withSoftcap(5).withScale(0.3), 64),
                Arguments.of(CAUSAL.withAlibi(0.5f, 0.25f, 0.125f, 0.0625f), 16),
                Arguments.of(AttentionOptions.defaults().withScale(-0.4), 16));
    }

    /** With as many parts as are best and with fixed ones; tokens before the window are garbage. */
    @ParameterizedTest
    @MethodSource("options")
    void masksAndTermsCountFromThePositions(AttentionOptions options, int pageSize) {
        for (int fixedSplit : new int[] {0, 64}) {
            try (PoolCase pool = PoolCase.decoded(
                    DType.F16, DType.F16, DType.F16, 2, 3, 16, pageSize, 220 / pageSize, fixedSplit, options, p -> p)) {
                attendFromPositions(pool, options);
            }
        }
    }

    private static void attendFromPositions(PoolCase pool, AttentionOptions options) {
        pool.deal(3);
        for (int b = 0; b < pool.batch; b++) {
            int position = 171 - 160 * (b % 2);
            pool.positions.set(b, position);
            pool.rows.set(b, 3 - b % 2);
            int seen = options.mask().left() < 0 ? position : options.mask().left();
            pool.write(b, b, Math.max(0, position - seen), position + 3 - b % 2);
        }
        pool.execute();
        pool.assertAccurate();
    }

    @ParameterizedTest
    @MethodSource("options")
    void masksAndTermsAreThoseOfEachHeadOfAGroup(AttentionOptions options, int pageSize) {
        int units = TestDevice.get().computeUnits();
        try (PoolCase pool = PoolCase.decoded(
                DType.F16, DType.F16, DType.F16, units, 3, 16, pageSize, 220 / pageSize, 0, options, given -> given)) {
            assertTwoHeads(pool, 1);
            attendFromPositions(pool, options);
        }
    }

    /** A sequence's bits do not depend on who else is in the batch, nor on how its queries come. */
    @Test
    void fixedSplitsAreTheSameForEveryBatchAndEveryChunk() {
        float[] alone = invariant(1, 6);
        assertThat(invariant(1, 1)).isEqualTo(alone);
        assertThat(invariant(Integer.getInteger("attention.batch", 3), 4)).isEqualTo(alone);
    }

    private static float[] invariant(int batch, int chunk) {
        int before = 150;
        int tokens = 6;
        Tensor queries = Tensor.random(DType.F16, 5, 4, tokens, 32);
        float[] outputs = new float[4 * tokens * 32];
        try (PoolCase pool = PoolCase.decoded(
                DType.F16, DType.F16, DType.F32, batch, chunk, 32, 16, 11, 64, CAUSAL.withWindow(140, 0), p -> p)) {
            pool.deal(batch);
            int sequence = batch - 1;
            for (int other = 0; other < sequence; other++) {
                pool.write(other, 50 + other, 0, chunk);
            }
            pool.write(sequence, 7, 0, before);
            for (int from = 0; from < tokens; from += chunk) {
                int valid = Math.min(chunk, tokens - from);
                pool.positions.set(sequence, before + from);
                pool.rows.set(sequence, valid);
                pool.write(sequence, 7, before + from, before + from + valid);
                for (int at = 0; at < 4 * valid * 32; at++) {
                    int head = at / 32 / valid;
                    int i = at / 32 % valid;
                    pool.q.set(queries.get(head, from + i, at % 32), sequence, head, i, at % 32);
                }
                pool.execute();
                for (int at = 0; at < 4 * valid * 32; at++) {
                    int head = at / 32 / valid;
                    int i = at / 32 % valid;
                    outputs[(head * tokens + from + i) * 32 + at % 32] = pool.output.get(sequence, head, i, at % 32);
                }
            }
        }
        return outputs;
    }

    /** What is attended to once for all sequences, in pages of its own, is what each would see in its own table. */
    @ParameterizedTest
    @CsvSource({"WARP_SPLIT_KEY, 37, 2", "WARP_GROUP, 37, 2", "WARP_GROUP, 0, 1"})
    void aSharedPrefixIsAsIfEachHadIt(DecodeKernel ofPrefix, int prefix, int seqQ) {
        AttentionOptions options = CAUSAL.withSinks(Tensor.of(new float[] {0.5f, -1, 2, 0}, 4));
        try (PoolCase own = PoolCase.decoded(
                        DType.F16, DType.F16, DType.F32, 3, seqQ, 32, 16, 6, 0, options, pool -> pool.withSplits(2));
                PoolCase shared = PoolCase.decoded(
                        DType.F16,
                        DType.F16,
                        DType.F32,
                        3,
                        seqQ,
                        32,
                        16,
                        6,
                        0,
                        options,
                        pool -> pool.withKernel(ofPrefix).withSplits(ofPrefix == DecodeKernel.WARP_GROUP ? 0 : 2),
                        IntArray.fromElements(prefix))) {
            own.deal(5);
            shared.deal(6);
            shared.writePrefix(1, prefix);
            for (int b = 0; b < 3; b++) {
                int behind = prefix + 9 * b;
                own.positions.set(b, behind);
                own.rows.set(b, b == 1 ? 1 : seqQ);
                own.write(b, 1, 0, prefix);
                own.write(b, 10 + b, prefix, behind + seqQ);
                shared.positions.set(b, behind);
                shared.rows.set(b, own.rows.get(b));
                shared.writeBehind(b, 10 + b, prefix, behind + seqQ);
            }
            own.execute();
            own.assertAccurate();
            shared.execute();
            assertThat(shared.tile.kernel()).isEqualTo(DecodeKernel.WARP_SPLIT_KEY);
            for (int b = 0; b < 3; b++) {
                for (int at = 0; at < 4 * own.rows.get(b) * 32; at++) {
                    int head = at / 32 / own.rows.get(b);
                    int i = at / 32 % own.rows.get(b);
                    assertThat(shared.output.get(b, head, i, at % 32))
                            .isCloseTo(own.output.get(b, head, i, at % 32), within(1e-3f));
                    assertThat(shared.logSumExp.get(b, head, i))
                            .isCloseTo(own.logSumExp.get(b, head, i), within(1e-4f));
                }
            }
        }
    }

    @Test
    void rowsThatNoCopyBeginsAtAreRefused() {
        Tensor pages = PoolCase.view(
                Tensor.allocate(DType.F16, 2 * 2 * 8 * 16 + 4), 4, new int[] {2, 2, 8, 16}, new int[] {256, 128, 16, 1
                });
        KeyValuePool pool = KeyValuePool.of(pages, pages, new IntArray(2));
        Tensor q = Tensor.allocate(DType.F16, 2, 4, 1, 16);
        Tensor o = Tensor.allocate(DType.F16, 2, 4, 1, 16);
        Tensor lse = Tensor.allocate(DType.F32, 2, 4, 1);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(
                        () -> KeyValuePoolTest.append(pool.withKernel(DecodeKernel.WARP_SPLIT_KEY), q, o, lse, CAUSAL))
                .withMessageContaining("multiples of 8 elements");
        KeyValuePoolTest.append(pool, q, o, lse, CAUSAL);
    }
}
