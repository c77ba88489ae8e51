package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.first;
import static org.tornadoattention.kernel.parts.Storage.second;
import static org.tornadoattention.kernel.parts.Storage.storePair;

import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Writes the keys and values of the sequences that a step has queries of, which are bytes in a cache of 8 bits, to the
 * same places of one that tensor cores multiply: {@link WidenPages} for the library's own caches.
 *
 * <p><b>Arrays.</b> cachedKey, cachedValue and scales as {@link QuantizeTokens} has them, after it; wideKey, wideValue:
 * pages {@code [pages, kvHeads, pageSize, headDim]}, of which rows that no sequence has are left as they are; sequences
 * and step as {@link SplitKeyAttention} has them.
 *
 * <p><b>Grid.</b> One dimension, a work-item for each pair of elements of {@code [batch, kvHeads, pageSize *
 * pagesPerSequence, headDim]}. No local memory. <b>Device.</b> Any.
 */
public final class WidenCache {

    private WidenCache() {}

    /**
     * Does two elements of a key and of a value; see the class for arrays and grid.
     *
     * @param headDim elements of a head, even
     * @param largest number of the wide type: what rounding to bytes brought past it is that
     * @param features how raw bits are to be written
     */
    public static void widen(
            KernelContext context,
            ShortArray cachedKey,
            ShortArray cachedValue,
            FloatArray scales,
            @Element FloatArray wideKey,
            @Element FloatArray wideValue,
            IntArray sequences,
            IntArray step,
            int kvHeads,
            int headDim,
            int pageSize,
            int pagesPerSequence,
            float largest,
            int features) {
        int pairs = headDim / 2;
        int capacity = pageSize * pagesPerSequence;
        int x = context.globalIdx % pairs * 2;
        int j = context.globalIdx / pairs % capacity;
        int kvHead = context.globalIdx / pairs / capacity % kvHeads;
        int sequence = context.globalIdx / pairs / capacity / kvHeads;
        if (sequence < StepLayout.batch(step)) {
            int state = StepLayout.state(sequence, pagesPerSequence);
            int length = StepLayout.queries(step, sequence) > 0 ? StepLayout.length(sequences, state) : 0;
            if (j < length) {
                int head = sequences.get(StepLayout.table(state) + j / pageSize) * kvHeads + kvHead;
                int at = (head * pageSize + j % pageSize) * headDim + x;
                float keyScale = scales.get(2 * head);
                float valueScale = scales.get(2 * head + 1);
                float key0 = bounded(keyScale * first(cachedKey, at, features), largest);
                float key1 = bounded(keyScale * second(cachedKey, at, features), largest);
                storePair(wideKey, at, key0, key1, features);
                float value0 = bounded(valueScale * first(cachedValue, at, features), largest);
                float value1 = bounded(valueScale * second(cachedValue, at, features), largest);
                storePair(wideValue, at, value0, value1, features);
            }
        }
    }

    /** NaN stays what it is. */
    private static float bounded(float value, float largest) {
        float bounded = value > largest ? largest : value;
        return bounded < -largest ? -largest : bounded;
    }
}
