package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.Storage;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The upkeep of a cache between steps: copies pages that a sequence is about to write and others read too, and puts
 * lengths and page tables where the other kernels have theirs, all of them or some.
 *
 * <p><b>Arrays.</b> moves: copies, changes, 1 if all of {@code upload} is new, then {@code (from, to)} for each copy of
 * a page, then {@code (element, value)} for each change of sequences. sequences is that of {@link SplitKeyAttention},
 * upload has its size, or 1 if it is never new. key, value {@code [pages, pageWords]} and scales {@code [pages,
 * pageScales]}.
 *
 * <p><b>Grid.</b> One dimension, any number of work-items. <b>Device.</b> Any.
 */
public final class MovePages {

    /** Numbers at the beginning of {@code moves}. */
    public static final int HEADER = 3;

    private MovePages() {}

    /**
     * Strides through all there is to do; see the class for arrays and grid.
     *
     * @param pageWords array elements of a page's keys
     * @param pageScales scales of a page, 0 for none
     * @param items work-items of the grid
     */
    public static void move(
            KernelContext context,
            IntArray moves,
            IntArray upload,
            IntArray sequences,
            @Element("cache") FloatArray key,
            @Element("cache") FloatArray value,
            FloatArray scales,
            int pageWords,
            int pageScales,
            int items) {
        int item = context.globalIdx;
        int copies = moves.get(0);
        int changes = moves.get(1);
        if (moves.get(2) != 0) {
            for (int i = item; i < upload.getSize(); i += items) {
                sequences.set(i, upload.get(i));
            }
        }
        for (int copy = 0; copy < copies; copy++) {
            int from = moves.get(HEADER + 2 * copy);
            int to = moves.get(HEADER + 2 * copy + 1);
            for (int i = item; i < pageWords; i += items) {
                Storage.move(key, from * pageWords + i, to * pageWords + i);
                Storage.move(value, from * pageWords + i, to * pageWords + i);
            }
            for (int i = item; i < pageScales; i += items) {
                scales.set(to * pageScales + i, scales.get(from * pageScales + i));
            }
        }
        for (int i = item; i < changes; i += items) {
            int at = HEADER + 2 * copies + 2 * i;
            sequences.set(moves.get(at), moves.get(at + 1));
        }
    }
}
