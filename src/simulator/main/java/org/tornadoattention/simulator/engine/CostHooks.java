package org.tornadoattention.simulator.engine;

import java.lang.reflect.Array;
import org.tornadoattention.simulator.MemoryAccess;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** What instrumented kernels call when costs are asked for; see {@link Hooks}. */
public final class CostHooks {

    private CostHooks() {}

    /** Notes an access to an array in device memory. */
    public static void global(int index, TornadoNativeArray array, WorkItem item, int site, int write) {
        if (item != null) {
            item.costAt(site);
            item.noteGlobal(
                    NativeArrays.deviceArray(array),
                    write == 1 ? MemoryAccess.GLOBAL_WRITE : MemoryAccess.GLOBAL_READ,
                    index,
                    1);
        }
    }

    /** Notes an access to an array in local memory. */
    public static void local(int index, LocalView view, WorkItem item, int site, int write) {
        if (item != null && view != null) {
            item.costAt(site);
            item.noteLocal(view.array(), write == 1 ? MemoryAccess.LOCAL_WRITE : MemoryAccess.LOCAL_READ, index);
        }
    }

    /** Notes where in the code the next call or access is. */
    public static void at(WorkItem item, int site) {
        if (item != null) {
            item.costAt(site);
        }
    }

    /** Notes the end of a turn of a loop. */
    public static void turn(WorkItem item, int site) {
        if (item != null) {
            item.noteTurn(site);
        }
    }

    /** Notes operations on floats and doubles. */
    public static void operations(long count, WorkItem item) {
        if (item != null) {
            item.counters().costs().operations(count);
        }
    }

    /** Notes an array of the work-item's own. */
    public static void privateArray(Object array, WorkItem item) {
        if (item != null) {
            item.notePrivate((long) Array.getLength(array) * LocalArray.elementBytes(array.getClass()));
        }
    }
}
