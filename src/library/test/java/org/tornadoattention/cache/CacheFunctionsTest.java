package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Functions, bias and sinks over a cache: queries and keys count from the beginning of their sequence. */
class CacheFunctionsTest {

    /** Who computes here. */
    ComputeDevice device() {
        return TestDevice.get();
    }

    private static final int HEADS = 4;
    private static final int DIM = 10;
    private static final int CAPACITY = 24;
    private static final int[] PADDING = {3, 0};

    /**
     * What is computed, for a sequence from {@code first} on, by queries from {@code from} on, of a cache with
     * {@code keys} keys.
     */
    @FunctionalInterface
    private interface Composition {
        AttentionOptions of(int first, int from, int keys);
    }

    /** Of all queries and keys that there may be, or of the last queries alone. */
    private static Tensor bias(int from, int keys) {
        Tensor all = Tensor.random(DType.F32, 9, 1, HEADS, CAPACITY, CAPACITY);
        if (keys == CAPACITY) {
            return all;
        }
        Tensor own = Tensor.allocate(DType.F32, 1, HEADS, keys - from, keys);
        for (int head = 0; head < HEADS; head++) {
            for (int i = from; i < keys; i++) {
                for (int j = 0; j < keys; j++) {
                    own.set(all.get(0, head, i, j), 0, head, i - from, j);
                }
            }
        }
        return own;
    }

    private static Map<String, Composition> compositions() {
        AttentionOptions plain = AttentionOptions.defaults();
        FloatArray table = FloatArray.fromElements(0.5f, -1, 2, 0.25f, -0.75f, 1.5f, 1);
        Tensor sinks = Tensor.of(new float[] {0.5f, -2, 3, 1}, HEADS);
        Map<String, Composition> all = new LinkedHashMap<>();
        all.put(
                "score",
                (first, from, keys) -> AttentionOptions.causal()
                        .withScore((s, b, h, i, j) -> s + table.get((i + from + 2 * j + b + first) % 7) * (h + 1)));
        all.put(
                "mask, sinks",
                (first, from, keys) -> AttentionOptions.causal()
                        .withMask(Mask.causal().and(Mask.of((b, h, i, j) -> (i + from + j) % 3 != (b + first) % 2)))
                        .withSinks(sinks));
        all.put(
                "window or mask",
                (first, from, keys) ->
                        plain.withMask(Mask.window(2, 0).or(Mask.of((b, h, i, j) -> j < 2 + b + first))));
        all.put(
                "bias, sinks, ALiBi",
                (first, from, keys) -> AttentionOptions.causal()
                        .withBias(bias(from, keys))
                        .withSinks(sinks)
                        .withAlibi(AttentionOptions.alibiSlopes(HEADS)));
        all.put("blocks", (first, from, keys) -> {
            MaskFunction function = (b, h, i, j) -> ((i + from) / 4 + j / 4 + b + first) % 2 == 0;
            int entries = keys == CAPACITY ? 2 : 1;
            return AttentionOptions.causal()
                    .withMask(Mask.causal()
                            .and(Mask.blocks(BlockMask.of(function, entries, 1, keys - from, keys, 4, 4))));
        });
        return all;
    }

    static Stream<String> names() {
        return compositions().keySet().stream();
    }

    private static void step(KeyValueCache cache, Composition composition, DType dtype, int before, int tokens) {
        Tensor q = Tensor.random(dtype, before + 1, 2, HEADS, tokens, DIM);
        Tensor k = Tensor.random(dtype, before + 2, 2, 2, tokens, DIM);
        Tensor v = Tensor.random(dtype, before + 3, 2, 2, tokens, DIM);
        AttentionResult result = cache.forward(q, k, v, composition.of(0, 0, CAPACITY));
        for (int sequence = 0; sequence < 2; sequence++) {
            int keys = before + tokens - PADDING[sequence];
            int queries = Math.min(tokens, keys);
            assertThat(CacheCase.compare(
                            CacheCase.tokens(CacheCase.sequence(q, sequence), tokens - queries, tokens),
                            cache.keys(sequence),
                            cache.values(sequence),
                            PADDING[sequence],
                            composition.of(sequence, keys - queries, keys),
                            CacheCase.tokens(CacheCase.sequence(result.output(), sequence), tokens - queries, tokens),
                            last(CacheCase.sequence(result.logSumExp(), sequence), queries)))
                    .as("sequence %d after %d tokens", sequence, before)
                    .allMatch(Comparison::passed);
        }
    }

    private static Tensor last(Tensor logSumExp, int queries) {
        int tokens = logSumExp.dimension(2);
        Tensor own = Tensor.allocate(DType.F32, 1, HEADS, queries);
        for (int head = 0; head < HEADS; head++) {
            for (int i = 0; i < queries; i++) {
                own.set(logSumExp.get(0, head, tokens - queries + i), 0, head, i);
            }
        }
        return own;
    }

    private KvCache cache(DType dtype) {
        KvCache cache = KvCache.builder()
                .batch(2)
                .heads(HEADS, 2)
                .headDim(DIM)
                .capacity(CAPACITY)
                .options(CacheCase.options(device(), dtype).withPromptTokens(9))
                .build();
        cache.reset(PADDING);
        return cache;
    }

    @ParameterizedTest
    @MethodSource("names")
    void countFromTheBeginning(String name) {
        try (KvCache cache = cache(DType.F32)) {
            step(cache, compositions().get(name), DType.F32, 0, 13);
            step(cache, compositions().get(name), DType.F32, 13, 1);
            step(cache, compositions().get(name), DType.F32, 14, 2);
        }
    }

    /** What the cache holds outlives the change of functions, and functions that were there before compile nothing. */
    @Test
    void changeBetweenSteps() {
        try (KvCache cache = cache(DType.F16)) {
            Composition plain = (first, from, keys) -> AttentionOptions.causal();
            Composition score = compositions().get("score");
            Composition mask = compositions().get("mask, sinks");
            step(cache, plain, DType.F16, 0, 5);
            step(cache, score, DType.F16, 5, 1);
            step(cache, plain, DType.F16, 6, 1);
            step(cache, mask, DType.F16, 7, 1);
            step(cache, score, DType.F16, 8, 1);
            long compiled = cache.report().firstExecutions();
            step(cache, mask, DType.F16, 9, 1);
            step(cache, score, DType.F16, 10, 1);
            step(cache, plain, DType.F16, 11, 1);
            assertThat(cache.report().firstExecutions() - compiled).isLessThanOrEqualTo(1);
        }
    }

    @Test
    void aBiasHasThePositionsOfTheCache() {
        try (KvCache cache = cache(DType.F32)) {
            Tensor q = Tensor.random(DType.F32, 1, 2, HEADS, 1, DIM);
            Tensor k = Tensor.random(DType.F32, 1, 2, 2, 1, DIM);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> cache.forward(
                            q, k, k, AttentionOptions.causal().withBias(Tensor.random(DType.F32, 1, 1, 1, 1, 9))))
                    .withMessageContaining("bias")
                    .withMessageContaining("24, 24");
            assertThat(cache.lengths()).containsExactly(0, 0);
        }
    }
}
