package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * How packed tokens divide into sequences, in one array: where each sequence begins among the queries, and the end of
 * the last; the same among the keys; then for each query token its sequence, and for each key token, −1 for those that
 * belong to none.
 */
public final class RaggedLayout {

    private RaggedLayout() {}

    /** Elements of the array. */
    public static int size(int sequences, int queries, int keys) {
        return 2 * (sequences + 1) + queries + keys;
    }

    /** The first query token of a sequence, or of the one after the last the end. */
    public static int queryStart(IntArray layout, int sequence) {
        return layout.get(sequence);
    }

    /** Likewise the first key token. */
    public static int keyStart(IntArray layout, int sequences, int sequence) {
        return layout.get(sequences + 1 + sequence);
    }

    /** The sequence of a query token. */
    public static int ofQuery(IntArray layout, int sequences, int token) {
        return layout.get(2 * (sequences + 1) + token);
    }

    /** The sequence of a key token; the key tokens' sequences are the array's last elements. */
    public static int ofKey(IntArray layout, int keys, int token) {
        return layout.get(layout.getSize() - keys + token);
    }

    /** Fills the array from offsets, for as many sequences and tokens as there is room for. */
    public static void fill(
            IntArray layout, IntArray queryOffsets, IntArray keyOffsets, int sequences, int queries, int keys) {
        int given = queryOffsets.getSize() - 1;
        int firstQuery = 2 * (sequences + 1);
        int firstKey = firstQuery + queries;
        for (int token = firstQuery; token < layout.getSize(); token++) {
            layout.set(token, -1);
        }
        for (int sequence = 0; sequence <= sequences; sequence++) {
            int known = Math.min(sequence, given);
            layout.set(sequence, queryOffsets.get(known));
            layout.set(sequences + 1 + sequence, keyOffsets.get(known));
            if (sequence < given) {
                for (int token = queryOffsets.get(sequence); token < queryOffsets.get(sequence + 1); token++) {
                    layout.set(firstQuery + token, sequence);
                }
                for (int token = keyOffsets.get(sequence); token < keyOffsets.get(sequence + 1); token++) {
                    layout.set(firstKey + token, sequence);
                }
            }
        }
    }
}
