package org.tornadoattention.cache;

import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.decode.CacheShape;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/**
 * A key-value cache with room for {@code capacity} tokens of each sequence.
 *
 * <pre>{@code
 * CacheOptions options = CacheOptions.of(DType.F16);
 * try (KvCache cache = KvCache.builder().batch(2).heads(32, 8).headDim(128).capacity(4096).options(options).build()) {
 *     cache.forward(promptQ, promptK, promptV, AttentionOptions.causal());            // the prompt
 *     AttentionResult next = cache.forward(q, k, v, AttentionOptions.causal());       // a token
 * }
 * }</pre>
 */
public final class KvCache extends KeyValueCache {

    private final int[][] tables;

    private KvCache(CacheShape shape, CacheOptions options) {
        super(shape, options);
        tables = IntStream.range(0, shape.sequences())
                .mapToObj(sequence -> new int[] {sequence})
                .toArray(int[][]::new);
        set(new int[shape.sequences()], new int[shape.sequences()]);
    }

    /**
     * Begins to give the sizes of a cache.
     *
     * @return a builder without any
     */
    public static Builder builder() {
        return new Builder();
    }

    /** The sizes of a cache, each by its name. */
    public static final class Builder extends KeyValueCache.Builder<Builder, KvCache> {

        private int batch;

        private Builder() {}

        @Override
        Builder self() {
            return this;
        }

        /**
         * The sequences side by side.
         *
         * @param sequences 1 or more
         * @return this builder
         */
        public Builder batch(int sequences) {
            batch = sequences;
            return this;
        }

        @Override
        public KvCache build() {
            requirePositive("batch", batch);
            CacheOptions how = requireComplete();
            return new KvCache(
                    CacheShape.contiguous(batch, heads, kvHeads, headDim, capacity, how.dtype(), how.cacheType()), how);
        }
    }

    /**
     * Appends a decoder's step to a task graph of the caller's, as tasks whose names begin with {@code name}: the
     * tokens of k and v are appended to every sequence, and q attends. The tensors may be outputs and inputs of the
     * caller's own tasks. The cache must be empty and belongs to the graph from then on; each execution makes it
     * longer, and nothing of it leaves the device. Close the execution plan to free its memory.
     *
     * <p>Run the graph at most {@code capacity} tokens long: what comes after is not cached, and sees only what is.
     *
     * @param graph graph to append to, before its {@code snapshot()}; refused afterwards
     * @param grids gets the grids of the tasks
     * @param name beginning of the tasks' names, unique in the graph
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     * @param output tensor for the output, shaped like q; it overlaps no other
     * @param logSumExp F32 tensor {@code [sequences, heads, tokens]}; it overlaps no other
     * @param options mask, scale, softcap and ALiBi; neither key lengths, which the cache knows, nor dropout
     * @throws IllegalArgumentException if shapes, types or options do not fit, or a tensor that is written overlaps
     *     another
     * @throws IllegalStateException if the cache is closed, holds tokens, or is part of a task graph already
     * @throws UnsupportedOnDeviceException if the device cannot read F16 arrays
     */
    public synchronized void appendTo(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options) {
        appendStepTo(graph, grids, name, q, k, v, output, logSumExp, options);
    }

    @Override
    boolean countsInGraph() {
        return false;
    }

    @Override
    void reserve(int... newTokens) {
        // Each sequence has its room from the beginning.
    }

    @Override
    void shrink(int... newLengths) {
        // Each sequence keeps its room to the end.
    }

    @Override
    int[][] tables() {
        return tables;
    }

    @Override
    void movePages() {
        // The pages never change.
    }
}
