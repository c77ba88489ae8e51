package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import org.tornadoattention.simulator.MemoryAccess;

/**
 * What a work-item did to memory since its warp was last together: one event for each access, and one for each turn of
 * a loop. An event is the site in the code, and in a long what was done, to which array, how many bytes from which one
 * on.
 */
final class CostTrace {

    private static final MemoryAccess[] ACCESSES = MemoryAccess.values();

    /** In place of an access: the end of a turn of a loop. */
    private static final int TURN = 7;

    private static final int ACCESS_SHIFT = 61;
    private static final int SLOT_SHIFT = 53;
    private static final int BYTES_SHIFT = 45;
    private static final int BYTE = 0xff;

    private int[] sites = new int[64];
    private long[] events = new long[64];
    /** For each event, where the kernel called the method that it is in; null unless somebody wants a picture. */
    private int[] callers;

    private int size;

    /** Keeps from now on where the kernel called what accesses memory. */
    void keepCallers() {
        callers = new int[sites.length];
    }

    void access(int site, int caller, MemoryAccess access, int slot, int bytes, long address) {
        add(
                site,
                caller,
                (long) access.ordinal() << ACCESS_SHIFT
                        | (slot & (long) BYTE) << SLOT_SHIFT
                        | (bytes & (long) BYTE) << BYTES_SHIFT
                        | address);
    }

    void turn(int site) {
        add(site, -1, (long) TURN << ACCESS_SHIFT);
    }

    private void add(int site, int caller, long event) {
        if (size == sites.length) {
            sites = Arrays.copyOf(sites, 2 * size);
            events = Arrays.copyOf(events, 2 * size);
            callers = callers == null ? null : Arrays.copyOf(callers, 2 * size);
        }
        if (callers != null) {
            callers[size] = caller;
        }
        sites[size] = site;
        events[size++] = event;
    }

    int size() {
        return size;
    }

    void clear() {
        size = 0;
    }

    int site(int index) {
        return sites[index];
    }

    int caller(int index) {
        return callers == null ? -1 : callers[index];
    }

    long event(int index) {
        return events[index];
    }

    /** Returns what an event did, or null for a turn of a loop. */
    static MemoryAccess access(long event) {
        int access = (int) (event >>> ACCESS_SHIFT);
        return access == TURN ? null : ACCESSES[access];
    }

    static int slot(long event) {
        return (int) (event >>> SLOT_SHIFT) & BYTE;
    }

    static int bytes(long event) {
        return (int) (event >>> BYTES_SHIFT) & BYTE;
    }

    /** Returns the first byte within its array in device memory, or within local memory. */
    static long offset(long event) {
        return event & (1L << BYTES_SHIFT) - 1;
    }

    /** Returns the first byte; in device memory of different arrays they are different. */
    static long address(long event) {
        return offset(event) | (long) slot(event) << BYTES_SHIFT;
    }
}
