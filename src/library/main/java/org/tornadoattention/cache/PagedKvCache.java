package org.tornadoattention.cache;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.CacheFullException;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.decode.CacheShape;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/**
 * A key-value cache of pages that sequences take as they grow, give back, and share: the pages of a common prefix are
 * kept once, and a sequence that is about to write a page that others read gets a copy of its own.
 *
 * <pre>{@code
 * PagedKvCache.Builder sizes = PagedKvCache.builder().sequences(64).heads(32, 8).headDim(128).capacity(8192)
 *         .pageSize(16).pages(4096).options(CacheOptions.of(DType.F16));
 * try (PagedKvCache cache = sizes.build()) {
 *     cache.append(systemPromptK, systemPromptV, lengths);     // sequence 0 only: lengths = {n, 0, 0, …}
 *     cache.fork(0, 1);                                        // sequence 1 begins with the same prefix
 *     cache.forward(q, k, v, AttentionOptions.causal(), 1, 1, 0, …);
 *     cache.release(1);
 * }
 * }</pre>
 */
public final class PagedKvCache extends KeyValueCache {

    private final Deque<Integer> free = new ArrayDeque<>();
    private final int[] readers;
    private final List<List<Integer>> tables = new ArrayList<>();
    private final List<int[]> copies = new ArrayList<>();
    private final List<int[]> changes = new ArrayList<>();

    private PagedKvCache(CacheShape shape, CacheOptions options) {
        super(shape, options);
        readers = new int[shape.pages()];
        for (int page = 0; page < shape.pages(); page++) {
            free.add(page);
        }
        for (int sequence = 0; sequence < shape.sequences(); sequence++) {
            tables.add(new ArrayList<>());
        }
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
    public static final class Builder extends KeyValueCache.Builder<Builder, PagedKvCache> {

        private int sequences;
        private int pageSize;
        private int pages;

        private Builder() {}

        @Override
        Builder self() {
            return this;
        }

        /**
         * The sequences side by side; empty ones cost next to nothing.
         *
         * @param count 1 or more
         * @return this builder
         */
        public Builder sequences(int count) {
            sequences = count;
            return this;
        }

        /**
         * The tokens of a page. The capacity of a sequence is rounded up to whole pages.
         *
         * @param tokens 1 or more
         * @return this builder
         */
        public Builder pageSize(int tokens) {
            pageSize = tokens;
            return this;
        }

        /**
         * The pages that all sequences share.
         *
         * @param count 1 or more
         * @return this builder
         */
        public Builder pages(int count) {
            pages = count;
            return this;
        }

        @Override
        public PagedKvCache build() {
            requirePositive("sequences", sequences);
            requirePositive("pageSize", pageSize);
            requirePositive("pages", pages);
            CacheOptions how = requireComplete();
            CacheShape shape = new CacheShape(
                    sequences,
                    heads,
                    kvHeads,
                    headDim,
                    pageSize,
                    Math.ceilDiv(capacity, pageSize),
                    pages,
                    how.dtype(),
                    how.cacheType());
            return new PagedKvCache(shape, how);
        }
    }

    /**
     * Appends a decoder's step to a task graph of the caller's, as {@link KvCache#appendTo} does. The cache must be
     * empty and belongs to the graph from then on. Before each execution {@link #next} says how many tokens each
     * sequence gets; between executions sequences may be forked, released and truncated as ever, and pages are copied
     * on the device where that is needed.
     *
     * @param graph graph to append to, before its {@code snapshot()}; refused afterwards
     * @param grids gets the grids of the tasks
     * @param name beginning of the tasks' names, unique in the graph
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     * @param output tensor for the output, shaped like q; it overlaps no other. Rows of tokens that do not count are
     *     not written
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

    /**
     * Takes pages for the next execution of the graph that this cache is part of, which must follow, and tells it how
     * many tokens count: of sequence i the first {@code newTokens[i]} of q, k and v. Nothing is compiled or allocated.
     *
     * @param newTokens for each sequence 0 or more, at most the tokens of the graph's tensors
     * @throws IllegalArgumentException if there are other numbers
     * @throws CacheFullException if a sequence, or the cache, has no room; all sequences are as they were then
     * @throws IllegalStateException if the cache is closed or part of no task graph
     */
    public synchronized void next(int... newTokens) {
        nextInGraph(
                () -> {
                    List<int[]> now = List.copyOf(copies);
                    copies.clear();
                    changes.clear();
                    return now;
                },
                newTokens);
    }

    @Override
    boolean countsInGraph() {
        return true;
    }

    /**
     * Lets an empty sequence begin with all tokens of another one. No page is copied until one of the two writes it.
     *
     * @param from the sequence whose tokens are shared, from 0
     * @param to an empty sequence, from 0
     * @throws IllegalArgumentException if there is no such sequence, or {@code to} has tokens: release it first
     * @throws IllegalStateException if the cache is closed
     */
    public synchronized void fork(int from, int to) {
        requireCounted();
        requireSequence(from);
        requireSequence(to);
        int[] lengths = lengths();
        if (lengths[to] != 0) {
            throw new IllegalArgumentException(
                    "Sequence %d has %,d tokens: release it before another is forked into it."
                            .formatted(to, lengths[to]));
        }
        tables.get(to).addAll(tables.get(from));
        tables.get(from).forEach(page -> readers[page]++);
        lengths[to] = lengths[from];
        int[] padding = padding();
        padding[to] = padding[from];
        set(lengths, padding);
    }

    /**
     * Empties a sequence and gives back the pages that no other sequence reads.
     *
     * @param sequence which one, from 0
     * @throws IllegalArgumentException if there is no such sequence
     * @throws IllegalStateException if the cache is closed
     */
    public synchronized void release(int sequence) {
        requireCounted();
        requireSequence(sequence);
        int[] lengths = lengths();
        lengths[sequence] = 0;
        int[] padding = padding();
        padding[sequence] = 0;
        shrink(lengths);
        set(lengths, padding);
    }

    @Override
    void shrink(int... newLengths) {
        for (int sequence = 0; sequence < newLengths.length; sequence++) {
            List<Integer> table = tables.get(sequence);
            int kept = Math.ceilDiv(newLengths[sequence], shape().pageSize());
            while (table.size() > kept) {
                int page = table.removeLast();
                if (--readers[page] == 0) {
                    free.addFirst(page);
                }
            }
        }
    }

    /**
     * Pages that no sequence has.
     *
     * @return from 0 to all of them
     */
    public synchronized int freePages() {
        return free.size();
    }

    @Override
    void reserve(int... newTokens) {
        int wanted = 0;
        int[] readersThen = readers.clone();
        for (int sequence = 0; sequence < newTokens.length; sequence++) {
            wanted += pagesMissing(sequence, newTokens[sequence]);
            if (mustCopy(sequence, newTokens[sequence], readersThen)) {
                readersThen[tables.get(sequence).getLast()]--;
                wanted++;
            }
        }
        if (wanted > free.size()) {
            throw new CacheFullException(
                    "The new tokens need %,d pages, and %,d of %,d are free: release sequences, or make a cache with more pages. No sequence was changed."
                            .formatted(wanted, free.size(), readers.length));
        }
        for (int sequence = 0; sequence < newTokens.length; sequence++) {
            List<Integer> table = tables.get(sequence);
            if (mustCopy(sequence, newTokens[sequence], readers)) {
                int shared = table.removeLast();
                readers[shared]--;
                take(sequence);
                copies.add(new int[] {shared, table.getLast()});
            }
            for (int missing = pagesMissing(sequence, newTokens[sequence]); missing > 0; missing--) {
                take(sequence);
            }
        }
    }

    private int pagesMissing(int sequence, int newTokens) {
        return Math.ceilDiv(length(sequence) + newTokens, shape().pageSize())
                - tables.get(sequence).size();
    }

    /** Whether new tokens go to a page that others read too. */
    private boolean mustCopy(int sequence, int newTokens, int... readersNow) {
        return newTokens > 0
                && length(sequence) % shape().pageSize() != 0
                && readersNow[tables.get(sequence).getLast()] > 1;
    }

    private void take(int sequence) {
        int page = free.removeFirst();
        readers[page] = 1;
        changes.add(new int[] {sequence, tables.get(sequence).size(), page});
        tables.get(sequence).add(page);
    }

    @Override
    int[][] tables() {
        return tables.stream()
                .map(table -> table.stream().mapToInt(Integer::intValue).toArray())
                .toArray(int[][]::new);
    }

    @Override
    void movePages() {
        int most = plan().movesAtOnce();
        while (!copies.isEmpty() || !changes.isEmpty()) {
            List<int[]> someCopies = copies.subList(0, Math.min(most, copies.size()));
            List<int[]> someChanges = changes.subList(0, Math.min(most - someCopies.size(), changes.size()));
            plan().move(someCopies, someChanges);
            someCopies.clear();
            someChanges.clear();
        }
    }

    /**
     * The pages of a sequence, in order: those that stand in two sequences are shared.
     *
     * @param sequence which one, from 0
     * @return the numbers of its pages
     * @throws IllegalArgumentException if there is no such sequence
     */
    public synchronized int[] pages(int sequence) {
        requireSequence(sequence);
        return Arrays.copyOf(tables()[sequence], tables.get(sequence).size());
    }
}
