package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tornadoattention.cache.CacheCase.sequence;
import static org.tornadoattention.cache.CacheCase.tokens;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** A cache in E4M3 keeps four bits of each number, whatever its size, and attention over it is exact. */
class Fp8CacheTest {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    @ParameterizedTest
    @EnumSource
    void keepsFourBitsWhenLargerNumbersCome(DType dtype) {
        int tokens = 33;
        Tensor q = Tensor.random(dtype, 1, 2, 4, tokens, 27);
        Tensor k = Tensor.random(dtype, 2, 2, 2, tokens, 27);
        Tensor v = Tensor.random(dtype, 3, 2, 2, tokens, 27);
        // The last tokens are 5,000 times as large: scales grow under the tokens that are there.
        for (int row = 0; row < 4; row++) {
            for (int x = 30 * 27; x < tokens * 27; x++) {
                v.setFlat(row * tokens * 27 + x, 5000 * v.getFlat(row * tokens * 27 + x));
            }
        }
        CacheOptions options =
                CacheCase.options(dtype).withCacheType(CacheType.E4M3).withPromptTokens(20);
        try (KvCache whole = KvCache.builder()
                        .batch(2)
                        .heads(4, 2)
                        .headDim(27)
                        .capacity(40)
                        .options(options)
                        .build();
                PagedKvCache paged = PagedKvCache.builder()
                        .sequences(2)
                        .heads(4, 2)
                        .headDim(27)
                        .pageSize(8)
                        .pages(10)
                        .capacity(40)
                        .options(options)
                        .build()) {
            for (KeyValueCache cache : new KeyValueCache[] {whole, paged}) {
                cache.append(tokens(k, 0, 30), tokens(v, 0, 30));
                for (int token = 30; token < tokens; token++) {
                    Tensor query = tokens(q, token, token + 1);
                    AttentionResult step =
                            cache.forward(query, tokens(k, token, token + 1), tokens(v, token, token + 1), CAUSAL);
                    for (int i = 0; i < 2; i++) {
                        assertAttention(cache, i, sequence(query, i), step);
                    }
                }
                for (int i = 0; i < 2; i++) {
                    assertClose(cache.keys(i), sequence(k, i), 4);
                    assertClose(cache.values(i), sequence(v, i), 5000 * 5);
                }
            }
        }
    }

    /** Half a unit in the fourth bit, or half of the smallest step that the largest number of a page leaves. */
    private static void assertClose(Tensor cached, Tensor exact, float largest) {
        float[] ours = cached.toFloatArray();
        float[] theirs = exact.toFloatArray();
        double smallest = largest / 448 * 0x1p-9;
        for (int i = 0; i < ours.length; i++) {
            assertThat((double) Math.abs(ours[i] - theirs[i]))
                    .isLessThanOrEqualTo(Math.max(Math.abs(theirs[i]) / 15, 2 * smallest));
        }
    }

    /** Against the oracle over what the cache holds, in F32. */
    private static void assertAttention(KeyValueCache cache, int i, Tensor q, AttentionResult step) {
        Tensor k = cache.keys(i);
        Tensor v = cache.values(i);
        AccuracyCheck check = AccuracyCheck.of(q.as(DType.F32), k, v, CAUSAL);
        assertThat(check.forward(
                        sequence(step.output(), i).as(DType.F32),
                        sequence(step.logSumExp(), i),
                        new org.tornadoattention.reference.Tolerance(
                                2,
                                cache.shape().dtype() == DType.F32
                                        ? 1e-5
                                        : cache.shape().dtype().unitRoundoff())))
                .allMatch(Comparison::passed);
    }
}
