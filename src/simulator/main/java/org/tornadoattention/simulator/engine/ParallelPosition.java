package org.tornadoattention.simulator.engine;

import java.util.List;

/** Where a chunk of a kernel with {@code @Parallel} loops is: its place among the chunks, and the loops' variables. */
final class ParallelPosition {

    private final int chunk;
    private final int[] worker;
    private final int[] workers;
    private final int[] index = new int[Grid.DIMENSIONS];
    private final List<String> names;

    ParallelPosition(int chunk, int[] worker, int[] workers, List<String> names) {
        this.chunk = chunk;
        this.worker = worker;
        this.workers = workers;
        this.names = names;
    }

    int chunk() {
        return chunk;
    }

    int worker(int dimension) {
        return worker[dimension];
    }

    int workers(int dimension) {
        return workers[dimension];
    }

    /** Notes the variable of a loop; returns whether it is the innermost one. */
    boolean index(int dimension, int value) {
        index[dimension] = value;
        return dimension == names.size() - 1;
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("work-item (");
        for (int d = 0; d < names.size(); d++) {
            text.append(d == 0 ? "" : ", ").append(names.get(d)).append(" = ").append(index[d]);
        }
        return names.isEmpty() ? "the kernel" : text.append(')').toString();
    }
}
