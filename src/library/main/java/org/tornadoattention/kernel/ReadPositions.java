package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The first kernel of attention over a pool of a caller's: reads, on the device, where the queries of each sequence
 * stand now, and makes them and their page table ready for {@link SplitKeyAttention} or
 * {@link WarpGroupFlashAttention}.
 *
 * <p><b>Arrays.</b> newQuery {@code [batch, heads, seqQ, headDim]}, whose rows {@link Layout} finds; query
 * {@code [batch, seqQ, heads, headDim]}, F32 or what the keys are, gets the valid ones times the scale. positions
 * {@code [batch]}: the key position of each sequence's first query; validRows {@code [batch]}: queries that count, 0 to
 * seqQ; keyLengths {@code [batch]}: keys; blockTable {@code [batch, pagesPerSequence]}: pages of each sequence in
 * order; prefixLength {@code [1]}: keys of a prefix that all sequences share. sequences and step, all of which is
 * written, are those of {@link StepLayout}; numbers has the scale.
 *
 * <p><b>Grid.</b> One dimension, a work-item for each element of query and each page of a table, whichever are more. No
 * local memory. <b>Device.</b> Any.
 */
public final class ReadPositions {

    /** Of {@code given}: there are validRows, otherwise all seqQ count. */
    public static final int ROWS = 1;

    /** There are keyLengths, otherwise the last valid query stands on the last key. */
    public static final int LENGTHS = 2;

    /** There is a blockTable, otherwise each sequence has the page of its number. */
    public static final int TABLE = 4;

    /**
     * The first prefixLength[0] keys of all sequences are another launch's, and positions here count from their end.
     */
    public static final int PREFIX = 8;

    /** Queries are another launch's. */
    public static final int KEYS_ONLY = 16;

    private ReadPositions() {}

    /**
     * Does one element and one page; see the class for arrays and grid.
     *
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param alibi 1 if there are slopes
     * @param given which arrays are there and what is done, {@code ROWS}, {@code LENGTHS}, {@code TABLE},
     *     {@code PREFIX} and {@code KEYS_ONLY} added
     * @param features how raw bits are to be read
     */
    public static void read(
            KernelContext context,
            @Element FloatArray newQuery,
            @Element("queries") FloatArray query,
            IntArray sequences,
            IntArray step,
            FloatArray numbers,
            IntArray positions,
            IntArray validRows,
            IntArray keyLengths,
            IntArray blockTable,
            IntArray prefixLength,
            int heads,
            int headDim,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            @Constant int windowLeft,
            @Constant int windowRight,
            @Constant int alibi,
            @Constant int given,
            int features) {
        int item = context.globalIdx;
        int batch = StepLayout.batch(step);
        if (item == 0) {
            StepLayout.setHeader(step, windowLeft, windowRight, alibi);
        }
        int token = item / headDim / heads;
        int ofQuery = token / seqQ;
        int withQueries = (given & KEYS_ONLY) != 0 ? 0 : batch;
        if (ofQuery < withQueries) {
            int i = token % seqQ;
            if (i < rows(validRows, ofQuery, seqQ, given)) {
                int head = item / headDim % heads;
                float q = load(newQuery, Layout.query(ofQuery, head, i) + item % headDim, features);
                store(query, item, StepLayout.scale(numbers) * q, features);
            }
            // The prefix is attended to by all rows, since one sequence of it has the queries of all.
            if ((given & PREFIX) != 0 && i >= rows(validRows, ofQuery, seqQ, given)) {
                store(query, item, 0f, features);
            }
        }
        int sequence = item / pagesPerSequence;
        if (sequence < batch) {
            int place = item % pagesPerSequence;
            int rows = rows(validRows, sequence, seqQ, given);
            int position = positions.get(sequence);
            int length = position + rows;
            if ((given & LENGTHS) != 0) {
                length = keyLengths.get(sequence);
            }
            if ((given & PREFIX) != 0) {
                position -= prefixLength.get(0);
                length -= prefixLength.get(0);
            }
            length = TornadoMath.max(0, TornadoMath.min(length, pageSize * pagesPerSequence));
            int state = StepLayout.state(sequence, pagesPerSequence);
            if (place == 0) {
                StepLayout.setLength(sequences, state, length);
                StepLayout.setQueries(step, sequence, sequence * seqQ, rows, length - position - rows);
            }
            int page = sequence;
            if ((given & TABLE) != 0) {
                page = 0;
                // What stands past the last key may be anything.
                if (place * pageSize < length) {
                    page = blockTable.get(item);
                }
            }
            sequences.set(StepLayout.table(state) + place, page);
        }
    }

    /** Queries of a sequence that count. */
    static int rows(IntArray validRows, int sequence, int seqQ, int given) {
        int rows = seqQ;
        if ((given & ROWS) != 0) {
            rows = TornadoMath.max(0, TornadoMath.min(validRows.get(sequence), seqQ));
        }
        return rows;
    }
}
