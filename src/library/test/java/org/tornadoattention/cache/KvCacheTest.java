package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.tornadoattention.cache.CacheCase.assertAccurate;
import static org.tornadoattention.cache.CacheCase.tokens;

import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.CacheFullException;
import org.tornadoattention.StepReport;
import org.tornadoattention.TestDevice;
import org.tornadoattention.cache.RotaryEmbedding.Style;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** A cache grows on the device, says what is wrong, and costs nothing but the new tokens. */
@Isolated
class KvCacheTest {

    /** Who computes here. */
    ComputeDevice device() {
        return TestDevice.get();
    }

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    @ParameterizedTest
    @EnumSource
    void aPromptAndThenTokenByToken(DType dtype) {
        int tokens = 70;
        Tensor q = Tensor.random(dtype, 1, 2, 6, tokens, 40);
        Tensor k = Tensor.random(dtype, 2, 2, 2, tokens, 40);
        Tensor v = Tensor.random(dtype, 3, 2, 2, tokens, 40);
        AttentionOptions causal = AttentionOptions.causal();
        try (KvCache cache = KvCache.builder()
                .batch(2)
                .heads(6, 2)
                .headDim(40)
                .capacity(100)
                .options(CacheCase.options(device(), dtype).withPromptTokens(24))
                .build()) {
            AttentionResult prompt = cache.forward(tokens(q, 0, 60), tokens(k, 0, 60), tokens(v, 0, 60), causal);
            assertThat(cache.values(1).toFloatArray())
                    .isEqualTo(tokens(CacheCase.sequence(v, 1), 0, 60).toFloatArray());
            assertThat(cache.keys(1).toFloatArray())
                    .isEqualTo(tokens(CacheCase.sequence(k, 1), 0, 60).toFloatArray());
            assertAccurate(cache, tokens(q, 0, 60), causal, prompt);
            for (int token = 60; token < tokens; token++) {
                Tensor query = tokens(q, token, token + 1);
                AttentionResult step =
                        cache.forward(query, tokens(k, token, token + 1), tokens(v, token, token + 1), causal);
                assertAccurate(cache, query, causal, step);
            }
            assertThat(cache.lengths()).containsExactly(70, 70);
        }
    }

    @Test
    void aStepInAGraphIsAStepOfACall() throws TornadoExecutionPlanException {
        int steps = 9;
        Tensor q = Tensor.allocate(DType.F32, 2, 4, 1, 16);
        Tensor k = Tensor.allocate(DType.F32, 2, 2, 1, 16);
        Tensor v = Tensor.allocate(DType.F32, 2, 2, 1, 16);
        Tensor o = Tensor.allocate(DType.F32, 2, 4, 1, 16);
        Tensor lse = Tensor.allocate(DType.F32, 2, 4, 1);
        CacheOptions options =
                CacheCase.options(device(), DType.F32).withRotary(RotaryEmbedding.of(16, Style.HALF_SPLIT));
        TaskGraph graph = new TaskGraph("decoder");
        GridScheduler grids = new GridScheduler();
        try (KvCache called = KvCache.builder()
                        .batch(2)
                        .heads(4, 2)
                        .headDim(16)
                        .capacity(steps)
                        .options(options)
                        .build();
                KvCache inGraph = KvCache.builder()
                        .batch(2)
                        .heads(4, 2)
                        .headDim(16)
                        .capacity(steps)
                        .options(options)
                        .build()) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array());
            inGraph.appendTo(graph, grids, "layer", q, k, v, o, lse, CAUSAL);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, o.array(), lse.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(inGraph.device().handle()).withGridScheduler(grids);
                for (int step = 0; step < steps; step++) {
                    q.copyFrom(Tensor.random(DType.F32, 3 * step, q.shape()));
                    k.copyFrom(Tensor.random(DType.F32, 3 * step + 1, k.shape()));
                    v.copyFrom(Tensor.random(DType.F32, 3 * step + 2, v.shape()));
                    plan.execute();
                    AttentionResult expected = called.forward(q, k, v, CAUSAL);
                    // A graph runs where graphs run, which is not the JVM's own engine.
                    Offset<Float> off = Offset.offset(device().isJvm() ? 1e-5f : 0f);
                    assertThat(o.toFloatArray())
                            .containsExactly(expected.output().toFloatArray(), off);
                    assertThat(lse.toFloatArray())
                            .containsExactly(expected.logSumExp().toFloatArray(), off);
                }
            }
            assertThatIllegalStateException()
                    .isThrownBy(() -> inGraph.forward(q, k, v, CAUSAL))
                    .withMessageContaining("part of a task graph");
            assertThatIllegalStateException()
                    .isThrownBy(() -> called.appendTo(graph, grids, "more", q, k, v, o, lse, CAUSAL))
                    .withMessageContaining("takes empty ones");
        }
    }

    /** Steps cost the same however long the sequences are. */
    @Test
    void manyStepsCompileAndAllocateNothing() {
        int steps = CacheGridTest.FULL || !device().isSimulator() ? 1000 : 300;
        Tensor q = Tensor.random(DType.F32, 1, 1, 2, 1, 8);
        Tensor k = Tensor.random(DType.F32, 2, 1, 1, 1, 8);
        CacheOptions options = CacheCase.options(device(), DType.F32).withSplits(3);
        try (KvCache cache = KvCache.builder()
                .batch(1)
                .heads(2, 1)
                .headDim(8)
                .capacity(steps + 1)
                .options(options)
                .build()) {
            cache.profile(true);
            cache.forward(q, k, k, CAUSAL);
            StepReport before = cache.report();
            long memory = cache.deviceBytes();
            AttentionResult last = null;
            for (int step = 0; step < steps; step++) {
                // Masks and scales change too.
                last = cache.forward(q, k, k, step % 2 == 0 ? CAUSAL.withScale(0.5) : CAUSAL.withWindow(step, 0));
            }
            StepReport taken = cache.report().minus(before);
            assertThat(taken.executions()).isEqualTo(steps);
            assertThat(taken.firstExecutions()).isZero();
            assertThat(taken.compileTime()).isZero();
            assertThat(cache.deviceBytes()).isEqualTo(memory);
            // A token's q, k and v, where they have to be copied, some numbers that say what is new, and on TornadoVM
            // the
            // headers of arrays and kernels.
            long copied = device().isJvm() ? 0 : 4L * 32;
            assertThat(taken.bytesIn() / steps).isBetween(copied, device().isJvm() ? 0 : copied + 300);
            assertThat(taken.kernelTime()).isPositive();
            assertThat(cache.lengths()).containsExactly(steps + 1);
            assertAccurate(cache, q, CAUSAL.withWindow(steps - 1, 0), last);
        }
    }

    @Test
    void tenThousandTokensKeepMemoryFlat() {
        int tokens = CacheGridTest.FULL ? 10_000 : 1_000;
        Tensor k = Tensor.random(DType.BF16, 1, 1, 1, 1, 16);
        try (KvCache cache = KvCache.builder()
                .batch(1)
                .heads(1, 1)
                .headDim(16)
                .capacity(tokens)
                .options(CacheCase.options(device(), DType.BF16))
                .build()) {
            long heap = 0;
            long device = 0;
            for (int token = 0; token < tokens; token++) {
                cache.append(k, k);
                if (token == tokens / 4) {
                    heap = usedHeap();
                    device = cache.deviceBytes();
                }
            }
            assertThat(usedHeap() - heap).isLessThan(16 << 20);
            assertThat(cache.deviceBytes()).isEqualTo(device);
            assertThat(cache.values(0).get(0, 0, tokens - 1, 3)).isEqualTo(k.get(0, 0, 0, 3));
        }
    }

    private static long usedHeap() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    /** Windows that begin in the middle of a tile, over several tiles; every other one with splits. */
    @Test
    void windowsBeginAndEndAnywhere() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 6, 5, 35);
        Tensor k = Tensor.random(DType.F32, 2, 1, 2, 150, 35);
        Tensor v = Tensor.random(DType.F32, 3, 1, 2, 150, 35);
        int[] lefts = {-1, 0, 5, 77, 140};
        int[] rights = {-1, 0, 3};
        for (int split = 0; split < 2; split++) {
            try (KvCache cache = KvCache.builder()
                    .batch(1)
                    .heads(6, 2)
                    .headDim(35)
                    .capacity(150)
                    .options(CacheCase.options(device(), DType.F32).withSplits(1 + 2 * split))
                    .build()) {
                cache.append(k, v);
                for (int i = split; i < lefts.length * rights.length; i += 2) {
                    AttentionOptions options =
                            AttentionOptions.defaults().withWindow(lefts[i % lefts.length], rights[i % rights.length]);
                    assertAccurate(cache, q, options, cache.forward(q, options));
                }
            }
        }
    }

    @Test
    void sequencesGrowEachByItsOwn() {
        Tensor q = Tensor.random(DType.F32, 1, 3, 4, 5, 24);
        Tensor k = Tensor.random(DType.F32, 2, 3, 2, 5, 24);
        Tensor v = Tensor.random(DType.F32, 3, 3, 2, 5, 24);
        try (KvCache cache = KvCache.builder()
                .batch(3)
                .heads(4, 2)
                .headDim(24)
                .capacity(20)
                .options(CacheCase.options(device(), DType.F32))
                .build()) {
            cache.append(k, v, 4, 0, 2);
            AttentionResult result = cache.forward(q, k, v, CAUSAL, 1, 0, 5);
            assertThat(cache.lengths()).containsExactly(5, 0, 7);
            assertThat(CacheCase.sequence(result.logSumExp(), 1).toFloatArray()).containsOnly(Float.NEGATIVE_INFINITY);
            assertThat(CacheCase.sequence(result.output(), 1).toFloatArray()).containsOnly(0f);
            Tensor lastOfAll = tokens(q, 0, 1);
            assertAccurate(cache, lastOfAll, CAUSAL, cache.forward(lastOfAll, CAUSAL));
            cache.truncate(3, 0, 1);
            assertAccurate(cache, lastOfAll, CAUSAL, cache.forward(lastOfAll, CAUSAL));
            cache.reset();
            assertThat(cache.lengths()).containsOnly(0);
        }
    }

    @Test
    void mistakesAreNamedAndChangeNothing() {
        Tensor q = Tensor.random(DType.F32, 1, 2, 4, 3, 8);
        Tensor k = Tensor.random(DType.F32, 2, 2, 2, 3, 8);
        KvCache cache = KvCache.builder()
                .batch(2)
                .heads(4, 2)
                .headDim(8)
                .capacity(10)
                .options(CacheCase.options(device(), DType.F32))
                .build();
        cache.append(k, k, 3, 1);
        cache.append(k, k);
        cache.append(k, k);
        assertThatExceptionOfType(CacheFullException.class)
                .isThrownBy(() -> cache.append(k, k))
                .withMessageContainingAll("Sequence 0 has 9 tokens", "3 more", "capacity of 10", "larger cache");
        assertThat(cache.lengths()).containsExactly(9, 7);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.append(q, q))
                .withMessageContainingAll("k is F32[2, 4, 3, 8]", "takes F32[2, 2, tokens, 8]");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.forward(k, CAUSAL))
                .withMessageContaining("takes F32[2, 4, tokens, 8]");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.append(k.as(DType.F16), k.as(DType.F16)))
                .withMessageContaining("F16");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.append(k, k, 4, 0))
                .withMessageContaining("from 0 to the 3");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.forward(q, CAUSAL.withKeyLengths(1, 2)))
                .withMessageContaining("withoutKeyLengths");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.forward(q, CAUSAL.withAlibi(1f)))
                .withMessageContaining("4 query heads");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> cache.truncate(10, 0))
                .withMessageContaining("[9, 7]");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KvCache.builder()
                        .batch(1)
                        .heads(5, 2)
                        .headDim(8)
                        .capacity(10)
                        .options(CacheCase.options(device(), DType.F32))
                        .build())
                .withMessageContaining("5 query heads cannot share 2");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KvCache.builder()
                        .batch(64)
                        .heads(8, 8)
                        .headDim(256)
                        .capacity(1 << 20)
                        .options(CacheCase.options(device(), DType.F32))
                        .build())
                .withMessageContaining("an array holds");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KvCache.builder()
                        .batch(1)
                        .heads(2, 2)
                        .headDim(8)
                        .capacity(10)
                        .options(CacheCase.options(device(), DType.F32)
                                .withRotary(RotaryEmbedding.of(16, Style.INTERLEAVED)))
                        .build())
                .withMessageContaining("turns 16 dimensions of heads that have 8");
        cache.close();
        cache.close();
        assertThatIllegalStateException().isThrownBy(() -> cache.append(k, k)).withMessageContaining("closed");
        assertThatIllegalStateException()
                .isThrownBy(() -> cache.forward(q, CAUSAL))
                .withMessageContaining("closed");
    }
}
