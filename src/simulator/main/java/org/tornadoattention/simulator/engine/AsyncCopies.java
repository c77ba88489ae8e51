package org.tornadoattention.simulator.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * The asynchronous copies of a work-item. A copy reaches local memory no sooner than it is waited for, so that a kernel
 * that forgets to wait sees what it would see on a device.
 */
final class AsyncCopies {

    private final WorkItem item;
    private final Deque<List<Copy>> committed = new ArrayDeque<>();
    private List<Copy> open = new ArrayList<>();
    private boolean unfenced;

    AsyncCopies(WorkItem item) {
        this.item = item;
    }

    void start(int[] tile, int index, int... values) {
        open.add(new Copy(tile, index, values));
    }

    void commit() {
        committed.add(open);
        open = new ArrayList<>();
    }

    void await(int groups) {
        while (committed.size() > groups) {
            for (Copy copy : committed.remove()) {
                LocalArray array = LocalHooks.localArray(copy.tile, item);
                for (int i = 0; i < copy.values.length; i++) {
                    LocalHooks.beforeLocalWrite(copy.index + i, array, item);
                    copy.tile[copy.index + i] = copy.values[i];
                }
                unfenced = true;
            }
        }
    }

    /** All copies arrive; who waits for them makes them known to operations that read local memory asynchronously. */
    void awaitForOthers() {
        boolean before = unfenced;
        commit();
        await(0);
        unfenced = before;
    }

    /** Makes what has arrived known to operations that read local memory asynchronously. */
    void fence() {
        unfenced = false;
    }

    boolean unfenced() {
        return unfenced;
    }

    private record Copy(int[] tile, int index, int... values) {}
}
