package org.tornadoattention.simulator.engine;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;

/** Keeps what some groups of a launch do, spread over the grid, for a picture. */
final class TraceRecorder {

    private static final int MOST_GROUPS = 16;

    private final Map<Integer, GroupTrace> groups = new ConcurrentSkipListMap<>();
    private int warps;

    /** Returns where a group is kept, or null if this one is not. */
    GroupTrace group(int flatId, Grid grid) {
        long count = grid.groupCount();
        long nth = (flatId * (long) MOST_GROUPS + count - 1) / count;
        if (count > MOST_GROUPS && nth * count / MOST_GROUPS != flatId) {
            return null;
        }
        int size = (grid.groupSize() + Warp.SIZE - 1) / Warp.SIZE;
        return groups.computeIfAbsent(flatId, id -> new GroupTrace(id, grid.groupId(id), size));
    }

    /** Returns where the next warp of iterations of parallel loops is kept, or null if it is not. */
    synchronized GroupTrace nextWarp() {
        int number = warps++;
        return number < MOST_GROUPS
                ? groups.computeIfAbsent(number, id -> new GroupTrace(id, new int[] {id, 0, 0}, 1))
                : null;
    }

    /** The last warp of iterations has done nothing, since the loops had come to their end. */
    synchronized void forgetLastWarp() {
        groups.remove(--warps);
    }

    /** Returns how many warps of iterations there were. */
    synchronized int warps() {
        return warps;
    }

    /** Returns the groups that are kept, in their order. */
    List<GroupTrace> groups() {
        return List.copyOf(groups.values());
    }
}
