package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.finiteMagnitude;
import static org.tornadoattention.kernel.parts.Storage.first;
import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.scaleOfBytes;
import static org.tornadoattention.kernel.parts.Storage.second;
import static org.tornadoattention.kernel.parts.Storage.storePair;

import org.tornadoattention.kernel.parts.Int8Pairs;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.kernel.parts.Storage;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Appends new keys and values to a cache of 8 bits, with the rotary embedding of the keys.
 *
 * <p>Each head of each page has a scale. When a larger element comes than it is made for, the elements that are there
 * already are scaled anew. NaN and ∞ count for nothing in a scale, and both are stored as NaN. Scales go down to 2⁻¹⁰⁰.
 *
 * <p>FP8 (E4M3): the scale is the smallest power of two that brings the largest element within 448. Scaling anew only
 * moves exponents, so that all but the smallest elements keep their value; what is below 2⁻¹¹⁰ becomes 0 even where
 * nothing larger is near. INT8 ({@link Int8Pairs} in the place of {@link Storage}): the scale is a 127th of the largest
 * element, or twice what it was.
 *
 * <p><b>Arrays.</b> As {@link AppendTokens} has them; key and value hold two numbers a short, scales is {@code [pages,
 * kvHeads, 2]}, for keys and values.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * kvHeads * 2} groups of {@code groupSize} work-items: one each for the
 * keys and the values of a head. <b>Local memory.</b> {@code groupSize} floats.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; numbers are coded by arithmetic.
 */
public final class QuantizeTokens {

    private QuantizeTokens() {}

    /**
     * Appends what one head of one sequence gets; see the class for arrays and grid, {@link AppendTokens} for numbers.
     */
    public static void append(
            KernelContext context,
            @Element("tokens") FloatArray newKey,
            @Element("tokens") FloatArray newValue,
            ShortArray cachedKey,
            ShortArray cachedValue,
            FloatArray scales,
            IntArray sequences,
            IntArray step,
            FloatArray rotary,
            int kvHeads,
            int headDim,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            int rotaryDim,
            int groupSize,
            int features) {
        float[] largest = context.allocateFloatLocalArray(groupSize);
        int item = context.localIdx;
        int isValue = context.groupIdx % 2;
        int kvHead = context.groupIdx / 2 % kvHeads;
        int sequence = context.groupIdx / 2 / kvHeads;
        int newTokens = StepLayout.newTokens(step, sequence);
        int state = StepLayout.state(sequence, pagesPerSequence);
        int before = StepLayout.before(sequences, state);
        int padding = StepLayout.padding(sequences, state);
        int pairs = (headDim + 1) / 2;
        int end = TornadoMath.min(before + newTokens, pageSize * pagesPerSequence);
        int firstPage = before / pageSize;
        int pages = newTokens > 0 ? (end - 1) / pageSize - firstPage + 1 : 0;

        for (int p = 0; p < pages; p++) {
            int page = sequences.get(StepLayout.table(state) + firstPage + p);
            int pageHead = page * kvHeads + kvHead;
            int from = TornadoMath.max(before, (firstPage + p) * pageSize);
            int to = TornadoMath.min(end, (firstPage + p + 1) * pageSize);
            int old = from % pageSize;
            float oldScale = old > 0 ? scales.get(pageHead * 2 + isValue) : 0f;
            float scale = oldScale;

            // Twice over the new tokens: for the largest element, and to store them.
            for (int pass = 0; pass < 2; pass++) {
                float max = 0f;
                for (int at = item; at < (to - from) * pairs; at += groupSize) {
                    int j = from + at / pairs;
                    int x = at % pairs * 2;
                    int row = ((sequence * kvHeads + kvHead) * seqQ + j - before) * headDim;
                    int next = TornadoMath.min(x + 1, headDim - 1);
                    float a = 0f;
                    float b = 0f;
                    if (isValue == 0) {
                        float aOther = load(newKey, row + AppendTokens.partner(x, rotaryDim, features), features);
                        float bOther = load(newKey, row + AppendTokens.partner(next, rotaryDim, features), features);
                        a = load(newKey, row + x, features);
                        b = load(newKey, row + next, features);
                        a = AppendTokens.turned(a, aOther, x, j - padding, rotary, rotaryDim, features);
                        b = AppendTokens.turned(b, bOther, next, j - padding, rotary, rotaryDim, features);
                    } else {
                        a = load(newValue, row + x, features);
                        b = load(newValue, row + next, features);
                    }
                    max = TornadoMath.max(max, TornadoMath.max(finiteMagnitude(a), finiteMagnitude(b)));
                    if (pass == 1) {
                        int stored = (pageHead * pageSize + j % pageSize) * (pairs * 2) + x;
                        float second = x + 1 < headDim ? b / scale : 0f;
                        if (isValue == 0) {
                            storePair(cachedKey, stored, a / scale, second, features);
                        } else {
                            storePair(cachedValue, stored, a / scale, second, features);
                        }
                    }
                }
                if (pass == 0) {
                    largest[item] = max;
                }
                context.localBarrier();
                if (pass == 0) {
                    for (int other = 0; other < groupSize; other++) {
                        max = TornadoMath.max(max, largest[other]);
                    }
                    scale = scaleOfBytes(oldScale, max);
                    // The elements that are there already get the new scale.
                    if (old > 0 && scale > oldScale) {
                        for (int at = item; at < old * pairs; at += groupSize) {
                            int stored = (pageHead * pageSize + at / pairs) * (pairs * 2) + at % pairs * 2;
                            float ratio = oldScale / scale;
                            if (isValue == 0) {
                                float a = first(cachedKey, stored, features);
                                float b = second(cachedKey, stored, features);
                                storePair(cachedKey, stored, a * ratio, b * ratio, features);
                            } else {
                                float a = first(cachedValue, stored, features);
                                float b = second(cachedValue, stored, features);
                                storePair(cachedValue, stored, a * ratio, b * ratio, features);
                            }
                        }
                    }
                    if (item == 0) {
                        scales.set(pageHead * 2 + isValue, scale);
                    }
                }
                context.localBarrier();
            }
        }
    }
}
