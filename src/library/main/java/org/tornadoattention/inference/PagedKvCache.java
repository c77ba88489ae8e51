package org.tornadoattention.inference;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import org.tornadoattention.plan.CacheShape;

/**
 * A key-value cache of pages that sequences take as they grow, give back, and share: the pages of a common prefix are kept
 * once, and a sequence that is about to write a page that others read gets a copy of its own.
 *
 * <pre>{@code
 * try (PagedKvCache cache = PagedKvCache.create(64, 32, 8, 128, 16, 4096, 8192, CacheOptions.of(DType.F16))) {
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
     * A cache whose sequences are all empty.
     *
     * @param sequences sequences side by side; empty ones cost next to nothing
     * @param heads query heads, a multiple of {@code kvHeads}
     * @param kvHeads key and value heads
     * @param headDim elements per head
     * @param pageSize tokens of a page, 1 or more
     * @param pages pages that all sequences share
     * @param capacity tokens of a sequence at most
     */
    public static PagedKvCache create(
            int sequences,
            int heads,
            int kvHeads,
            int headDim,
            int pageSize,
            int pages,
            int capacity,
            CacheOptions options) {
        int pagesPerSequence = Math.ceilDiv(capacity, Math.max(1, pageSize));
        CacheShape shape = new CacheShape(
                sequences, heads, kvHeads, headDim, pageSize, pagesPerSequence, pages, options.dtype(), options.fp8());
        return new PagedKvCache(shape, options);
    }

    /**
     * Lets an empty sequence begin with all tokens of another one. No page is copied until one of the two writes it.
     *
     * @throws IllegalArgumentException if {@code to} has tokens: release it first
     */
    public synchronized void fork(int from, int to) {
        requireOpen();
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
        set(lengths, padding());
    }

    /** Empties a sequence and gives back the pages that no other sequence reads. */
    public synchronized void release(int sequence) {
        requireOpen();
        requireSequence(sequence);
        for (int page : tables.get(sequence)) {
            if (--readers[page] == 0) {
                free.addFirst(page);
            }
        }
        tables.get(sequence).clear();
        int[] lengths = lengths();
        lengths[sequence] = 0;
        set(lengths, padding());
    }

    /** Pages that no sequence has. */
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
        return Math.ceilDiv(lengths()[sequence] + newTokens, shape().pageSize())
                - tables.get(sequence).size();
    }

    /** Whether new tokens go to a page that others read too. */
    private boolean mustCopy(int sequence, int newTokens, int... readersNow) {
        return newTokens > 0
                && lengths()[sequence] % shape().pageSize() != 0
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

    /** The pages of a sequence, in order: equal ones are shared. */
    public synchronized int[] pages(int sequence) {
        requireSequence(sequence);
        return Arrays.copyOf(tables()[sequence], tables.get(sequence).size());
    }
}
