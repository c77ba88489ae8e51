package org.tornadoattention.plan;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Mask;
import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Writes what changes from step to step where the kernels of inference read it. */
final class StepNumbers {

    private StepNumbers() {}

    /**
     * The options of a step and its number.
     *
     * @param longest keys that a sequence may have: a window's edge past them is no edge
     */
    static void fill(
            IntArray step, FloatArray numbers, AttentionOptions options, int headDim, int longest, int number) {
        step.set(0, edge(options.mask().left(), longest));
        step.set(1, edge(options.mask().right(), longest));
        step.set(2, options.hasAlibi() ? 1 : 0);
        step.set(3, number);
        numbers.set(0, (float) options.scaleFor(headDim));
        numbers.set(1, (float) options.softcap());
        for (int head = 2; head < numbers.getSize(); head++) {
            numbers.set(head, options.alibiSlope(head - 2));
        }
    }

    private static int edge(int keys, int longest) {
        return keys >= longest ? Mask.UNBOUNDED : keys;
    }

    /** What a sequence does: where its queries begin, how many there are, new keys, and tokens after the queries. */
    static void fillSequence(IntArray step, int sequence, int queryStart, int queries, int newTokens, int following) {
        int at = StepLayout.HEADER + StepLayout.FIELDS * sequence;
        step.set(at, queryStart);
        step.set(at + 1, queries);
        step.set(at + 2, newTokens);
        step.set(at + 3, following);
    }
}
