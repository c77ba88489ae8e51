package org.tornadoattention.inference;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.plan.CachePlan;
import org.tornadoattention.plan.CacheShape;
import org.tornadoattention.plan.SplitTile;
import org.tornadoattention.plan.StepReport;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Keys and values of sequences on the device, that grow token by token: what {@link KvCache} and {@link PagedKvCache} have
 * in common.
 *
 * <p>Keys, values and lengths stay on the device. A step brings the new tokens there and the output back, and, however long
 * the sequences have grown, compiles nothing and allocates nothing. Masks are those of {@link AttentionOptions}, aligned
 * to each sequence's own end.
 *
 * <p>An instance may be shared by threads; calls run one after another.
 */
public abstract sealed class KeyValueCache implements AutoCloseable permits KvCache, PagedKvCache {

    private final CacheShape shape;
    private final ComputeDevice device;
    private final CachePlan plan;
    private final int[] lengths;
    private final int[] padding;
    private boolean stale = true;
    private boolean inGraph;
    private boolean closed;

    KeyValueCache(CacheShape shape, CacheOptions options) {
        this.shape = shape;
        device = options.device().orElseGet(Devices::best);
        Optional<RotaryEmbedding> rotary = options.rotary();
        int rotaryDim = rotary.map(RotaryEmbedding::dimensions).orElse(0);
        if (rotaryDim > shape.headDim()) {
            throw new IllegalArgumentException(
                    "The rotary embedding turns %d dimensions of heads that have %d: turn fewer."
                            .formatted(rotaryDim, shape.headDim()));
        }
        int prompt = Math.min(options.promptTokens(), shape.capacity());
        plan = new CachePlan(
                shape,
                device,
                IntStream.of(1, prompt).distinct().toArray(),
                options.kernel(),
                options.splits(),
                rotary.map(embedding -> embedding.table(shape.capacity())).orElseGet(() -> new FloatArray(1)),
                rotaryDim,
                rotary.stream().anyMatch(embedding -> embedding.style() == RotaryEmbedding.Style.INTERLEAVED),
                options.cudaGraph());
        lengths = new int[shape.sequences()];
        padding = new int[shape.sequences()];
    }

    /**
     * Appends the same number of tokens to every sequence.
     *
     * @param k keys {@code [sequences, kvHeads, tokens, headDim]}
     * @param v values, shaped like the keys
     * @throws IllegalArgumentException if shapes or types do not fit
     * @throws CacheFullException if a sequence, or the cache, has no room; all sequences are as they were then
     * @throws IllegalStateException if the cache is closed
     */
    public synchronized void append(Tensor k, Tensor v) {
        append(k, v, same(tokensOf("k", k)));
    }

    /**
     * Appends tokens, to each sequence its own number: the first {@code newTokens[i]} of those that k and v have for it.
     *
     * @param newTokens for each sequence 0 or more, at most what k and v have
     */
    public synchronized void append(Tensor k, Tensor v, int... newTokens) {
        requireOpen();
        requireTokens("k", k, shape.kvHeads());
        requireTokens("v", v, shape.kvHeads());
        requireSame(k, v);
        requireCounts("new tokens", newTokens, k.seqLength());
        execute(newTokens, new int[shape.sequences()], null, k, v, AttentionOptions.defaults());
    }

    /**
     * Attention of queries over all that is cached. The queries of a sequence stand on its last tokens.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param options mask, scale, softcap and ALiBi; lengths are the cache's own
     */
    public synchronized AttentionOutput forward(Tensor q, AttentionOptions options) {
        return forward(q, options, same(tokensOf("q", q)));
    }

    /** {@link #forward(Tensor, AttentionOptions)} of the first {@code queries[i]} queries of each sequence; others give 0. */
    public synchronized AttentionOutput forward(Tensor q, AttentionOptions options, int... queries) {
        requireOpen();
        requireTokens("q", q, shape.heads());
        requireCounts("queries", queries, q.seqLength());
        return execute(new int[shape.sequences()], queries, q, null, null, options);
    }

    /**
     * Appends tokens and lets their queries attend to all that is cached then: a step of a decoder, in one execution.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     */
    public synchronized AttentionOutput forward(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        return forward(q, k, v, options, same(tokensOf("q", q)));
    }

    /**
     * {@link #forward(Tensor, Tensor, Tensor, AttentionOptions)} of the first {@code tokens[i]} tokens of each sequence;
     * others are not appended, and their output is 0.
     */
    public synchronized AttentionOutput forward(Tensor q, Tensor k, Tensor v, AttentionOptions options, int... tokens) {
        requireOpen();
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
        return execute(tokens, tokens, q, k, v, options);
    }

    private AttentionOutput execute(
            int[] newTokens, int[] queries, Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        requireFitting(options);
        for (int sequence = 0; sequence < newTokens.length; sequence++) {
            int now = lengths[sequence] + newTokens[sequence];
            if (now > shape.capacity()) {
                throw new CacheFullException(
                        "Sequence %d has %,d tokens, and %,d more do not fit its capacity of %,d: make a larger cache, or drop old tokens with truncate or release."
                                .formatted(sequence, lengths[sequence], newTokens[sequence], shape.capacity()));
            }
        }
        reserve(newTokens);
        AttentionOutput result = null;
        if (q != null) {
            result = new AttentionOutput(
                    Tensor.allocate(shape.dtype(), q.shape()),
                    Tensor.allocate(DType.F32, q.batch(), q.heads(), q.seqLength()));
            result.logSumExp().fill(Float.NEGATIVE_INFINITY);
        }
        if (Arrays.stream(newTokens).anyMatch(count -> count > 0)
                || Arrays.stream(queries).anyMatch(count -> count > 0)) {
            if (stale) {
                plan.upload(lengths, padding, tables());
                stale = false;
            }
            movePages();
            plan.call(
                    newTokens,
                    queries,
                    q,
                    k,
                    v,
                    options,
                    q == null ? null : result.output(),
                    q == null ? null : result.logSumExp());
            for (int sequence = 0; sequence < newTokens.length; sequence++) {
                lengths[sequence] += newTokens[sequence];
            }
        }
        return result;
    }

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

    /** The tokens of each sequence, left padding included. */
    public synchronized int[] lengths() {
        return lengths.clone();
    }

    final int[] padding() {
        return padding.clone();
    }

    /** The tokens that a sequence may have at most. */
    public int capacity() {
        return shape.capacity();
    }

    /** The sizes. */
    public CacheShape shape() {
        return shape;
    }

    /** Where the cache lives. */
    public ComputeDevice device() {
        return device;
    }

    /** How steps of so many tokens a sequence are divided among the device's groups. */
    public SplitTile tile(int tokens) {
        return plan.tile(Math.min(tokens, plan.largestStep()));
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
        requireOpen();
        requireTokens("q", q, shape.heads());
        requireTokens("k", k, shape.kvHeads());
        requireTokens("v", v, shape.kvHeads());
        requireTokens("output", output, shape.heads());
        requireSame(k, v);
        requireFitting(options);
        int tokens = q.seqLength();
        boolean fits = k.seqLength() == tokens
                && output.seqLength() == tokens
                && logSumExp.dtype() == DType.F32
                && Arrays.equals(logSumExp.shape(), new int[] {shape.sequences(), shape.heads(), tokens});
        if (!fits) {
            throw new IllegalArgumentException(
                    "q is %s, k %s, output %s and log-sum-exp %s: they must have as many tokens."
                            .formatted(q, k, output, logSumExp));
        }
        if (Arrays.stream(lengths).anyMatch(length -> length > 0)) {
            throw new IllegalStateException(
                    "The cache holds %s tokens: a task graph takes empty ones.".formatted(Arrays.toString(lengths)));
        }
        plan.appendTo(graph, grids, name, padding, tables(), q, k, v, output, logSumExp, options);
        inGraph = true;
    }

    /** Whether reports have the device's times, which takes time in each step; at first they do not. */
    public synchronized void profile(boolean on) {
        plan.profile(on);
    }

    /** All that this cache did on the device so far. */
    public synchronized StepReport report() {
        return plan.total();
    }

    /** Bytes of all arrays of the last step on the device, keys and values among them. */
    public synchronized long deviceBytes() {
        return plan.deviceBytes();
    }

    /** Bytes of keys and values on the device. */
    public long bytes() {
        return plan.cacheBytes();
    }

    /** A copy of a sequence's keys, {@code [1, kvHeads, length, headDim]}, turned by the rotary embedding if there is one. */
    public synchronized Tensor keys(int sequence) {
        return read(false, sequence);
    }

    /** A copy of a sequence's values, {@code [1, kvHeads, length, headDim]}. */
    public synchronized Tensor values(int sequence) {
        return read(true, sequence);
    }

    private Tensor read(boolean values, int sequence) {
        requireOpen();
        requireSequence(sequence);
        return plan.read(values, sequence, lengths, padding, tables());
    }

    final CachePlan plan() {
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

    private void requireCounts(String what, int[] counts, int tokens) {
        boolean fits = counts.length == shape.sequences()
                && Arrays.stream(counts).allMatch(count -> count >= 0 && count <= tokens);
        if (!fits) {
            throw new IllegalArgumentException(
                    "The numbers of %s are %s: there must be %d, one for each sequence, from 0 to the %d that were given."
                            .formatted(what, Arrays.toString(counts), shape.sequences(), tokens));
        }
    }

    private void requireFitting(AttentionOptions options) {
        if (options == null) {
            throw new IllegalArgumentException("The options are null: use AttentionOptions.causal().");
        }
        if (options.hasKeyLengths()) {
            throw new IllegalArgumentException(
                    "The options have key lengths, but the cache knows its sequences' lengths: use withoutKeyLengths().");
        }
        new AttentionShape(shape.sequences(), shape.heads(), shape.kvHeads(), 1, 1, shape.headDim())
                .requireFitting(options);
    }

    final void requireSequence(int sequence) {
        if (sequence < 0 || sequence >= shape.sequences()) {
            throw new IllegalArgumentException(
                    "There is no sequence %d: this cache has 0 to %d.".formatted(sequence, shape.sequences() - 1));
        }
    }

    final void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This cache is closed: make a new one.");
        }
        if (inGraph) {
            throw new IllegalStateException(
                    "This cache is part of a task graph and grows when that is run: make another one for calls.");
        }
    }

    /** Frees all memory on the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            plan.close();
        }
    }
}
