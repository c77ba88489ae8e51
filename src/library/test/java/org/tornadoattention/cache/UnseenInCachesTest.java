package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * NaN and ∞ in tokens of a chunk do not reach the queries of it that do not see them, in the kernels of caches: there
 * is what the oracle has. OpenCL's compiler flags promise finite numbers, so nothing is asked of it.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class UnseenInCachesTest {

    private static final int HEAD_DIM = 16;
    private static final int BEFORE = 20;
    private static final int QUERIES = 17;
    private static final int TOKENS = BEFORE + QUERIES;
    private static final int COLUMN = 5;

    /** Of V in sequence 0, of K in sequence 1; in head 0 NaN, in head 1 ∞. */
    private static final int[] TOKENS_OF_THEM = {3, 30};

    @BeforeEach
    void theBackendHasSpecialValues() {
        assumeTrue(TestDevice.get().backend() != Backend.OPENCL, "OpenCL promises its compiler finite numbers");
    }

    static Stream<Arguments> caches() {
        Intrinsics level = TestDevice.get().extension().level();
        AttentionOptions window = AttentionOptions.causal().withWindow(8, 0);
        AttentionOptions endless = AttentionOptions.defaults().withWindow(4, Integer.MAX_VALUE - 1);
        return Stream.of(
                        Arguments.of(
                                DecodeKernel.SPLIT_KEY,
                                DType.F32,
                                CacheType.UNQUANTIZED,
                                0,
                                1,
                                AttentionOptions.causal()),
                        Arguments.of(DecodeKernel.SPLIT_KEY, DType.F16, CacheType.UNQUANTIZED, 8, 3, window),
                        Arguments.of(DecodeKernel.SPLIT_KEY, DType.F32, CacheType.UNQUANTIZED, 8, 2, endless),
                        Arguments.of(DecodeKernel.WARP_SPLIT_KEY, DType.F16, CacheType.UNQUANTIZED, 8, 2, endless),
                        Arguments.of(DecodeKernel.WARP_GROUP, DType.F16, CacheType.UNQUANTIZED, 16, 2, endless),
                        Arguments.of(DecodeKernel.SPLIT_KEY, DType.F16, CacheType.E4M3, 8, 2, window),
                        Arguments.of(DecodeKernel.SPLIT_KEY, DType.F32, CacheType.INT8, 8, 2, window),
                        Arguments.of(DecodeKernel.WARP_SPLIT_KEY, DType.F16, CacheType.UNQUANTIZED, 0, 1, window),
                        Arguments.of(DecodeKernel.WARP_SPLIT_KEY, DType.BF16, CacheType.UNQUANTIZED, 8, 3, window),
                        Arguments.of(DecodeKernel.WARP_GROUP, DType.F16, CacheType.UNQUANTIZED, 0, 1, window),
                        Arguments.of(DecodeKernel.WARP_GROUP, DType.BF16, CacheType.UNQUANTIZED, 16, 2, window))
                .filter(cache -> switch ((DecodeKernel) cache.get()[0]) {
                    case WARP_SPLIT_KEY -> level.include(Intrinsics.WARP);
                    case WARP_GROUP -> level.include(Intrinsics.WARP_GROUP);
                    default -> true;
                });
    }

    @ParameterizedTest(name = "{0}, {1}, {2}, pages of {3}, {4} splits")
    @MethodSource("caches")
    void reachNoQueryThatDoesNotSeeThem(
            DecodeKernel kernel, DType dtype, CacheType type, int pageSize, int splits, AttentionOptions options) {
        Tensor q = Tensor.random(dtype, 1, 2, 4, QUERIES, HEAD_DIM);
        Tensor k = Tensor.random(dtype, 2, 2, 2, TOKENS, HEAD_DIM);
        Tensor v = Tensor.random(dtype, 3, 2, 2, TOKENS, HEAD_DIM);
        for (int head = 0; head < 2; head++) {
            for (int token : TOKENS_OF_THEM) {
                v.set(head == 0 ? Float.NaN : Float.POSITIVE_INFINITY, 0, head, token, COLUMN);
                k.set(head == 0 ? Float.NaN : Float.POSITIVE_INFINITY, 1, head, token, COLUMN);
            }
        }
        CacheOptions how = CacheCase.options(TestDevice.get(), dtype)
                .withCacheType(type)
                .withKernel(kernel)
                .withSplits(splits)
                .withPromptTokens(BEFORE);
        double tolerance = type.isQuantized() ? 0.2 : 0.03;
        try (KeyValueCache cache = cache(pageSize, how)) {
            cache.append(CacheCase.tokens(k, 0, BEFORE), CacheCase.tokens(v, 0, BEFORE));
            AttentionResult result =
                    cache.forward(q, CacheCase.tokens(k, BEFORE, TOKENS), CacheCase.tokens(v, BEFORE, TOKENS), options);
            ReferenceAttention.Forward oracle = ReferenceAttention.forward(q, k, v, options);
            for (int row = 0; row < 2 * 4 * QUERIES; row++) {
                int sequence = row / QUERIES / 4;
                int head = row / QUERIES % 4;
                int query = row % QUERIES;
                boolean reached = false;
                for (int token : TOKENS_OF_THEM) {
                    int behind = query + BEFORE - token;
                    Mask mask = options.mask();
                    reached |= (mask.right() != 0 || behind >= 0) && (mask.left() < 0 || behind <= mask.left());
                }
                for (int column = 0; column < HEAD_DIM; column++) {
                    float value = result.output().get(sequence, head, query, column);
                    double wanted = oracle.output()[row * HEAD_DIM + column];
                    String where = "sequence %d, head %d, query %d, column %d: %s for %s"
                            .formatted(sequence, head, query, column, value, wanted);
                    if (!reached) {
                        assertThat(wanted).as(where).isFinite();
                    }
                    // Bytes have no ∞, and a key whose score is −∞ is as good as hidden.
                    if (!reached || sequence == 0 || head < 2) {
                        assertThat(Float.isFinite(value)).as(where).isEqualTo(Double.isFinite(wanted));
                    }
                    if (Float.isFinite(value)) {
                        assertThat((double) value).as(where).isCloseTo(wanted, within(tolerance));
                    }
                }
            }
        }
    }

    private static KeyValueCache cache(int pageSize, CacheOptions options) {
        if (pageSize == 0) {
            return KvCache.builder()
                    .batch(2)
                    .heads(4, 2)
                    .headDim(HEAD_DIM)
                    .capacity(48)
                    .options(options)
                    .build();
        }
        return PagedKvCache.builder()
                .sequences(2)
                .heads(4, 2)
                .headDim(HEAD_DIM)
                .pageSize(pageSize)
                .pages(2 * Math.ceilDiv(48, pageSize) + 1)
                .capacity(48)
                .options(options)
                .build();
    }
}
