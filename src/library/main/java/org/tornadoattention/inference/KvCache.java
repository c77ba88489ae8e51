package org.tornadoattention.inference;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.plan.CacheShape;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/**
 * A key-value cache with room for {@code capacity} tokens of each sequence.
 *
 * <pre>{@code
 * try (KvCache cache = KvCache.create(batch, 32, 8, 128, 4096, CacheOptions.of(DType.F16))) {
 *     cache.forward(promptQ, promptK, promptV, AttentionOptions.causal());            // the prompt
 *     AttentionOutput next = cache.forward(q, k, v, AttentionOptions.causal());       // a token
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
     * An empty cache.
     *
     * @param sequences sequences side by side, the batch
     * @param heads query heads, a multiple of {@code kvHeads}
     * @param kvHeads key and value heads
     * @param headDim elements per head
     * @param capacity tokens of a sequence at most
     * @throws IllegalArgumentException if a number is out of range, or the cache larger than an array
     */
    public static KvCache create(
            int sequences, int heads, int kvHeads, int headDim, int capacity, CacheOptions options) {
        CacheShape shape =
                CacheShape.contiguous(sequences, heads, kvHeads, headDim, capacity, options.dtype(), options.fp8());
        return new KvCache(shape, options);
    }

    /**
     * Begins anew: no tokens, and of those that will come, the first {@code padding[i]} of sequence i are left padding,
     * which no query sees. Positions count from the first token after it.
     */
    public synchronized void reset(int... padding) {
        requireOpen();
        int[] newPadding = padding.length == 0 ? same(0) : padding.clone();
        if (newPadding.length != shape().sequences()
                || Arrays.stream(newPadding).anyMatch(count -> count < 0 || count > capacity())) {
            throw new IllegalArgumentException(
                    "Left padding of %s: there must be none, or a number from 0 to %d for each of the %d sequences."
                            .formatted(Arrays.toString(padding), capacity(), shape().sequences()));
        }
        set(same(0), newPadding);
    }

    /**
     * Drops the last tokens of sequences.
     *
     * @param newLengths for each sequence, from 0 to its length
     */
    public synchronized void truncate(int... newLengths) {
        requireOpen();
        int[] lengths = lengths();
        boolean fits = newLengths.length == lengths.length
                && IntStream.range(0, lengths.length)
                        .allMatch(sequence -> newLengths[sequence] >= 0 && newLengths[sequence] <= lengths[sequence]);
        if (!fits) {
            throw new IllegalArgumentException("Lengths %s cannot become %s: each must be from 0 to what it is."
                    .formatted(Arrays.toString(lengths), Arrays.toString(newLengths)));
        }
        set(newLengths, padding());
    }

    /**
     * Appends a decoder's step to a task graph of yours, as tasks whose names begin with {@code name}: the tokens of k and v
     * are appended to every sequence, and q attends. The tensors may be outputs and inputs of your own tasks. The cache must
     * be empty and belongs to the graph from then on; each execution makes it longer, and nothing of it leaves the device.
     * Close the execution plan to free its memory.
     *
     * <p>Run the graph at most {@code capacity} tokens long: what comes after is not cached, and sees only what is.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     * @param output tensor for the output, shaped like q
     * @param logSumExp F32 tensor {@code [sequences, heads, tokens]}
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
    void reserve(int... newTokens) {
        // Each sequence has its room from the beginning.
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
