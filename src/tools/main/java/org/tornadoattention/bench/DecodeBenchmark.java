package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.StepReport;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KeyValueCache;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.PagedKvCache;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Measures decode steps over a full cache: each appends a token to every sequence and lets its query attend. The first
 * result is checked before any time is taken, and the device's caches are emptied before each step that counts.
 */
public final class DecodeBenchmark {

    private static final long SEED = 1;

    /**
     * Random tokens that fill the cache again and again: a prime, so that no tile or page meets the same ones twice.
     */
    private static final int TOKENS = 1021;

    private static final int PROMPT_TOKENS = 256;

    private final ComputeDevice device;
    private final Optional<DecodeKernel> kernel;
    private final int splits;
    private final boolean cudaGraph;
    private final int warmUps;
    private final int repetitions;

    /**
     * A benchmark on one device.
     *
     * @param kernel of attention, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
     * @param cudaGraph whether to take a step's time as one CUDA graph too
     * @param warmUps steps before the first that counts, 0 or more; on the JVM more are added until times stand still
     * @param repetitions steps that count, 1 or more
     */
    public DecodeBenchmark(
            ComputeDevice device,
            Optional<DecodeKernel> kernel,
            int splits,
            boolean cudaGraph,
            int warmUps,
            int repetitions) {
        requireCounts(warmUps, repetitions);
        this.device = device;
        this.kernel = kernel;
        this.splits = splits;
        this.cudaGraph = cudaGraph;
        this.warmUps = warmUps;
        this.repetitions = repetitions;
    }

    /**
     * Checks how often steps are measured.
     *
     * @throws IllegalArgumentException if there are too few
     */
    public static void requireCounts(int warmUps, int repetitions) {
        if (warmUps < 0 || repetitions < 1) {
            throw new IllegalArgumentException("%d warm-ups and %d repetitions: there must be 0 or more and 1 or more."
                    .formatted(warmUps, repetitions));
        }
    }

    /**
     * Fills a cache, checks a step and measures.
     *
     * @param progress called after each step
     */
    public DecodeMeasurement measure(DecodeCase measured, Runnable progress) {
        CacheOptions options =
                CacheOptions.of(measured.dtype()).on(device).withSplits(splits).withPromptTokens(PROMPT_TOKENS);
        if (measured.fp8()) {
            options = options.withCacheType(CacheType.E4M3);
        }
        if (kernel.isPresent()) {
            options = options.withKernel(kernel.get());
        }
        List<Comparison> comparisons = new ArrayList<>();
        try (CacheFlush flush = new CacheFlush(device)) {
            Optional<Spread> graphTime = Optional.empty();
            if (cudaGraph) {
                try (Steps steps = new Steps(measured, options.asCudaGraph(), flush, progress)) {
                    comparisons.addAll(steps.begin());
                    graphTime = Optional.of(steps.wallTime());
                }
            }
            try (Steps steps = new Steps(measured, options, flush, progress)) {
                comparisons.addAll(steps.begin());
                Spread wallTime = steps.wallTime();
                if (device.isJvm()) {
                    return steps.besideCopies(comparisons, wallTime);
                }
                return new DecodeMeasurement(
                        measured,
                        steps.cache.tile(1),
                        comparisons,
                        steps.kernelTime(() -> {}),
                        wallTime,
                        graphTime,
                        Optional.empty());
            }
        }
    }

    /** A cache and the steps over it. */
    private final class Steps implements AutoCloseable {

        private final DecodeCase measured;
        private final CacheFlush flush;
        private final Runnable progress;
        private final KeyValueCache cache;
        private final Tensor query;
        private final Tensor key;
        private final Tensor value;

        Steps(DecodeCase measured, CacheOptions options, CacheFlush flush, Runnable progress) {
            this.measured = measured;
            this.flush = flush;
            this.progress = progress;
            query = tokens(measured, SEED + 2, measured.heads(), 1);
            key = tokens(measured, SEED + 3, measured.kvHeads(), 1);
            value = tokens(measured, SEED + 4, measured.kvHeads(), 1);
            cache = create(measured, measured.keys() + warmUps + 2 * repetitions, options);
        }

        /** Fills the cache, checks the first step, and warms up. */
        List<Comparison> begin() {
            int filled = measured.keys() - 1;
            Tensor k = tokens(measured, SEED, measured.kvHeads(), TOKENS);
            Tensor v = tokens(measured, SEED + 1, measured.kvHeads(), TOKENS);
            for (int at = 0; at < filled; at += TOKENS) {
                cache.append(k, v, every(measured.batch(), Math.min(TOKENS, filled - at)));
            }
            AttentionResult first = step();
            List<Comparison> comparisons = measured.fp8()
                    ? checkFp8(measured, cache, query, first)
                    : check(measured, query, k, v, key, value, first);
            for (int i = 0; i < warmUps; i++) {
                step();
            }
            if (device.isJvm() && warmUps > 0) {
                WarmUp.untilTimesStandStill(this::timeOfAttention, WarmUp.LONGEST_SECONDS);
            }
            return comparisons;
        }

        /** Of a step that appends nothing. */
        private long timeOfAttention() {
            long start = System.nanoTime();
            cache.forward(query, AttentionOptions.causal());
            return System.nanoTime() - start;
        }

        private AttentionResult step() {
            AttentionResult output = cache.forward(query, key, value, AttentionOptions.causal());
            progress.run();
            return output;
        }

        Spread wallTime() {
            long[] times = new long[repetitions];
            for (int i = 0; i < repetitions; i++) {
                flush.run();
                long start = System.nanoTime();
                step();
                times[i] = System.nanoTime() - start;
            }
            return Spread.of(times);
        }

        /** A copy between any two steps, so that both meet the same noise. */
        DecodeMeasurement besideCopies(List<Comparison> comparisons, Spread wallTime) {
            List<Long> times = new ArrayList<>();
            Spread kernelTime;
            int threads = Integer.getInteger("tornadoattention.threads", device.computeUnits());
            try (HostCopy copy = new HostCopy((long) measured.bytes(), threads)) {
                copy.run();
                kernelTime = kernelTime(() -> times.add(copy.run()));
            }
            Spread copyTime =
                    Spread.of(times.stream().mapToLong(Long::longValue).toArray());
            return new DecodeMeasurement(
                    measured,
                    cache.tile(1),
                    comparisons,
                    kernelTime,
                    wallTime,
                    Optional.empty(),
                    Optional.of(copyTime));
        }

        /** @param between runs after each step */
        Spread kernelTime(Runnable between) {
            cache.profile(true);
            long[] times = new long[repetitions];
            for (int i = 0; i < repetitions; i++) {
                flush.run();
                StepReport before = cache.report();
                step();
                times[i] = cache.report().minus(before).kernelTime().toNanos();
                between.run();
            }
            return Spread.of(times);
        }

        @Override
        public void close() {
            cache.close();
        }
    }

    private static KeyValueCache create(DecodeCase measured, int capacity, CacheOptions options) {
        if (measured.pageSize() > 0) {
            return PagedKvCache.builder()
                    .sequences(measured.batch())
                    .heads(measured.heads(), measured.kvHeads())
                    .headDim(measured.headDim())
                    .pageSize(measured.pageSize())
                    .pages(measured.batch() * Math.ceilDiv(capacity, measured.pageSize()))
                    .capacity(capacity)
                    .options(options)
                    .build();
        }
        return KvCache.builder()
                .batch(measured.batch())
                .heads(measured.heads(), measured.kvHeads())
                .headDim(measured.headDim())
                .capacity(capacity)
                .options(options)
                .build();
    }

    private static Tensor tokens(DecodeCase measured, long seed, int heads, int tokens) {
        return Tensor.random(measured.dtype(), seed, measured.batch(), heads, tokens, measured.headDim());
    }

    private static int[] every(int batch, int count) {
        int[] counts = new int[batch];
        Arrays.fill(counts, count);
        return counts;
    }

    /** The oracle over all keys of the first, a middle and the last KV head. */
    private static List<Comparison> check(
            DecodeCase measured, Tensor q, Tensor k, Tensor v, Tensor key, Tensor value, AttentionResult result) {
        int group = measured.heads() / measured.kvHeads();
        int last = measured.batch() * measured.kvHeads() - 1;
        List<Comparison> comparisons = new ArrayList<>();
        for (int head : new int[] {0, last / 2, last}) {
            comparisons.addAll(AccuracyCheck.of(
                            rows(q, head * group, group),
                            keysOf(measured, k, key, head),
                            keysOf(measured, v, value, head),
                            AttentionOptions.causal())
                    .forward(
                            rows(result.output(), head * group, group), rows(result.logSumExp(), head * group, group)));
        }
        return comparisons;
    }

    /** The same over what the cache holds, since that is not what came; the output has the tokens' type. */
    private static List<Comparison> checkFp8(
            DecodeCase measured, KeyValueCache cache, Tensor q, AttentionResult result) {
        int group = measured.heads() / measured.kvHeads();
        int sequence = measured.batch() - 1;
        int firstHead = sequence * measured.heads();
        List<Comparison> comparisons = new ArrayList<>();
        Tensor k = cache.keys(sequence);
        Tensor v = cache.values(sequence);
        for (int head : new int[] {0, measured.kvHeads() - 1}) {
            comparisons.addAll(AccuracyCheck.of(
                            rows(q, firstHead + head * group, group).as(DType.F32),
                            rows(k, head, 1),
                            rows(v, head, 1),
                            AttentionOptions.causal())
                    .forward(
                            rows(result.output(), firstHead + head * group, group)
                                    .as(DType.F32),
                            rows(result.logSumExp(), firstHead + head * group, group),
                            Tolerance.forward(measured.dtype())));
        }
        return comparisons;
    }

    /** Some heads of {@code [batch, heads, 1, …]}, as one sequence. */
    private static Tensor rows(Tensor tensor, int firstHead, int heads) {
        int[] shape = tensor.shape();
        int width = tensor.numberOfElements() / (shape[0] * shape[1]);
        shape[0] = 1;
        shape[1] = heads;
        Tensor rows = Tensor.allocate(tensor.dtype(), shape);
        for (int i = 0; i < rows.numberOfElements(); i++) {
            rows.setFlat(i, tensor.getFlat(firstHead * width + i));
        }
        return rows;
    }

    /** What a head of the cache holds: the tokens that fill it, over and over, and the one of the first step. */
    private static Tensor keysOf(DecodeCase measured, Tensor tokens, Tensor newest, int head) {
        int dim = measured.headDim();
        Tensor keys = Tensor.allocate(measured.dtype(), 1, 1, measured.keys(), dim);
        for (int j = 0; j < measured.keys(); j++) {
            for (int x = 0; x < dim; x++) {
                float element = j < measured.keys() - 1
                        ? tokens.getFlat((head * TOKENS + j % TOKENS) * dim + x)
                        : newest.getFlat(head * dim + x);
                keys.setFlat(j * dim + x, element);
            }
        }
        return keys;
    }
}
