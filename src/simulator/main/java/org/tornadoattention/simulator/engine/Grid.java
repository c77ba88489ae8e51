package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;

/** The grid of a launch: work-items and work-items of a group, in three dimensions. */
record Grid(int[] global, int[] local, int[] offset) {

    static final int MAX_GROUP_SIZE = 1024;
    static final int DIMENSIONS = 3;
    private static final int DEFAULT_GROUP_SIZE = 256;

    static Grid of(String task, WorkerGrid workers) {
        int[] global = ints(task, workers.getGlobalWork());
        int[] local = workers.getLocalWork() == null
                ? defaultLocal(global, workers.dimension())
                : ints(task, workers.getLocalWork());
        Grid grid = new Grid(global, local, ints(task, workers.getGlobalOffset()));
        grid.check(task);
        return grid;
    }

    private static int[] ints(String task, long[] sizes) {
        int[] result = {1, 1, 1};
        for (int d = 0; d < sizes.length; d++) {
            if (sizes[d] > Integer.MAX_VALUE) {
                throw new TornadoRuntimeException(
                        "Task " + task + ": the grid is too large: " + Arrays.toString(sizes));
            }
            result[d] = (int) sizes[d];
        }
        return result;
    }

    /** Returns the largest group along the first dimension that divides the grid. */
    private static int[] defaultLocal(int[] global, int dimensions) {
        int limit = dimensions == 1 ? DEFAULT_GROUP_SIZE : DEFAULT_GROUP_SIZE / 16;
        int[] local = {1, 1, 1};
        for (int d = 0; d < Math.min(dimensions, 2); d++) {
            local[d] = largestDivisor(global[d], limit);
        }
        return local;
    }

    private static int largestDivisor(int size, int limit) {
        for (int candidate = Math.min(size, limit); candidate > 1; candidate--) {
            if (size % candidate == 0) {
                return candidate;
            }
        }
        return 1;
    }

    private void check(String task) {
        long groupSize = 1;
        for (int d = 0; d < DIMENSIONS; d++) {
            if (global[d] < 1 || local[d] < 1) {
                throw new TornadoRuntimeException("Task " + task + ": a grid needs at least one work-item in each"
                        + " dimension, got global " + Arrays.toString(global) + " and local " + Arrays.toString(local));
            }
            if (global[d] % local[d] != 0) {
                throw new TornadoRuntimeException("Task " + task + ": the local work size "
                        + Arrays.toString(local) + " does not divide the global work size " + Arrays.toString(global)
                        + "; round the global size up and have the kernel skip the rest");
            }
            groupSize *= local[d];
        }
        if (groupSize > MAX_GROUP_SIZE) {
            throw new TornadoRuntimeException("Task " + task + ": a group of " + groupSize
                    + " work-items is too large; the simulated device allows " + MAX_GROUP_SIZE);
        }
    }

    int groups(int d) {
        return global[d] / local[d];
    }

    int groupCount() {
        return Math.multiplyExact(Math.multiplyExact(groups(0), groups(1)), groups(2));
    }

    int groupSize() {
        return local[0] * local[1] * local[2];
    }

    int[] groupId(int flat) {
        return unflatten(flat, groups(0), groups(1));
    }

    int[] localId(int flat) {
        return unflatten(flat, local[0], local[1]);
    }

    private static int[] unflatten(int flat, int x, int y) {
        return new int[] {flat % x, flat / x % y, flat / (x * y)};
    }

    String localName(int flat) {
        return local[1] == 1 && local[2] == 1 ? Integer.toString(flat) : tuple(localId(flat));
    }

    static String tuple(int[] id) {
        return "(" + id[0] + "," + id[1] + "," + id[2] + ")";
    }
}
