package org.tornadoattention.cache;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.CacheFullException;
import org.tornadoattention.StepReport;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.DecodeChoice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.decode.CacheEngine;
import org.tornadoattention.decode.CachePlan;
import org.tornadoattention.decode.CacheShape;
import org.tornadoattention.decode.VectorCachePlan;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.internal.Arguments;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.Rotation;
import org.tornadoattention.vector.Workers;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Keys and values of sequences on the device, that grow token by token: what {@link KvCache} and {@link PagedKvCache}
 * have in common.
 *
 * <p>Keys, values and lengths stay on the device. A step brings the new tokens there and the output back, and, however
 * long the sequences have grown, compiles nothing and allocates nothing. Masks are those of {@link AttentionOptions},
 * aligned to each sequence's own end.
 *
 * <p>An instance may be shared by threads; calls run one after another.
 */
public abstract sealed class KeyValueCache implements AutoCloseable permits KvCache, PagedKvCache {

    private final CacheShape shape;
    private final ComputeDevice device;
    private final CacheOptions options;
    private CacheEngine plan;
    private final int[] lengths;
    private final int[] padding;
    private boolean stale = true;
    private boolean inGraph;
    private int tokensInGraph;
    private boolean closed;

    /**
     * The sizes of a cache, each by its name; all but the key and value heads must be given.
     *
     * @param <B> the builder itself
     * @param <C> the cache that it builds
     */
    public abstract static sealed class Builder<B extends Builder<B, C>, C extends KeyValueCache>
            permits KvCache.Builder, PagedKvCache.Builder {

        int heads;
        int kvHeads;
        int headDim;
        int capacity;

        @Nullable
        CacheOptions options;

        Builder() {}

        abstract B self();

        /**
         * As many key and value heads as query heads.
         *
         * @param count of both, 1 or more
         * @return this builder
         */
        public B heads(int count) {
            return heads(count, count);
        }

        /**
         * Query heads that share key and value heads in groups.
         *
         * @param queryHeads a multiple of {@code keyValueHeads}
         * @param keyValueHeads 1 or more
         * @return this builder
         */
        public B heads(int queryHeads, int keyValueHeads) {
            heads = queryHeads;
            kvHeads = keyValueHeads;
            return self();
        }

        /**
         * The elements per head.
         *
         * @param elements from 1 to {@link AttentionShape#MAX_HEAD_DIM}
         * @return this builder
         */
        public B headDim(int elements) {
            headDim = elements;
            return self();
        }

        /**
         * The tokens that a sequence may have at most.
         *
         * @param tokens 1 or more
         * @return this builder
         */
        public B capacity(int tokens) {
            capacity = tokens;
            return self();
        }

        /**
         * Types, device, rotary embedding and more.
         *
         * @param how the cache is kept
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public B options(CacheOptions how) {
            options = required(how, "how", "begin with CacheOptions.of(dtype)");
            return self();
        }

        /**
         * The cache, empty; close it to free the device's memory.
         *
         * @return a new cache
         * @throws IllegalArgumentException if a size is missing or out of range, or the cache larger than an array
         * @throws org.tornadoattention.UnsupportedOnDeviceException if the device lacks what the options ask for
         */
        public abstract C build();

        final CacheOptions requireComplete() {
            requirePositive("heads", heads);
            requirePositive("headDim", headDim);
            requirePositive("capacity", capacity);
            return required(options, "options", "give them with options(CacheOptions.of(dtype))");
        }

        static void requirePositive(String name, int given) {
            if (given < 1) {
                throw new IllegalArgumentException(
                        "%s is %d: give it with %s(…), 1 or more.".formatted(name, given, name));
            }
        }
    }

    KeyValueCache(CacheShape shape, CacheOptions options) {
        this.shape = shape;
        this.options = options;
        device = options.device().orElseGet(() -> bestFor(options));
        Optional<RotaryEmbedding> rotary = options.rotary();
        int rotaryDim = rotary.map(RotaryEmbedding::dimensions).orElse(0);
        if (rotaryDim > shape.headDim()) {
            throw new IllegalArgumentException(
                    "The rotary embedding turns %d dimensions of heads that have %d: turn fewer."
                            .formatted(rotaryDim, shape.headDim()));
        }
        if ((long) rotaryDim * shape.capacity() > Tensor.MAX_ELEMENTS) {
            throw new IllegalArgumentException(
                    "The rotary embedding's table has %d numbers for each of %,d tokens, and an array holds %,d: take a smaller capacity."
                            .formatted(rotaryDim, shape.capacity(), Tensor.MAX_ELEMENTS));
        }
        plan = device.isJvm() ? vectorPlan() : taskGraphs(device);
        lengths = new int[shape.sequences()];
        padding = new int[shape.sequences()];
    }

    /** The best device, or, where something of task graphs is asked for, the best that runs them. */
    private static ComputeDevice bestFor(CacheOptions options) {
        boolean graphs = options.cudaGraph()
                || options.wideCopy()
                || options.kernel().stream().anyMatch(kernel -> kernel != DecodeKernel.VECTOR);
        return graphs ? Devices.bestForTaskGraphs() : Devices.best();
    }

    private VectorCachePlan vectorPlan() {
        if (options.cudaGraph()) {
            throw new UnsupportedOnDeviceException(device, "CUDA graphs", "leave asCudaGraph() out");
        }
        if (options.wideCopy()) {
            throw new UnsupportedOnDeviceException(device, "tensor cores", "leave withWideCopy() out");
        }
        options.kernel().filter(kernel -> kernel != DecodeKernel.VECTOR).ifPresent(kernel -> {
            throw new UnsupportedOnDeviceException(
                    device, "the kernel " + kernel.id() + ", which is for task graphs", "leave the kernel out");
        });
        return new VectorCachePlan(shape, device, Workers.of(device), rotation(), options.splits());
    }

    private CachePlan taskGraphs(ComputeDevice where) {
        int prompt = Math.min(options.promptTokens(), shape.capacity());
        if (options.wideCopy()) {
            requireWideCopy(prompt);
        }
        Rotation rotation = rotation();
        return new CachePlan(
                shape,
                where,
                IntStream.of(1, prompt).distinct().toArray(),
                options.kernel(),
                options.splits(),
                options.wideCopy(),
                rotation.table(),
                rotation.dimensions(),
                rotation.interleaved(),
                options.cudaGraph());
    }

    private void requireWideCopy(int prompt) {
        boolean taken = options.cacheType().isQuantized()
                && options.dtype() != DType.F32
                && prompt >= DecodeChoice.FEWEST_OF_CHUNK
                && options.kernel().stream().allMatch(kernel -> kernel == DecodeKernel.WARP_GROUP);
        if (!taken) {
            throw new IllegalArgumentException(
                    "The options are %s and an execution takes %d tokens at most: a wide copy is of a cache of bytes, for F16 or BF16 tokens of which an execution takes %d or more, and for the kernel %s; leave withWideCopy() out."
                            .formatted(options, prompt, DecodeChoice.FEWEST_OF_CHUNK, DecodeKernel.WARP_GROUP.id()));
        }
    }

    private Rotation rotation() {
        Optional<RotaryEmbedding> rotary = options.rotary();
        return new Rotation(
                rotary.map(embedding -> embedding.table(shape.capacity())).orElseGet(() -> new FloatArray(1)),
                rotary.map(RotaryEmbedding::dimensions).orElse(0),
                rotary.stream().anyMatch(embedding -> embedding.style() == RotaryEmbedding.Style.INTERLEAVED));
    }

    /**
     * Appends the same number of tokens to every sequence.
     *
     * @param k keys {@code [sequences, kvHeads, tokens, headDim]}
     * @param v values, shaped like the keys
     * @throws IllegalArgumentException if shapes or types do not fit
     * @throws CacheFullException if a sequence, or the cache, has no room; all sequences are as they were then
     * @throws IllegalStateException if the cache is closed or part of a task graph
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized void append(Tensor k, Tensor v) {
        append(k, v, same(tokensOf("k", k)));
    }

    /**
     * Appends tokens, to each sequence its own number: the first {@code newTokens[i]} of those that k and v have for
     * it.
     *
     * @param k keys {@code [sequences, kvHeads, tokens, headDim]}
     * @param v values, shaped like the keys
     * @param newTokens for each sequence 0 or more, at most what k and v have
     * @throws IllegalArgumentException if shapes, types or numbers do not fit
     * @throws CacheFullException if a sequence, or the cache, has no room; all sequences are as they were then
     * @throws IllegalStateException if the cache is closed or part of a task graph
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized void append(Tensor k, Tensor v, int... newTokens) {
        requireUsable();
        requireTokens("k", k, shape.kvHeads());
        requireTokens("v", v, shape.kvHeads());
        requireSame(k, v);
        requireCounts("newTokens", newTokens, k.seqLength());
        execute(newTokens, new int[shape.sequences()], null, k, v, AttentionOptions.defaults(), null);
    }

    /**
     * Attention of queries over all that is cached. The queries of a sequence stand on its last tokens.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param options mask, scale, softcap and ALiBi; neither key lengths, which the cache knows, nor dropout
     * @return output like q and log-sum-exp F32 {@code [sequences, heads, tokens]}, in new tensors; it has no backward
     *     pass
     * @throws IllegalArgumentException if shapes, types or options do not fit
     * @throws IllegalStateException if the cache is closed or part of a task graph
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(Tensor q, AttentionOptions options) {
        return forward(q, options, same(tokensOf("q", q)));
    }

    /**
     * {@link #forward(Tensor, AttentionOptions)} of the first {@code queries[i]} queries of each sequence; others give
     * 0 and a log-sum-exp of −∞.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param options mask, scale, softcap and ALiBi; neither key lengths, which the cache knows, nor dropout
     * @param queries for each sequence 0 or more, at most what q has
     * @return output like q and log-sum-exp F32 {@code [sequences, heads, tokens]}, in new tensors; it has no backward
     *     pass
     * @throws IllegalArgumentException if shapes, types, numbers or options do not fit
     * @throws IllegalStateException if the cache is closed or part of a task graph
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(Tensor q, AttentionOptions options, int... queries) {
        requireUsable();
        requireTokens("q", q, shape.heads());
        requireCounts("queries", queries, q.seqLength());
        AttentionResult result = resultFor(q);
        execute(new int[shape.sequences()], queries, q, null, null, options, result);
        return result;
    }

    /**
     * Appends tokens and lets their queries attend to all that is cached then: a step of a decoder, in one execution.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     * @param options mask, scale, softcap and ALiBi; neither key lengths, which the cache knows, nor dropout
     * @return output like q and log-sum-exp F32 {@code [sequences, heads, tokens]}, in new tensors; it has no backward
     *     pass
     * @throws IllegalArgumentException if shapes, types or options do not fit
     * @throws CacheFullException if a sequence, or the cache, has no room; all sequences are as they were then
     * @throws IllegalStateException if the cache is closed or part of a task graph
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        return forward(q, k, v, options, same(tokensOf("q", q)));
    }

    /**
     * {@link #forward(Tensor, Tensor, Tensor, AttentionOptions)} of the first {@code tokens[i]} tokens of each
     * sequence; others are not appended, and their output is 0.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     * @param options mask, scale, softcap and ALiBi; neither key lengths, which the cache knows, nor dropout
     * @param tokens for each sequence 0 or more, at most what q, k and v have
     * @return output like q and log-sum-exp F32 {@code [sequences, heads, tokens]}, in new tensors; it has no backward
     *     pass
     * @throws IllegalArgumentException if shapes, types, numbers or options do not fit
     * @throws CacheFullException if a sequence, or the cache, has no room; all sequences are as they were then
     * @throws IllegalStateException if the cache is closed or part of a task graph
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(Tensor q, Tensor k, Tensor v, AttentionOptions options, int... tokens) {
        requireUsable();
        requireTokens("q", q, shape.heads());
        requireTokens("k", k, shape.kvHeads());
        requireTokens("v", v, shape.kvHeads());
        requireSame(k, v);
        if (q.seqLength() != k.seqLength()) {
            throw new IllegalArgumentException(
                    "q is %s and k is %s: each new token has a query here; append first and use forward(q, options) otherwise."
                            .formatted(q, k));
        }
        requireCounts("tokens", tokens, q.seqLength());
        AttentionResult result = resultFor(q);
        execute(tokens, tokens, q, k, v, options, result);
        return result;
    }

    private AttentionResult resultFor(Tensor q) {
        AttentionResult result = AttentionResult.of(
                Tensor.allocate(shape.dtype(), q.shape()),
                Tensor.allocate(DType.F32, q.batch(), q.heads(), q.seqLength()));
        result.logSumExp().fill(Float.NEGATIVE_INFINITY);
        return result;
    }

    private void execute(
            int[] newTokens,
            int[] queries,
            @Nullable Tensor q,
            @Nullable Tensor k,
            @Nullable Tensor v,
            AttentionOptions options,
            @Nullable AttentionResult result) {
        requireFitting(options);
        requireCapacity(newTokens);
        reserve(newTokens);
        if (Arrays.stream(newTokens).anyMatch(count -> count > 0)
                || Arrays.stream(queries).anyMatch(count -> count > 0)) {
            if (Arrays.stream(queries).anyMatch(count -> count > 0)) {
                stale |= plan.prepare(options, lengths, padding, tables());
            }
            if (stale) {
                plan.upload(lengths, padding, tables());
                stale = false;
            }
            movePages();
            plan.call(newTokens, queries, q, k, v, options, result);
            for (int sequence = 0; sequence < newTokens.length; sequence++) {
                lengths[sequence] += newTokens[sequence];
            }
        }
    }

    private void requireCapacity(int... newTokens) {
        for (int sequence = 0; sequence < newTokens.length; sequence++) {
            if (newTokens[sequence] > shape.capacity() - lengths[sequence]) {
                throw new CacheFullException(
                        "Sequence %d has %,d tokens, and %,d more do not fit its capacity of %,d: make a larger cache, or drop its last tokens with truncate or all with reset."
                                .formatted(sequence, lengths[sequence], newTokens[sequence], shape.capacity()));
            }
        }
    }

    /**
     * {@link PagedKvCache#next}.
     *
     * @param copies of pages, each from one to another, once there is room
     */
    final void nextInGraph(Supplier<List<int[]>> copies, int... newTokens) {
        required(newTokens, "newTokens", "give one number for each sequence");
        requireCounted();
        if (!inGraph) {
            throw new IllegalStateException(
                    "This cache is part of no task graph: append it to one with appendTo, or call forward.");
        }
        requireCounts("newTokens", newTokens, tokensInGraph);
        requireCapacity(newTokens);
        reserve(newTokens);
        ((CachePlan) plan).nextInGraph(lengths, padding, tables(), copies.get(), newTokens);
        for (int sequence = 0; sequence < newTokens.length; sequence++) {
            lengths[sequence] += newTokens[sequence];
        }
    }

    /** Whether the host counts the tokens of sequences where the cache is part of a task graph. */
    abstract boolean countsInGraph();

    /**
     * Finds room for new tokens, all or none.
     *
     * @throws CacheFullException if there is not enough
     */
    abstract void reserve(int... newTokens);

    /** The pages of each sequence, in order. */
    abstract int[][] tables();

    /** Tells the device of pages that came since the last step. */
    abstract void movePages();

    /** Sets lengths and padding; the device gets them, and all pages, before the next step. */
    final void set(int[] newLengths, int[] newPadding) {
        System.arraycopy(newLengths, 0, lengths, 0, lengths.length);
        System.arraycopy(newPadding, 0, padding, 0, padding.length);
        stale = true;
    }

    /** Gives back what the sequences no longer need when they have these lengths, each at most what it has. */
    abstract void shrink(int... newLengths);

    /**
     * Begins anew: no tokens, and of those that will come, the first {@code padding[i]} of sequence i are left padding,
     * which no query sees. Positions count from the first token after it.
     *
     * @param newPadding none, or for each sequence from 0 to the capacity
     * @throws IllegalArgumentException if there are other numbers
     * @throws IllegalStateException if the cache is closed, or a contiguous one in a task graph
     */
    public synchronized void reset(int... newPadding) {
        requireCounted();
        required(newPadding, "newPadding", "leave it out for no left padding");
        int[] counts = newPadding.length == 0 ? same(0) : newPadding.clone();
        if (counts.length != shape.sequences()
                || Arrays.stream(counts).anyMatch(count -> count < 0 || count > capacity())) {
            throw new IllegalArgumentException(
                    "Left padding of %s: there must be none, or a number from 0 to %,d for each of the %d sequences."
                            .formatted(Arrays.toString(newPadding), capacity(), shape.sequences()));
        }
        if (inGraph && !Arrays.equals(counts, padding)) {
            throw new IllegalStateException(
                    "The left padding is %s since the cache became part of a task graph, not %s."
                            .formatted(Arrays.toString(padding), Arrays.toString(counts)));
        }
        shrink(same(0));
        set(same(0), counts);
    }

    /**
     * Drops the last tokens of sequences, as speculative decoding does with those that were refused.
     *
     * @param newLengths for each sequence, from 0 to its length
     * @throws IllegalArgumentException if there are other numbers
     * @throws IllegalStateException if the cache is closed, or a contiguous one in a task graph
     */
    public synchronized void truncate(int... newLengths) {
        requireCounted();
        required(newLengths, "newLengths", "give one number for each sequence");
        boolean fits = newLengths.length == lengths.length
                && IntStream.range(0, lengths.length)
                        .allMatch(sequence -> newLengths[sequence] >= 0 && newLengths[sequence] <= lengths[sequence]);
        if (!fits) {
            throw new IllegalArgumentException("Lengths %s cannot become %s: each must be from 0 to what it is."
                    .formatted(Arrays.toString(lengths), Arrays.toString(newLengths)));
        }
        shrink(newLengths);
        set(newLengths, padding());
    }

    /**
     * The tokens of each sequence, left padding included.
     *
     * @return a copy, {@code [sequences]}
     * @throws IllegalStateException if the cache is closed, or a contiguous one in a task graph, which does not tell
     */
    public synchronized int[] lengths() {
        requireCounted();
        return lengths.clone();
    }

    final int length(int sequence) {
        return lengths[sequence];
    }

    final int[] padding() {
        return padding.clone();
    }

    /**
     * The sequences side by side.
     *
     * @return 1 or more
     */
    public int sequences() {
        return shape.sequences();
    }

    /**
     * The query heads.
     *
     * @return a multiple of {@link #kvHeads()}
     */
    public int heads() {
        return shape.heads();
    }

    /**
     * The key and value heads.
     *
     * @return 1 or more
     */
    public int kvHeads() {
        return shape.kvHeads();
    }

    /**
     * The elements per head.
     *
     * @return 1 or more
     */
    public int headDim() {
        return shape.headDim();
    }

    /**
     * The type of queries, new keys and values, and output.
     *
     * @return the type
     */
    public DType dtype() {
        return shape.dtype();
    }

    /**
     * How keys and values are stored.
     *
     * @return the cache's type
     */
    public CacheType cacheType() {
        return shape.type();
    }

    /**
     * The tokens that a sequence may have at most.
     *
     * @return what was asked for, rounded up to whole pages
     */
    public int capacity() {
        return shape.capacity();
    }

    final CacheShape shape() {
        return shape;
    }

    /**
     * Where the cache lives.
     *
     * @return the device
     */
    public ComputeDevice device() {
        return device;
    }

    /**
     * How steps are divided among the device's groups, or the JVM's threads.
     *
     * @param tokens tokens of a sequence in a step, 0 or more
     * @return the tile and the number of splits
     */
    public SplitTile tile(int tokens) {
        return plan.tile(tokens);
    }

    /** {@link KvCache#appendTo}. */
    final void appendStepTo(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options) {
        requireUsable();
        required(graph, "graph", "give the graph that the tasks are for");
        required(grids, "grids", "give the scheduler that the plan will be run with");
        required(name, "name", "give the tasks a name, unique in their graph");
        requireTokens("q", q, shape.heads());
        requireTokens("k", k, shape.kvHeads());
        requireTokens("v", v, shape.kvHeads());
        requireTokens("output", output, shape.heads());
        required(logSumExp, "logSumExp", "make it with Tensor.allocate");
        requireSame(k, v);
        requireFitting(options);
        int tokens = q.seqLength();
        boolean fits = tokens > 0
                && k.seqLength() == tokens
                && output.seqLength() == tokens
                && logSumExp.dtype() == DType.F32
                && Arrays.equals(logSumExp.shape(), new int[] {shape.sequences(), shape.heads(), tokens});
        if (!fits) {
            throw new IllegalArgumentException(
                    "q is %s, k %s, output %s and log-sum-exp %s: they must have as many tokens, 1 or more, and the log-sum-exp must be F32%s."
                            .formatted(q, k, output, logSumExp, Arrays.toString(new int[] {
                                shape.sequences(), shape.heads(), tokens
                            })));
        }
        Map<String, MemorySegment> written = new LinkedHashMap<>();
        written.put("output", output.array().getSegment());
        written.put("logSumExp", logSumExp.array().getSegment());
        Arguments.requireApart(
                written,
                Map.of(
                        "q", q.array().getSegment(),
                        "k", k.array().getSegment(),
                        "v", v.array().getSegment()));
        if (Arrays.stream(lengths).anyMatch(length -> length > 0)) {
            throw new IllegalStateException(
                    "The cache holds %s tokens: a task graph takes empty ones.".formatted(Arrays.toString(lengths)));
        }
        // The JVM runs no task graphs: its cache, which is empty yet, moves to a device that does.
        CachePlan graphs = plan instanceof CachePlan own ? own : taskGraphs(Devices.forTaskGraphs(device));
        graphs.appendTo(graph, grids, name, padding, tables(), q, k, v, output, logSumExp, options, countsInGraph());
        if (graphs != plan) {
            plan.close();
            plan = graphs;
        }
        inGraph = true;
        tokensInGraph = tokens;
    }

    /**
     * Whether reports have the device's times, which takes time in each step; at first they do not.
     *
     * @param on whether they shall
     * @throws IllegalStateException if the cache is closed or part of a task graph
     */
    public synchronized void profile(boolean on) {
        requireUsable();
        plan.profile(on);
    }

    /**
     * All that this cache did on the device so far.
     *
     * @return the sums of all steps
     */
    public synchronized StepReport report() {
        return plan.total();
    }

    /**
     * Bytes of all arrays of the last step on the device, keys and values among them; on the JVM, of those that stay
     * between steps.
     *
     * @return bytes
     * @throws IllegalStateException if the cache is closed or part of a task graph
     */
    public synchronized long deviceBytes() {
        requireUsable();
        return plan.deviceBytes();
    }

    /**
     * Bytes of keys and values on the device.
     *
     * @return bytes
     */
    public long bytes() {
        return plan.cacheBytes();
    }

    /**
     * A copy of a sequence's keys, turned by the rotary embedding if there is one.
     *
     * @param sequence which one, from 0
     * @return {@code [1, kvHeads, length, headDim]}, of the tokens' type, or F32 where the cache is quantised
     * @throws IllegalArgumentException if there is no such sequence
     * @throws IllegalStateException if the cache is closed or part of a task graph
     */
    public synchronized Tensor keys(int sequence) {
        return read(false, sequence);
    }

    /**
     * A copy of a sequence's values.
     *
     * @param sequence which one, from 0
     * @return {@code [1, kvHeads, length, headDim]}, of the tokens' type, or F32 where the cache is quantised
     * @throws IllegalArgumentException if there is no such sequence
     * @throws IllegalStateException if the cache is closed or part of a task graph
     */
    public synchronized Tensor values(int sequence) {
        return read(true, sequence);
    }

    private Tensor read(boolean values, int sequence) {
        requireUsable();
        requireSequence(sequence);
        return plan.read(values, sequence, lengths, padding, tables());
    }

    final CacheEngine plan() {
        return plan;
    }

    final int[] same(int count) {
        int[] counts = new int[shape.sequences()];
        Arrays.fill(counts, count);
        return counts;
    }

    private static int tokensOf(String name, Tensor tensor) {
        if (tensor == null || tensor.rank() != 4) {
            throw new IllegalArgumentException(
                    "%s is %s: it must be [sequences, heads, tokens, headDim].".formatted(name, tensor));
        }
        return tensor.seqLength();
    }

    private void requireTokens(String name, Tensor tensor, int heads) {
        tokensOf(name, tensor);
        tensor.requireContiguous();
        boolean fits = tensor.dtype() == shape.dtype()
                && tensor.batch() == shape.sequences()
                && tensor.heads() == heads
                && tensor.headDim() == shape.headDim();
        if (!fits) {
            throw new IllegalArgumentException("%s is %s: this cache takes %s[%d, %d, tokens, %d]."
                    .formatted(name, tensor, shape.dtype(), shape.sequences(), heads, shape.headDim()));
        }
    }

    private static void requireSame(Tensor k, Tensor v) {
        if (!Arrays.equals(k.shape(), v.shape())) {
            throw new IllegalArgumentException("k is %s and v is %s: they must have the same shape.".formatted(k, v));
        }
    }

    private void requireCounts(String name, int[] counts, int tokens) {
        required(counts, name, "give one number for each sequence, or leave them out for all tokens");
        boolean fits = counts.length == shape.sequences()
                && Arrays.stream(counts).allMatch(count -> count >= 0 && count <= tokens);
        if (!fits) {
            throw new IllegalArgumentException(
                    "%s is %s: there must be %d numbers, one for each sequence, from 0 to the %d tokens that were given."
                            .formatted(name, Arrays.toString(counts), shape.sequences(), tokens));
        }
    }

    private void requireFitting(AttentionOptions options) {
        required(options, "options", "use AttentionOptions.causal()");
        if (options.hasKeyLengths()) {
            throw new IllegalArgumentException(
                    "The options have key lengths, but the cache knows its sequences' lengths: use withoutKeyLengths().");
        }
        if (options.hasDropout()) {
            throw new IllegalArgumentException(
                    "The options have dropout, which caches do not have: use withoutDropout(), or FlashAttention.forward in training.");
        }
        new AttentionShape(
                        shape.sequences(),
                        shape.heads(),
                        shape.kvHeads(),
                        shape.capacity(),
                        shape.capacity(),
                        shape.headDim())
                .requireFitting(options);
    }

    final void requireSequence(int sequence) {
        if (sequence < 0 || sequence >= shape.sequences()) {
            throw new IllegalArgumentException(
                    "There is no sequence %d: this cache has 0 to %d.".formatted(sequence, shape.sequences() - 1));
        }
    }

    final void requireUsable() {
        if (closed) {
            throw new IllegalStateException("This cache is closed: make a new one.");
        }
        if (inGraph) {
            throw inGraph();
        }
    }

    /** The cache is open, and knows its lengths. */
    final void requireCounted() {
        if (closed) {
            throw new IllegalStateException("This cache is closed: make a new one.");
        }
        if (inGraph && !countsInGraph()) {
            throw inGraph();
        }
    }

    private static IllegalStateException inGraph() {
        return new IllegalStateException(
                "This cache is part of a task graph and grows when that is run: make another one for calls.");
    }

    /** Frees all memory on the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            plan.close();
        }
    }

    /** The sizes, the tokens and the device. */
    @Override
    public synchronized String toString() {
        String state = closed ? "closed" : inGraph ? "in a task graph" : "lengths " + Arrays.toString(lengths);
        return "%s[%d sequences, %d/%d heads, %d tokens, %d] of %s%s on %s, %s"
                .formatted(
                        getClass().getSimpleName(),
                        sequences(),
                        heads(),
                        kvHeads(),
                        capacity(),
                        headDim(),
                        dtype(),
                        shape.type().isQuantized() ? " in " + shape.type() : "",
                        device,
                        state);
    }
}
