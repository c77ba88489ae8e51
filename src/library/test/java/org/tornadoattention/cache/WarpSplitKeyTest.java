package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.StepReport;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Split keys on tensor cores, where {@link CacheGridTest} does not go: many tiles, ragged batches, the same bits again.
 */
class WarpSplitKeyTest {

    @BeforeAll
    static void whereThereAreTensorCores() {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP));
    }

    private static CacheOptions options(DType dtype) {
        return CacheCase.options(TestDevice.get(), dtype).withKernel(DecodeKernel.WARP_SPLIT_KEY);
    }

    /** More tiles than places in local memory, whole ones and not; more rows than a tile. */
    @ParameterizedTest
    @CsvSource({"F16, 1, 640, 1, 64", "F16, 9, 449, 1, 64", "BF16, 1, 415, 2, 128", "F16, 2, 321, 1, 136"})
    void manyTiles(DType dtype, int queries, int keys, int splits, int headDim) {
        Tensor q = Tensor.random(dtype, 1, 1, 4, queries, headDim);
        Tensor k = Tensor.random(dtype, 2, 1, 1, keys, headDim);
        Tensor v = Tensor.random(dtype, 3, 1, 1, keys, headDim);
        try (KvCache cache = KvCache.builder()
                .batch(1)
                .heads(4, 1)
                .headDim(headDim)
                .capacity(keys)
                .options(options(dtype).withSplits(splits))
                .build()) {
            cache.append(k, v);
            for (AttentionOptions options : new AttentionOptions[] {
                AttentionOptions.causal(), AttentionOptions.defaults().withWindow(keys / 2, 3)
            }) {
                CacheCase.assertAccurate(cache, q, options, cache.forward(q, options));
            }
        }
    }

    @Test
    void theSameBitsEveryTime() {
        Tensor q = Tensor.random(DType.F16, 1, 2, 6, 1, 32);
        Tensor k = Tensor.random(DType.F16, 2, 2, 2, 150, 32);
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(2)
                .heads(6, 2)
                .headDim(32)
                .pageSize(16)
                .pages(20)
                .capacity(160)
                .options(options(DType.F16).withSplits(3))
                .build()) {
            cache.append(k, k);
            AttentionResult first = cache.forward(q, AttentionOptions.causal());
            for (int again = 0; again < 20; again++) {
                AttentionResult result = cache.forward(q, AttentionOptions.causal());
                assertThat(result.output().toFloatArray())
                        .isEqualTo(first.output().toFloatArray());
                assertThat(result.logSumExp().toFloatArray())
                        .isEqualTo(first.logSumExp().toFloatArray());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"F16", "BF16"})
    void raggedBatches(DType dtype) {
        IntArray queryOffsets = IntArray.fromElements(0, 0, 3, 14, 20, 20);
        IntArray keyOffsets = IntArray.fromElements(0, 4, 4, 70, 100, 130);
        Tensor q = Tensor.random(dtype, 1, 20, 6, 40);
        Tensor k = Tensor.random(dtype, 2, 130, 2, 40);
        Tensor v = Tensor.random(dtype, 3, 130, 2, 40);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get(), DecodeKernel.WARP_SPLIT_KEY)) {
            for (AttentionOptions options : new AttentionOptions[] {
                AttentionOptions.causal(),
                AttentionOptions.defaults().withWindow(5, 3).withSoftcap(15),
                AttentionOptions.causal().withAlibi(AttentionOptions.alibiSlopes(6))
            }) {
                RaggedAttentionTest.assertAccurate(
                        q,
                        k,
                        v,
                        queryOffsets,
                        keyOffsets,
                        options,
                        ragged.forward(q, k, v, queryOffsets, keyOffsets, options));
            }
        }
    }

    /** What has been captured once reads new tokens, lengths and masks. */
    @ParameterizedTest
    @CsvSource({"F16, WARP_SPLIT_KEY", "F32, SPLIT_KEY"})
    void aStepAsACudaGraphIsTheSameStep(DType dtype, DecodeKernel kernel) {
        CacheOptions options =
                CacheCase.options(TestDevice.get(), dtype).withKernel(kernel).withPromptTokens(8);
        Tensor prompt = Tensor.random(dtype, 1, 2, 2, 19, 16);
        try (PagedKvCache called = PagedKvCache.builder()
                        .sequences(2)
                        .heads(4, 2)
                        .headDim(16)
                        .pageSize(4)
                        .pages(20)
                        .capacity(40)
                        .options(options)
                        .build();
                PagedKvCache captured = PagedKvCache.builder()
                        .sequences(2)
                        .heads(4, 2)
                        .headDim(16)
                        .pageSize(4)
                        .pages(20)
                        .capacity(40)
                        .options(options.asCudaGraph())
                        .build()) {
            called.append(prompt, prompt);
            captured.append(prompt, prompt);
            StepReport before = StepReport.NONE;
            for (int step = 0; step < 12; step++) {
                Tensor q = Tensor.random(dtype, 3L * step, 2, 4, 1, 16);
                Tensor k = Tensor.random(dtype, 3L * step + 1, 2, 2, 1, 16);
                Tensor v = Tensor.random(dtype, 3L * step + 2, 2, 2, 1, 16);
                AttentionOptions mask = step % 3 == 0
                        ? AttentionOptions.causal().withWindow(step, 0)
                        : AttentionOptions.causal().withScale(1.0 / (1 + step));
                AttentionResult expected = called.forward(q, k, v, mask);
                AttentionResult result = captured.forward(q, k, v, mask);
                assertThat(result.output().toFloatArray())
                        .isEqualTo(expected.output().toFloatArray());
                assertThat(result.logSumExp().toFloatArray())
                        .isEqualTo(expected.logSumExp().toFloatArray());
                if (step == 0) {
                    before = captured.report();
                }
            }
            assertThat(captured.report().minus(before).firstExecutions()).isLessThanOrEqualTo(1);
            assertThat(captured.keys(1).toFloatArray()).isEqualTo(called.keys(1).toFloatArray());
        }
    }
}
