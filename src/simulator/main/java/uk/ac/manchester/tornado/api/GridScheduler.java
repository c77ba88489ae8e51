package uk.ac.manchester.tornado.api;

import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/** Which grid each task runs on; tasks are named {@code "graph.task"}. */
public class GridScheduler {

    private final Map<String, WorkerGrid> grids = new ConcurrentHashMap<>();

    /** Creates a scheduler without grids. */
    public GridScheduler() {}

    /** Creates a scheduler with the grid of one task. */
    public GridScheduler(String taskName, WorkerGrid workerGrid) {
        grids.put(taskName, workerGrid);
    }

    /** Assigns a grid to the task named {@code "graph.task"}. */
    public void addWorkerGrid(String taskName, WorkerGrid workerGrid) {
        grids.put(taskName, workerGrid);
    }

    /** Returns the grid of the task named {@code "graph.task"}, or null. */
    public WorkerGrid get(String taskName) {
        return grids.get(taskName);
    }

    /** Returns whether that task of that graph has a grid. */
    public boolean contains(String taskScheduleName, String taskName) {
        return grids.containsKey(taskScheduleName + "." + taskName);
    }

    /** Returns the names of the tasks that have a grid. */
    public Set<String> keySet() {
        return grids.keySet();
    }

    @Override
    public String toString() {
        return grids.entrySet().stream()
                .map(grid -> grid.getKey() + " global="
                        + Arrays.toString(grid.getValue().getGlobalWork()) + " local="
                        + Arrays.toString(grid.getValue().getLocalWork()))
                .collect(Collectors.joining(", "));
    }
}
