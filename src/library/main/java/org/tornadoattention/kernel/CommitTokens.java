package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Ends a step that appends tokens and has no queries: what the lengths are now is what they were before the next step.
 * Where there are queries, attention does so.
 *
 * <p>sequences and step are those of {@link SplitKeyAttention}; receipt {@code [1]} gets the step's number if
 * {@link AppendTokens} noted it, else −1.
 *
 * <p><b>Grid.</b> One dimension, one work-item per sequence or more. <b>Device.</b> Any.
 */
public final class CommitTokens {

    private CommitTokens() {}

    /**
     * One sequence per work-item; see the class for arrays and grid.
     *
     * @param batch sequences
     * @param pagesPerSequence pages of a sequence at most
     */
    public static void commit(
            KernelContext context,
            IntArray sequences,
            IntArray step,
            FloatArray receipt,
            int batch,
            int pagesPerSequence) {
        int sequence = context.globalIdx;
        if (sequence < batch) {
            int state = StepLayout.state(sequence, pagesPerSequence);
            sequences.set(state, StepLayout.length(sequences, state));
        }
        if (sequence == 0) {
            StepLayout.setAttended(sequences, step);
            receipt.set(0, StepLayout.receipt(sequences, step));
        }
    }
}
