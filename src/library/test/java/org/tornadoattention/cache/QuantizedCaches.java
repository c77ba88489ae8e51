package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.tornadoattention.cache.CacheCase.sequence;
import static org.tornadoattention.cache.CacheCase.tokens;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Caches of bytes: what they keep of numbers, and that attention over it is exact. */
abstract class QuantizedCaches {

    /** What a byte is. */
    abstract CacheType type();

    /** Numbers that stay what they are, times any power of two. */
    abstract float[] exactNumbers();

    /** How far a number may be off where numbers of a page are up to {@code largest}. */
    abstract double bound(float number, float largest);

    /** Who computes here. */
    ComputeDevice device() {
        return TestDevice.get();
    }

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();

    @ParameterizedTest
    @EnumSource
    void staysCloseWhenLargerNumbersCome(DType dtype) {
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
                CacheCase.options(device(), dtype).withCacheType(type()).withPromptTokens(20);
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

    final KvCache whole(DType dtype) {
        return KvCache.builder()
                .batch(1)
                .heads(4, 2)
                .headDim(27)
                .capacity(40)
                .options(CacheCase.options(device(), dtype).withCacheType(type()))
                .build();
    }

    final PagedKvCache paged(DType dtype) {
        return PagedKvCache.builder()
                .sequences(1)
                .heads(4, 2)
                .headDim(27)
                .pageSize(8)
                .pages(10)
                .capacity(40)
                .options(CacheCase.options(device(), dtype).withCacheType(type()))
                .build();
    }

    static Stream<Arguments> specialValues() {
        return Stream.of(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)
                .flatMap(special -> Stream.of(DType.F32, DType.F16).map(dtype -> Arguments.of(special, dtype)));
    }

    /**
     * What is not finite in a value makes its column NaN in the rows that see it, and in a key those rows. All else is,
     * to the bit, what a 0 in its place gives, though larger numbers come later. With the token it leaves the cache.
     */
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("specialValues")
    void aSpecialValueReachesTheRowsThatSeeItAndNothingElse(float special, DType dtype) {
        assumeTrue(device().backend() != Backend.OPENCL, "OpenCL promises its compiler finite numbers");
        int tokens = 20;
        Tensor q = Tensor.random(dtype, 1, 1, 4, tokens, 27);
        Tensor k = Tensor.random(dtype, 2, 1, 2, tokens, 27);
        Tensor v = Tensor.random(dtype, 3, 1, 2, tokens, 27);
        v.set(50, 0, 0, 14, 9); // in the page of token 10, so that its scale grows when it comes
        k.set(50, 0, 1, 15, 9);
        v.set(0, 0, 0, 10, 5);
        k.set(0, 0, 1, 13, 3);
        Tensor badK = k.copy();
        Tensor badV = v.copy();
        badV.set(special, 0, 0, 10, 5);
        badK.set(special, 0, 1, 13, 3);
        try (KvCache whole = whole(dtype);
                PagedKvCache paged = paged(dtype)) {
            for (KeyValueCache cache : new KeyValueCache[] {whole, paged}) {
                List<AttentionResult> clean = steps(cache, q, k, v);
                cache.reset();
                List<AttentionResult> affected = steps(cache, q, badK, badV);
                for (int row = 0; row < tokens; row++) {
                    assertSpecial(row, clean.get(row), affected.get(row));
                }
                cache.truncate(9);
                AttentionResult again = cache.forward(tokens(q, 9, 10), tokens(k, 9, 10), tokens(v, 9, 10), CAUSAL);
                for (float element : again.output().toFloatArray()) {
                    assertThat(element).isFinite();
                }
            }
        }
    }

    /**
     * A sequence that begins as another's fork shares what is not finite in its pages, and keeps it when the page that
     * both write next is copied and its scale grows; a token that comes later, in one of them alone, is none of the
     * other's.
     */
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("specialValues")
    void aForkSharesSpecialValuesAndNothingThatComesLater(float special, DType dtype) {
        assumeTrue(device().backend() != Backend.OPENCL, "OpenCL promises its compiler finite numbers");
        Tensor q = Tensor.random(dtype, 1, 3, 4, 20, 27);
        Tensor k = Tensor.random(dtype, 2, 3, 2, 20, 27);
        Tensor v = Tensor.random(dtype, 3, 3, 2, 20, 27);
        for (int sequence = 0; sequence < 3; sequence++) {
            v.set(50, sequence, 0, 13, 9); // in the page that is shared, so that its scale grows in each copy
        }
        v.set(0, 0, 0, 10, 5);
        v.set(0, 1, 0, 14, 7);
        Tensor badV = v.copy();
        badV.set(special, 0, 0, 10, 5); // of the tokens that all share
        badV.set(special, 1, 0, 14, 7); // of the first fork's own
        List<AttentionResult> clean = forked(q, k, v);
        List<AttentionResult> affected = forked(q, k, badV);
        for (int step = 0; step < clean.size(); step++) {
            for (int at = 0; at < 3 * 4 * 27; at++) {
                int sequence = at / 27 / 4;
                int head = at / 27 % 4;
                boolean nan = head < 2 && (at % 27 == 5 || sequence == 1 && step >= 2 && at % 27 == 7);
                float number = clean.get(step).output().get(sequence, head, 0, at % 27);
                assertThat(affected.get(step).output().get(sequence, head, 0, at % 27))
                        .as("token %d of sequence %d, head %d, column %d", 12 + step, sequence, head, at % 27)
                        .isEqualTo(Float.valueOf(nan ? Float.NaN : number));
            }
        }
    }

    /** Tokens 12 to 19 of three sequences, which share the first twelve of the first, a page and a half. */
    private List<AttentionResult> forked(Tensor q, Tensor k, Tensor v) {
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(3)
                .heads(4, 2)
                .headDim(27)
                .pageSize(8)
                .pages(12)
                .capacity(40)
                .options(CacheCase.options(device(), q.dtype()).withCacheType(type()))
                .build()) {
            cache.append(tokens(k, 0, 12), tokens(v, 0, 12), 12, 0, 0);
            cache.fork(0, 1);
            cache.fork(0, 2);
            List<AttentionResult> steps = new ArrayList<>();
            for (int token = 12; token < 20; token++) {
                Tensor query = tokens(q, token, token + 1);
                steps.add(cache.forward(query, tokens(k, token, token + 1), tokens(v, token, token + 1), CAUSAL));
            }
            return steps;
        }
    }

    /** What each token sees when it comes. */
    private static List<AttentionResult> steps(KeyValueCache cache, Tensor q, Tensor k, Tensor v) {
        List<AttentionResult> steps = new ArrayList<>();
        for (int token = 0; token < q.seqLength(); token++) {
            Tensor query = tokens(q, token, token + 1);
            steps.add(cache.forward(query, tokens(k, token, token + 1), tokens(v, token, token + 1), CAUSAL));
        }
        return steps;
    }

    private static void assertSpecial(int row, AttentionResult clean, AttentionResult special) {
        for (int head = 0; head < 4; head++) {
            boolean lost = head >= 2 && row >= 13;
            assertThat(special.logSumExp().get(0, head, 0))
                    .as("log-sum-exp of head %d, row %d", head, row)
                    .isEqualTo(
                            Float.valueOf(lost ? Float.NaN : clean.logSumExp().get(0, head, 0)));
            for (int x = 0; x < 27; x++) {
                boolean nan = lost || head < 2 && row >= 10 && x == 5;
                assertThat(special.output().get(0, head, 0, x))
                        .as("head %d, row %d, column %d", head, row, x)
                        .isEqualTo(
                                Float.valueOf(nan ? Float.NaN : clean.output().get(0, head, 0, x)));
            }
        }
    }

    /** Numbers that are all small keep their bits too: a scale is no more than a power of two. */
    @ParameterizedTest
    @ValueSource(floats = {0x1p-60f, 0x1p-95f, 1f, 0x1p100f})
    void scalesReachFromTheSmallestToTheLargestNumbers(float unit) {
        float[] numbers = exactNumbers();
        Tensor k = Tensor.allocate(DType.F32, 1, 2, 3, 27);
        for (int i = 0; i < k.numberOfElements(); i++) {
            k.setFlat(i, unit * numbers[i % numbers.length]);
        }
        try (KvCache cache = whole(DType.F32)) {
            cache.append(k, k);
            assertThat(cache.keys(0).toFloatArray()).isEqualTo(k.toFloatArray());
            assertThat(cache.values(0).toFloatArray()).isEqualTo(k.toFloatArray());
        }
    }

    private void assertClose(Tensor cached, Tensor exact, float largest) {
        float[] ours = cached.toFloatArray();
        float[] theirs = exact.toFloatArray();
        for (int i = 0; i < ours.length; i++) {
            assertThat((double) Math.abs(ours[i] - theirs[i])).isLessThanOrEqualTo(bound(theirs[i], largest));
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
