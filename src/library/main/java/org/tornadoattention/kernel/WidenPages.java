package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.first;
import static org.tornadoattention.kernel.parts.Storage.second;
import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.Layout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Writes the keys and values of sequences, which are bytes in pages with a scale for each head of each page, one behind
 * the other in a type that tensor cores multiply: so that a chunk of many queries decodes each once, and not once for
 * each tile of queries.
 *
 * <p><b>Arrays.</b> key, value: pages {@code [pages, kvHeads, pageSize, headDim]}, whose rows {@link Layout} finds;
 * scales {@code [pages, kvHeads, 2]}, for keys and values; wideKey, wideValue {@code [batch, kvHeads, pageSize *
 * pagesPerSequence, headDim]}, of which rows past a sequence's keys are left as they are. positions, validRows,
 * keyLengths and blockTable are those of {@link ReadPositions}.
 *
 * <p><b>Grid.</b> One dimension, a work-item for each pair of elements of wideKey. No local memory. <b>Device.</b> Any.
 */
public final class WidenPages {

    private WidenPages() {}

    /**
     * Does two elements of a key and of a value; see the class for arrays and grid.
     *
     * @param headDim elements of a head, even
     * @param seqQ queries of a sequence
     * @param given which arrays are there, as {@link ReadPositions} has it
     * @param features how raw bits are to be written
     */
    public static void widen(
            KernelContext context,
            ByteArray key,
            ByteArray value,
            FloatArray scales,
            @Element FloatArray wideKey,
            @Element FloatArray wideValue,
            IntArray positions,
            IntArray validRows,
            IntArray keyLengths,
            IntArray blockTable,
            int kvHeads,
            int headDim,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            @Constant int given,
            int features) {
        int pairs = headDim / 2;
        int capacity = pageSize * pagesPerSequence;
        int to = context.globalIdx * 2;
        int x = context.globalIdx % pairs * 2;
        int j = context.globalIdx / pairs % capacity;
        int kvHead = context.globalIdx / pairs / capacity % kvHeads;
        int sequence = context.globalIdx / pairs / capacity / kvHeads;
        if (to < wideKey.getSize()) {
            int length = positions.get(sequence) + ReadPositions.rows(validRows, sequence, seqQ, given);
            if ((given & ReadPositions.LENGTHS) != 0) {
                length = keyLengths.get(sequence);
            }
            if (j < TornadoMath.min(length, capacity)) {
                int page = sequence;
                if ((given & ReadPositions.TABLE) != 0) {
                    page = blockTable.get(sequence * pagesPerSequence + j / pageSize);
                }
                int keyAt = Layout.key(page, kvHead, j % pageSize) + x;
                int valueAt = Layout.value(page, kvHead, j % pageSize) + x;
                float keyScale = scales.get((page * kvHeads + kvHead) * 2);
                float valueScale = scales.get((page * kvHeads + kvHead) * 2 + 1);
                store(wideKey, to, keyScale * first(key, keyAt, features), features);
                store(wideKey, to + 1, keyScale * second(key, keyAt, features), features);
                store(wideValue, to, valueScale * first(value, valueAt, features), features);
                store(wideValue, to + 1, valueScale * second(value, valueAt, features), features);
            }
        }
    }
}
