package org.tornadoattention.kernel;

import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Puts lengths, left padding and page tables where the other kernels of a cache have theirs. That array lives on the
 * device and changes there, so the host's version travels in another.
 *
 * <p><b>Arrays.</b> from and to: sequences of {@link SplitKeyAttention}, of one size.
 *
 * <p><b>Grid.</b> One dimension, at least a work-item an element. <b>Device.</b> Any.
 */
public final class UploadSequences {

    private UploadSequences() {}

    /** Copies one element. */
    public static void upload(KernelContext context, IntArray from, IntArray to) {
        int i = context.globalIdx;
        if (i < to.getSize()) {
            to.set(i, from.get(i));
        }
    }
}
