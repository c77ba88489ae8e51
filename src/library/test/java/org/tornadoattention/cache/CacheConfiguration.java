package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.cache.RotaryEmbedding.Style;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.NaiveAttention;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * One point of FlashAttention's key-value cache grid: sequences of random lengths, then new tokens or none, and
 * queries, all held against the oracle over what should be in the cache.
 *
 * @param pageSize tokens of a page, 0 for a contiguous cache
 * @param newTokens whether the queries' own keys and values are appended with them
 * @param padded whether sequences begin with left padding
 * @param splits parts of the keys, 0 to choose
 * @param kernel of attention, or empty for the best
 */
record CacheConfiguration(
        DType dtype,
        int batch,
        int heads,
        int kvHeads,
        int headDim,
        int queries,
        int keys,
        AttentionOptions options,
        Optional<RotaryEmbedding> rotary,
        int pageSize,
        boolean newTokens,
        boolean padded,
        int splits,
        Optional<DecodeKernel> kernel,
        long seed) {

    private static final int[][] SHORT = {{1, 1}, {1, 128}, {3, 239}, {5, 7}, {17, 64}, {60, 60}, {1, 339}};
    private static final int[][] LENGTHS = {
        {1, 1}, {1, 128}, {1, 339}, {3, 1024}, {3, 799}, {64, 800}, {64, 256}, {5, 7}, {17, 64}, {128, 128}, {1, 2048}
    };
    private static final int[][] LONG = {{16, 4096}, {1, 16384}, {64, 2048}, {1, 9001}};
    private static final int[][] HEADS = {{6, 6}, {6, 2}, {6, 1}, {8, 2}, {5, 1}, {16, 1}, {16, 2}, {17, 1}};
    private static final int[] HEAD_DIMS = {1, 8, 24, 32, 59, 64, 72, 80, 96, 128, 192, 256};
    private static final int[] CHUNKED_HEAD_DIMS = {8, 24, 32, 64, 80, 128, 192, 256};
    private static final int[] PAGE_SIZES = {0, 1, 16, 256};

    /** The configuration of a seed. */
    static CacheConfiguration of(long seed, boolean full) {
        return of(seed, full, Optional.empty(), List.of(DType.values()), HEAD_DIMS);
    }

    /** The configuration of a seed that the kernel for tensor cores takes. */
    static CacheConfiguration onTensorCores(long seed, boolean full) {
        return of(
                seed,
                full,
                Optional.of(DecodeKernel.WARP_SPLIT_KEY),
                List.of(DType.F16, DType.BF16),
                CHUNKED_HEAD_DIMS);
    }

    private static CacheConfiguration of(
            long seed, boolean full, Optional<DecodeKernel> kernel, List<DType> dtypes, int... headDims) {
        Random random = new Random(seed);
        int[] heads = HEADS[random.nextInt(HEADS.length)];
        int[][] pairs = !full ? SHORT : random.nextInt(20) == 0 ? LONG : LENGTHS;
        int[] lengths = pairs[random.nextInt(pairs.length)];
        int headDim = headDims[random.nextInt(full ? headDims.length : headDims.length - 2)];
        int pageSize = PAGE_SIZES[random.nextInt(PAGE_SIZES.length)];
        AttentionOptions options = switch (random.nextInt(5)) {
            case 0 -> AttentionOptions.defaults();
            case 1 -> AttentionOptions.defaults().withWindow(random.nextInt(lengths[1]), random.nextInt(lengths[1]));
            case 2 -> AttentionOptions.causal().withAlibi(AttentionOptions.alibiSlopes(heads[0]));
            case 3 -> AttentionOptions.causal().withSoftcap(15);
            default -> AttentionOptions.causal();
        };
        int turned = headDim / 2 / (1 + random.nextInt(2)) * 2;
        Optional<RotaryEmbedding> rotary = random.nextInt(3) == 0 || turned < 2
                ? Optional.empty()
                : Optional.of(new RotaryEmbedding(
                        turned, random.nextBoolean() ? 10_000 : 500_000, Style.values()[random.nextInt(2)]));
        return new CacheConfiguration(
                dtypes.get(random.nextInt(dtypes.size())),
                1 + random.nextInt(3),
                heads[0],
                heads[1],
                headDim,
                lengths[0],
                lengths[1],
                options,
                rotary,
                pageSize,
                random.nextBoolean(),
                random.nextInt(3) == 0,
                random.nextInt(3) == 0 ? 1 + random.nextInt(7) : 0,
                kernel,
                seed);
    }

    void check(ComputeDevice device) {
        Random random = new Random(seed);
        int[] before = new int[batch];
        int[] padding = new int[batch];
        for (int sequence = 0; sequence < batch; sequence++) {
            int room = newTokens ? keys - queries : keys;
            before[sequence] = sequence == 0 ? room : room == 0 ? 0 : random.nextInt(room + 1);
            padding[sequence] = padded ? random.nextInt(before[sequence] + 1) : 0;
        }
        Tensor q = Tensor.random(dtype, 5 * seed, batch, heads, queries, headDim);
        Tensor oldK = Tensor.random(dtype, 5 * seed + 1, batch, kvHeads, keys, headDim);
        Tensor oldV = Tensor.random(dtype, 5 * seed + 2, batch, kvHeads, keys, headDim);
        Tensor newK = Tensor.random(dtype, 5 * seed + 3, batch, kvHeads, queries, headDim);
        Tensor newV = Tensor.random(dtype, 5 * seed + 4, batch, kvHeads, queries, headDim);
        try (KeyValueCache cache = create(device)) {
            if (padded) {
                cache.reset(padding);
            }
            cache.append(oldK, oldV, before);
            AttentionResult result = newTokens ? cache.forward(q, newK, newV, options) : cache.forward(q, options);
            for (int sequence = 0; sequence < batch; sequence++) {
                int length = before[sequence] + (newTokens ? queries : 0);
                assertThat(cache.lengths()[sequence]).isEqualTo(length);
                Tensor k = together(oldK, newK, sequence, before[sequence], length);
                Tensor v = together(oldV, newV, sequence, before[sequence], length);
                assertThat(cache.values(sequence).toFloatArray()).isEqualTo(v.toFloatArray());
                Tensor cachedK = cache.keys(sequence);
                double[] turnedK = turned(k, -padding[sequence]);
                assertRounded(cachedK.toFloatArray(), turnedK);
                double[] turnedQ = turned(CacheCase.sequence(q, sequence), length - queries - padding[sequence]);
                assertAccurate(
                        turnedQ,
                        CacheCase.tokens(cachedK, padding[sequence], length),
                        CacheCase.tokens(v, padding[sequence], length),
                        CacheCase.sequence(result.output(), sequence),
                        CacheCase.sequence(result.logSumExp(), sequence));
            }
        }
    }

    private KeyValueCache create(ComputeDevice device) {
        CacheOptions cacheOptions =
                CacheCase.options(device, dtype).withPromptTokens(48).withSplits(splits);
        if (kernel.isPresent()) {
            cacheOptions = cacheOptions.withKernel(kernel.get());
        }
        if (rotary.isPresent()) {
            cacheOptions = cacheOptions.withRotary(rotary.get());
        }
        int capacity = keys + 3;
        return pageSize == 0
                ? KvCache.builder()
                        .batch(batch)
                        .heads(heads, kvHeads)
                        .headDim(headDim)
                        .capacity(capacity)
                        .options(cacheOptions)
                        .build()
                : PagedKvCache.builder()
                        .sequences(batch)
                        .heads(heads, kvHeads)
                        .headDim(headDim)
                        .pageSize(pageSize)
                        .pages(batch * Math.ceilDiv(capacity, pageSize))
                        .capacity(capacity)
                        .options(cacheOptions)
                        .build();
    }

    /** The old tokens of a sequence and then the new ones. */
    private static Tensor together(Tensor old, Tensor fresh, int sequence, int before, int length) {
        Tensor all = Tensor.allocate(old.dtype(), 1, old.heads(), length, old.headDim());
        for (int head = 0; head < old.heads(); head++) {
            for (int token = 0; token < length; token++) {
                for (int x = 0; x < old.headDim(); x++) {
                    float element = token < before
                            ? old.get(sequence, head, token, x)
                            : fresh.get(sequence, head, token - before, x);
                    all.set(element, 0, head, token, x);
                }
            }
        }
        return all;
    }

    /** The rotary embedding by its definition, in float64; tokens before position 0 stay as they are. */
    private double[] turned(Tensor tokens, int firstPosition) {
        float[] values = tokens.toFloatArray();
        double[] turned =
                IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
        if (rotary.isEmpty()) {
            return turned;
        }
        int half = rotary.get().dimensions() / 2;
        boolean interleaved = rotary.get().style() == Style.INTERLEAVED;
        for (int row = 0; row < tokens.heads() * tokens.seqLength(); row++) {
            int position = firstPosition + row % tokens.seqLength();
            for (int i = 0; position >= 0 && i < half; i++) {
                int a = row * headDim + (interleaved ? 2 * i : i);
                int b = row * headDim + (interleaved ? 2 * i + 1 : i + half);
                double angle = rotary.get().angle(position, i);
                turned[a] = values[a] * Math.cos(angle) - values[b] * Math.sin(angle);
                turned[b] = values[b] * Math.cos(angle) + values[a] * Math.sin(angle);
            }
        }
        return turned;
    }

    /** To the storage's precision; without rotary embedding to the bit. */
    private void assertRounded(float[] cached, double[] exact) {
        double allowed = rotary.isEmpty() ? 0 : 1.01 * dtype.unitRoundoff() + 0x1p-21;
        for (int i = 0; i < cached.length; i++) {
            assertThat(Math.abs(cached[i] - exact[i]))
                    .as("key element %d of %s is %s, not %s", i, this, cached[i], exact[i])
                    .isLessThanOrEqualTo(allowed * Math.max(1, Math.abs(exact[i])));
        }
    }

    private void assertAccurate(double[] q, Tensor k, Tensor v, Tensor output, Tensor logSumExp) {
        AttentionShape shape = new AttentionShape(1, heads, kvHeads, queries, k.seqLength(), headDim);
        float[] narrow = new float[q.length];
        for (int i = 0; i < q.length; i++) {
            narrow[i] = (float) q[i];
        }
        Tensor rounded = Tensor.of(dtype, narrow, 1, heads, queries, headDim);
        var exact = ReferenceAttention.forward(shape, q, wide(k), wide(v), options);
        var exactOfRounded = ReferenceAttention.forward(rounded, k, v, options);
        var naive = NaiveAttention.forward(rounded, k, v, options);
        Tolerance tolerance = Tolerance.forward(dtype);
        var o = tolerance.compare(
                "o",
                output.toFloatArray(),
                exact.output(),
                Tolerance.naiveError(exactOfRounded.output(), naive.output()));
        var lse = tolerance.compare(
                "lse",
                logSumExp.toFloatArray(),
                exact.logSumExp(),
                Tolerance.naiveError(exactOfRounded.logSumExp(), naive.logSumExp()));
        assertThat(o.passed()).as("%s: %s", this, o).isTrue();
        assertThat(lse.passed()).as("%s: %s", this, lse).isTrue();
    }

    private static double[] wide(Tensor tensor) {
        float[] values = tensor.toFloatArray();
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }
}
