package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.tornadoattention.cache.CacheCase.assertAccurate;
import static org.tornadoattention.cache.CacheCase.sequence;
import static org.tornadoattention.cache.CacheCase.tokens;

import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.CacheFullException;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** Pages are taken, shared, copied when written, and given back. */
class PagedKvCacheTest {

    /** Who computes here. */
    ComputeDevice device() {
        return TestDevice.get();
    }

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    /**
     * In a graph of the caller's, captured or not, sequences grow, are forked, released and cut as they are in calls.
     */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void asTasksOfAGraph(boolean captured) throws TornadoExecutionPlanException {
        assumeTrue(!captured || device().isSimulator() || device().backend() == Backend.CUDA);
        CacheOptions options = CacheCase.options(device(), DType.F32);
        Tensor q = Tensor.allocate(DType.F32, 3, 4, 2, 16);
        Tensor k = Tensor.allocate(DType.F32, 3, 2, 2, 16);
        Tensor v = Tensor.allocate(DType.F32, 3, 2, 2, 16);
        Tensor o = Tensor.allocate(DType.F32, q.shape());
        Tensor lse = Tensor.allocate(DType.F32, 3, 4, 2);
        int[][] steps = {{2, 0, 0}, {2, 0, 0}, {1, 0, 0}, {1, 2, 1}, {0, 2, 2}, {2, 1, 0}, {2, 2, 1}};
        TaskGraph graph = new TaskGraph("decoder");
        GridScheduler grids = new GridScheduler();
        try (PagedKvCache called = small(options);
                PagedKvCache inGraph = small(options)) {
            assertThatIllegalStateException()
                    .isThrownBy(() -> inGraph.next(1, 1, 1))
                    .withMessageContaining("part of no task graph");
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array());
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, o.array(), lse.array());
            inGraph.appendTo(graph, grids, "layer", q, k, v, o, lse, CAUSAL);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, o.array(), lse.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(inGraph.device().handle()).withGridScheduler(grids);
                if (captured) {
                    plan.withCUDAGraph();
                }
                for (int step = 0; step < steps.length; step++) {
                    q.copyFrom(Tensor.random(DType.F32, 3 * step, q.shape()));
                    k.copyFrom(Tensor.random(DType.F32, 3 * step + 1, k.shape()));
                    v.copyFrom(Tensor.random(DType.F32, 3 * step + 2, v.shape()));
                    for (PagedKvCache cache : List.of(called, inGraph)) {
                        if (step == 3) {
                            cache.fork(0, 1);
                            cache.fork(0, 2);
                        } else if (step == 5) {
                            cache.release(2);
                            cache.truncate(3, 6, 0);
                        }
                    }
                    inGraph.next(steps[step]);
                    plan.execute();
                    AttentionResult expected = called.forward(q, k, v, CAUSAL, steps[step]);
                    assertThat(inGraph.lengths()).isEqualTo(called.lengths());
                    assertThat(inGraph.freePages()).isEqualTo(called.freePages());
                    // Steps of calls are divided otherwise, or computed by the JVM's own engine.
                    Offset<Float> off = Offset.offset(1e-5f);
                    for (int sequence = 0; sequence < 3; sequence++) {
                        int tokens = steps[step][sequence];
                        if (tokens > 0) {
                            assertThat(tokens(sequence(o, sequence), 0, tokens).toFloatArray())
                                    .containsExactly(
                                            tokens(sequence(expected.output(), sequence), 0, tokens)
                                                    .toFloatArray(),
                                            off);
                        }
                    }
                }
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> inGraph.next(3, 0, 0))
                        .withMessageContaining("from 0 to the 2 tokens");
                int free = inGraph.freePages();
                assertThatExceptionOfType(CacheFullException.class).isThrownBy(() -> {
                    for (int more = 0; more < 20; more++) {
                        inGraph.next(2, 2, 2);
                    }
                });
                assertThat(inGraph.freePages()).isLessThanOrEqualTo(free);
            }
            assertThatIllegalStateException()
                    .isThrownBy(() -> inGraph.forward(q, k, v, CAUSAL))
                    .withMessageContaining("part of a task graph");
        }
    }

    private static PagedKvCache small(CacheOptions options) {
        return PagedKvCache.builder()
                .sequences(3)
                .heads(4, 2)
                .headDim(16)
                .pageSize(4)
                .pages(9)
                .capacity(20)
                .options(options)
                .build();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aPrefixIsSharedUntilItIsWritten(boolean fp8) {
        CacheOptions options = CacheCase.options(device(), DType.F32);
        Tensor k = Tensor.random(DType.F32, 1, 3, 2, 11, 16);
        Tensor v = Tensor.random(DType.F32, 2, 3, 2, 11, 16);
        Tensor q = Tensor.random(DType.F32, 3, 3, 4, 1, 16);
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(3)
                .heads(4, 2)
                .headDim(16)
                .pageSize(4)
                .pages(8)
                .capacity(100)
                .options(fp8 ? options.withCacheType(CacheType.E4M3) : options)
                .build()) {
            cache.append(k, v, 10, 0, 0);
            assertThat(cache.freePages()).isEqualTo(5);
            cache.fork(0, 1);
            cache.fork(0, 2);
            assertThat(cache.freePages()).isEqualTo(5);
            assertThat(cache.pages(2)).isEqualTo(cache.pages(0));
            float[] prefix = cache.keys(0).toFloatArray();

            // All three write to the shared last page: two get copies, the third then has it alone.
            AttentionResult step = cache.forward(q, tokens(k, 10, 11), tokens(v, 10, 11), CAUSAL);
            assertThat(cache.freePages()).isEqualTo(3);
            assertThat(cache.pages(0)[1]).isEqualTo(cache.pages(1)[1]);
            assertThat(cache.pages(0)[2]).isNotEqualTo(cache.pages(1)[2]);
            assertAccurate(cache, q, CAUSAL, step);
            for (int i = 0; i < 3; i++) {
                assertThat(cache.lengths()[i]).isEqualTo(11);
                if (!fp8) {
                    assertThat(tokens(cache.keys(i), 0, 10).toFloatArray()).isEqualTo(prefix);
                    assertThat(tokens(cache.keys(i), 10, 11).toFloatArray())
                            .isEqualTo(tokens(sequence(k, i), 10, 11).toFloatArray());
                }
            }

            cache.release(0);
            assertThat(cache.freePages()).isEqualTo(4);
            assertThat(cache.lengths()).containsExactly(0, 11, 11);
            assertAccurate(cache, q, CAUSAL, cache.forward(q, CAUSAL));
            cache.release(1);
            cache.release(2);
            assertThat(cache.freePages()).isEqualTo(8);
        }
    }

    @Test
    void withoutPagesNothingChanges() {
        Tensor k = Tensor.random(DType.F16, 1, 2, 1, 6, 8);
        Tensor q = Tensor.random(DType.F16, 2, 2, 2, 1, 8);
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(2)
                .heads(2, 1)
                .headDim(8)
                .pageSize(2)
                .pages(5)
                .capacity(50)
                .options(CacheCase.options(device(), DType.F16))
                .build()) {
            cache.append(k, k, 5, 3);
            assertThat(cache.freePages()).isZero();
            float[] before = cache.forward(q, CAUSAL).output().toFloatArray();
            int[][] pages = {cache.pages(0), cache.pages(1)};
            assertThatExceptionOfType(CacheFullException.class)
                    .isThrownBy(() -> cache.append(k, k, 1, 2))
                    .withMessageContainingAll("need 1 pages", "0 of 5 are free", "No sequence was changed");
            assertThat(cache.lengths()).containsExactly(5, 3);
            assertThat(cache.pages(0)).isEqualTo(pages[0]);
            assertThat(cache.pages(1)).isEqualTo(pages[1]);
            assertThat(cache.forward(q, CAUSAL).output().toFloatArray()).isEqualTo(before);
            cache.append(k, k, 1, 1);
            assertAccurate(cache, q, CAUSAL, cache.forward(q, CAUSAL));
            cache.release(0);
            cache.append(k, k, 0, 6);
            assertThat(cache.lengths()).containsExactly(0, 10);
            assertAccurate(cache, q, AttentionOptions.defaults(), cache.forward(q, AttentionOptions.defaults()));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> cache.fork(0, 1))
                    .withMessageContaining("release it before");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> cache.release(2))
                    .withMessageContaining("0 to 1");
            assertThatExceptionOfType(CacheFullException.class).isThrownBy(() -> {
                for (int i = 0; i < 10; i++) {
                    cache.append(k, k, 0, 6);
                }
            });
        }
    }

    /** As speculative decoding does: tokens that were refused go, with the pages that only they had. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void truncatedTokensGiveTheirPagesBack(boolean fp8) {
        Tensor k = Tensor.random(DType.F32, 1, 2, 2, 11, 16);
        Tensor v = Tensor.random(DType.F32, 2, 2, 2, 11, 16);
        Tensor q = Tensor.random(DType.F32, 3, 2, 4, 2, 16);
        CacheOptions options = CacheCase.options(device(), DType.F32);
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(2)
                .heads(4, 2)
                .headDim(16)
                .pageSize(4)
                .pages(6)
                .capacity(100)
                .options(fp8 ? options.withCacheType(CacheType.E4M3) : options)
                .build()) {
            cache.append(k, v, 11, 0);
            cache.fork(0, 1);
            assertThat(cache.freePages()).isEqualTo(3);
            float[] whole = cache.keys(0).toFloatArray();

            // Sequence 1 keeps a page and a half of those that it shares, and then writes the half: it gets a copy.
            cache.truncate(11, 6);
            assertThat(cache.lengths()).containsExactly(11, 6);
            assertThat(cache.pages(1)).isEqualTo(Arrays.copyOf(cache.pages(0), 2));
            assertThat(cache.freePages()).isEqualTo(3);
            cache.append(tokens(k, 0, 3), tokens(v, 0, 3), 0, 3);
            assertThat(cache.pages(1)[0]).isEqualTo(cache.pages(0)[0]);
            assertThat(cache.pages(1)[1]).isNotEqualTo(cache.pages(0)[1]);
            assertThat(cache.freePages()).isEqualTo(1);
            assertThat(cache.keys(0).toFloatArray()).isEqualTo(whole);
            assertAccurate(cache, q, CAUSAL, cache.forward(q, CAUSAL));

            cache.truncate(0, 9);
            assertThat(cache.freePages()).isEqualTo(3);
            assertAccurate(cache, q, CAUSAL, cache.forward(q, CAUSAL));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> cache.truncate(1, 9))
                    .withMessageContaining("[0, 9] cannot become [1, 9]");

            cache.reset();
            assertThat(cache.lengths()).containsExactly(0, 0);
            assertThat(cache.freePages()).isEqualTo(6);
        }
    }

    @Test
    void leftPaddingIsForkedAndReleasedWithItsSequence() {
        Tensor k = Tensor.random(DType.F32, 1, 2, 1, 7, 8);
        Tensor q = Tensor.random(DType.F32, 2, 2, 2, 3, 8);
        CacheOptions options = CacheCase.options(device(), DType.F32);
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(2)
                .heads(2, 1)
                .headDim(8)
                .pageSize(2)
                .pages(9)
                .capacity(10)
                .options(options)
                .build()) {
            cache.reset(3, 0);
            cache.append(k, k, 7, 0);
            cache.fork(0, 1);
            AttentionResult result = cache.forward(q, CAUSAL);
            assertThat(cache.padding()).containsExactly(3, 3);
            assertAccurate(cache, q, CAUSAL, result);
            cache.release(0);
            cache.append(k, k, 7, 0);
            assertThat(cache.padding()).containsExactly(0, 3);
            assertAccurate(cache, q, CAUSAL, cache.forward(q, CAUSAL));
        }
    }

    private PagedKvCache.Builder sizes(int capacity) {
        return PagedKvCache.builder()
                .sequences(1)
                .heads(1)
                .headDim(8)
                .pageSize(16)
                .pages(4)
                .capacity(capacity)
                .options(CacheCase.options(device(), DType.F32));
    }

    @Test
    void sizesThatDoNotFitAreNamed() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sizes(Integer.MAX_VALUE).build())
                .withMessageContainingAll("2,147,483,648 tokens", "counted to 2,147,483,647", "smaller capacity");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sizes(1 << 30).sequences(100).build())
                .withMessageContainingAll("page tables of 100 sequences of 67,108,864 pages", "smaller capacity");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sizes(1 << 30)
                        .options(CacheCase.options(device(), DType.F32)
                                .withRotary(RotaryEmbedding.of(8, RotaryEmbedding.Style.INTERLEAVED)))
                        .build())
                .withMessageContainingAll("rotary embedding's table", "1,073,741,824 tokens", "smaller capacity");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sizes(100).pages(0).build())
                .withMessageContaining("pages is 0: give it with pages(…), 1 or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> PagedKvCache.builder()
                        .sequences(1)
                        .pageSize(1)
                        .pages(1)
                        .heads(1)
                        .build())
                .withMessageContaining("headDim is 0: give it with headDim(…)");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KvCache.builder()
                        .batch(1)
                        .heads(1)
                        .headDim(8)
                        .capacity(8)
                        .build())
                .withMessageContaining("options is null: give them with options(");
    }

    /** With pages of one token, each step takes one for each sequence. */
    @Test
    void pagesOfOneToken() {
        Tensor k = Tensor.random(DType.BF16, 1, 2, 1, 40, 24);
        Tensor q = Tensor.random(DType.BF16, 2, 2, 3, 40, 24);
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(2)
                .heads(3, 1)
                .headDim(24)
                .pageSize(1)
                .pages(80)
                .capacity(40)
                .options(CacheCase.options(device(), DType.BF16).withPromptTokens(16))
                .build()) {
            cache.append(tokens(k, 0, 37), tokens(k, 0, 37));
            for (int token = 37; token < 40; token++) {
                Tensor now = tokens(k, token, token + 1);
                Tensor query = tokens(q, token, token + 1);
                assertAccurate(cache, query, CAUSAL, cache.forward(query, now, now, CAUSAL));
            }
            assertThat(cache.freePages()).isZero();
        }
    }
}
