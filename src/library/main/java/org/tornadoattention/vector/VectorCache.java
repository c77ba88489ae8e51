package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Keys and values of sequences in pages, and attention over them, on the JVM's vector units. */
public final class VectorCache {

    /** New elements below which one thread appends them all. */
    private static final int FEW = 1 << 15;

    /**
     * Bytes in place of the tokens' type.
     *
     * @param coding what a byte is
     * @param scales {@code [pages, kvHeads, 2]}, for keys and values
     */
    public record Quantized(ByteCoding coding, FloatArray scales) {}

    /**
     * Where a cache keeps its tokens.
     *
     * @param heads query heads
     * @param kvHeads key and value heads
     * @param headDim elements of a head
     * @param pageSize tokens of a page
     * @param stride elements from one row of keys or values to the next
     * @param dtype of tokens, and of keys and values unless they are quantised
     * @param key {@code [pages, kvHeads, pageSize, stride]}
     * @param value shaped like the keys
     * @param quantized what the bytes of keys and values are, where they are quantised
     */
    public record Memory(
            int heads,
            int kvHeads,
            int headDim,
            int pageSize,
            int stride,
            DType dtype,
            MemorySegment key,
            MemorySegment value,
            Optional<Quantized> quantized) {

        private CachedRows rows(boolean values) {
            MemorySegment memory = values ? value : key;
            return quantized
                    .<CachedRows>map(
                            of -> new QuantizedRows(memory, stride, headDim, of.coding(), of.scales(), values ? 1 : 0))
                    .orElseGet(() -> new PlainRows(new StoredRows(memory, dtype, stride, headDim)));
        }
    }

    private final Workers workers;
    private final Memory memory;
    private final Rotation rotation;
    private final int splits;
    private final CachedRows keys;
    private final CachedRows values;

    /** @param splits parts of the keys, or 0 for parts of a size that many threads can share */
    public VectorCache(Workers workers, Memory memory, Rotation rotation, int splits) {
        this.workers = workers;
        this.memory = memory;
        this.rotation = rotation;
        this.splits = splits;
        keys = memory.rows(false);
        values = memory.rows(true);
    }

    /** Room of a thread that appends. */
    private record Rows(float[] row, short[] bits) {}

    /**
     * Appends tokens behind those that are there, whose pages there are.
     *
     * @param k {@code [sequences, kvHeads, tokens, headDim]}
     * @param v shaped like k
     * @param newTokens of each sequence, how many of its tokens in k and v are appended
     * @param lengths tokens of each sequence before
     * @param padding of them, how many from the first on are padding
     * @param tables pages of each sequence, in order
     */
    public void append(Tensor k, Tensor v, int[] newTokens, int[] lengths, int[] padding, int[][] tables) {
        PageTables pages = new PageTables(memory.kvHeads(), memory.pageSize(), tables, padding);
        int[] positions = new int[lengths.length];
        Arrays.setAll(positions, sequence -> lengths[sequence] - padding[sequence]);
        RowSource newKeys = new TurnedRows(HeadRows.of(k), rotation, positions);
        RowSource newValues = HeadRows.of(v);
        int heads = lengths.length * memory.kvHeads();
        int most = Math.min(memory.pageSize(), Arrays.stream(newTokens).max().orElse(0));
        int tasks = (long) IntStream.of(newTokens).sum() * memory.kvHeads() * memory.headDim() < FEW ? 1 : heads;
        workers.run(
                tasks,
                () -> new Rows(
                        new float[Math.multiplyExact(most, memory.headDim())],
                        new short[Math.multiplyExact(most, memory.headDim())]),
                (task, rows) -> {
                    for (int head = task; head < heads; head += tasks) {
                        int sequence = head / memory.kvHeads();
                        int kvHead = head % memory.kvHeads();
                        append(newKeys, keys, pages, sequence, kvHead, lengths[sequence], newTokens[sequence], rows);
                        append(
                                newValues,
                                values,
                                pages,
                                sequence,
                                kvHead,
                                lengths[sequence],
                                newTokens[sequence],
                                rows);
                    }
                });
    }

    private void append(
            RowSource from, CachedRows to, PageTables pages, int sequence, int head, int length, int count, Rows rows) {
        Lanes lanes = LaneChoice.best();
        for (int done = 0; done < count; ) {
            int token = length + done;
            int together = pages.together(token, count - done);
            from.read(sequence, head, done, together, rows.row, 0, memory.headDim(), rows.bits, lanes);
            to.write(
                    pages.row(sequence, head, token),
                    pages.pageHead(sequence, head, token),
                    token % memory.pageSize(),
                    together,
                    rows.row,
                    rows.bits,
                    lanes);
            done += together;
        }
    }

    /**
     * Lets queries attend to all that is there; they stand on the last tokens of their sequences.
     *
     * @param q {@code [sequences, heads, tokens, headDim]}
     * @param queries of each sequence, how many of its tokens in q attend, from the first on
     * @param lengths tokens of each sequence, as {@link #append} has them
     * @param output gets the output of the queries, shaped like q
     * @param logSumExp gets their log-sum-exp
     * @return what it took
     */
    public VectorRun attend(
            AttentionOptions options,
            Tensor q,
            int[] queries,
            int[] lengths,
            int[] padding,
            int[][] tables,
            Tensor output,
            Tensor logSumExp) {
        PageTables pages = new PageTables(memory.kvHeads(), memory.pageSize(), tables, padding);
        int[] seen = new int[lengths.length];
        int[] positions = new int[lengths.length];
        for (int sequence = 0; sequence < lengths.length; sequence++) {
            seen[sequence] = Math.max(0, lengths[sequence] - padding[sequence]);
            positions[sequence] = lengths[sequence] - padding[sequence] - queries[sequence];
        }
        return VectorForward.runCached(
                workers,
                options,
                sequences(queries, seen),
                splits,
                new TurnedRows(HeadRows.of(q), rotation, positions),
                new PageRows(pages, keys),
                new PageRows(pages, values),
                HeadRows.of(output),
                HeadRows.ofScalars(logSumExp));
    }

    private Sequences sequences(int[] queries, int[] seen) {
        return new Sequences(memory.heads(), memory.kvHeads(), memory.headDim(), memory.headDim(), queries, seen, true);
    }

    /** How steps are divided where each of so many sequences has so many queries and keys. */
    public VectorDivision division(int count, int queries, int seen) {
        int[] ofEach = new int[count];
        Arrays.fill(ofEach, queries);
        int[] keysOfEach = new int[count];
        Arrays.fill(keysOfEach, seen);
        return VectorForward.division(workers, sequences(ofEach, keysOfEach), splits);
    }
}
