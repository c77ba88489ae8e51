package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.provider.Arguments;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** A cache in INT8 is off by no more than a unit of a page's head, and attention over it is exact. */
class Int8CacheTest extends QuantizedCaches {

    @Override
    CacheType type() {
        return CacheType.INT8;
    }

    @Override
    float[] exactNumbers() {
        return new float[] {127, -127, 1, 0, -64, 3, -100, 15};
    }

    /** Half a unit at first, and at most half as much again each time that the scale at least doubles. */
    @Override
    double bound(float number, float largest) {
        return 1.01 * largest / 63;
    }

    /** A few: what a byte that is NaN does is the same for all types. */
    static Stream<Arguments> specialValues() {
        return Stream.of(Arguments.of(Float.NaN, DType.F32), Arguments.of(Float.NEGATIVE_INFINITY, DType.F16));
    }

    /** Pages that one append fills are off by half a unit, which the largest number of a head in its page makes. */
    @Test
    void isOffByHalfAUnitWhereOneAppendFillsAPage() {
        int tokens = 16;
        Tensor k = Tensor.random(DType.F32, 5, 1, 2, tokens, 27);
        try (PagedKvCache cache = paged(DType.F32)) {
            cache.append(k, k);
            Tensor kept = cache.keys(0);
            for (int head = 0; head < 2; head++) {
                for (int page = 0; page < tokens / 8; page++) {
                    float largest = 0;
                    for (int at = 0; at < 8 * 27; at++) {
                        largest = Math.max(largest, Math.abs(k.get(0, head, page * 8 + at / 27, at % 27)));
                    }
                    for (int at = 0; at < 8 * 27; at++) {
                        float exact = k.get(0, head, page * 8 + at / 27, at % 27);
                        assertThat((double) Math.abs(kept.get(0, head, page * 8 + at / 27, at % 27) - exact))
                                .isLessThanOrEqualTo(largest / 254 * 1.0001);
                    }
                }
            }
        }
    }

    /** Half a unit of 3 / 127 in keys and values is 0.007 on average, of which sums over some keys leave less. */
    @Test
    void attentionIsCloseToThatOfTheTokens() {
        int before = 11;
        int tokens = 16;
        Tensor q = Tensor.random(DType.F32, 6, 1, 4, tokens - before, 27);
        Tensor k = Tensor.random(DType.F32, 7, 1, 2, tokens, 27);
        Tensor v = Tensor.random(DType.F32, 8, 1, 2, tokens, 27);
        AttentionOptions causal = AttentionOptions.causal();
        double[] exact = ReferenceAttention.forward(q, k, v, causal).output();
        try (KvCache cache = whole(DType.F32)) {
            cache.append(CacheCase.tokens(k, 0, before), CacheCase.tokens(v, 0, before));
            AttentionResult result =
                    cache.forward(q, CacheCase.tokens(k, before, tokens), CacheCase.tokens(v, before, tokens), causal);
            double squares = 0;
            for (int i = 0; i < exact.length; i++) {
                squares += Math.pow(result.output().getFlat(i) - exact[i], 2);
            }
            assertThat(Math.sqrt(squares / exact.length)).isBetween(1e-4, 0.01);
        }
    }
}
