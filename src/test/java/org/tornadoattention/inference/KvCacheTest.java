package org.tornadoattention.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tornadoattention.inference.CacheCase.assertAccurate;
import static org.tornadoattention.inference.CacheCase.tokens;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class KvCacheTest {

    @ParameterizedTest
    @EnumSource
    void aPromptAndThenTokenByToken(DType dtype) {
        int tokens = 70;
        Tensor q = Tensor.random(dtype, 1, 2, 6, tokens, 40);
        Tensor k = Tensor.random(dtype, 2, 2, 2, tokens, 40);
        Tensor v = Tensor.random(dtype, 3, 2, 2, tokens, 40);
        AttentionOptions causal = AttentionOptions.causal();
        try (KvCache cache =
                KvCache.create(2, 6, 2, 40, 100, CacheCase.options(dtype).withPromptTokens(24))) {
            AttentionOutput prompt = cache.forward(tokens(q, 0, 60), tokens(k, 0, 60), tokens(v, 0, 60), causal);
            assertThat(cache.values(1).toFloatArray())
                    .isEqualTo(tokens(CacheCase.sequence(v, 1), 0, 60).toFloatArray());
            assertThat(cache.keys(1).toFloatArray())
                    .isEqualTo(tokens(CacheCase.sequence(k, 1), 0, 60).toFloatArray());
            assertAccurate(cache, tokens(q, 0, 60), causal, prompt);
            for (int token = 60; token < tokens; token++) {
                Tensor query = tokens(q, token, token + 1);
                AttentionOutput step =
                        cache.forward(query, tokens(k, token, token + 1), tokens(v, token, token + 1), causal);
                assertAccurate(cache, query, causal, step);
            }
            assertThat(cache.lengths()).containsExactly(70, 70);
        }
    }
}
