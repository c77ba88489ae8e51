package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.catchThrowableOfType;

import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** Runs task graphs once, for tests that are about what happens inside. */
final class Plans {

    private Plans() {}

    /** Returns a one-dimensional grid. */
    static WorkerGrid grid(int global, int local) {
        WorkerGrid grid = new WorkerGrid1D(global);
        grid.setLocalWork(local, 1, 1);
        return grid;
    }

    /** Executes a graph without grids. */
    static KernelStatistics run(TaskGraph graph) {
        return run(graph, new GridScheduler());
    }

    /** Executes a graph whose task {@code kernel} runs on {@code grid}. */
    static KernelStatistics run(TaskGraph graph, WorkerGrid grid) {
        return run(graph, new GridScheduler(graph.getTaskGraphName() + ".kernel", grid));
    }

    private static KernelStatistics run(TaskGraph graph, GridScheduler grids) {
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            if (!grids.keySet().isEmpty()) {
                plan.withGridScheduler(grids);
            }
            plan.execute();
            return Simulator.lastStatistics().getLast();
        } catch (TornadoExecutionPlanException e) {
            throw new AssertionError(e);
        }
    }

    /** Executes a graph and returns the fault that the simulator found, or null. */
    static SimulatorFaultException fault(TaskGraph graph, WorkerGrid grid) {
        return catchThrowableOfType(SimulatorFaultException.class, () -> run(graph, grid));
    }

    /** Executes a graph without grids and returns the fault that the simulator found, or null. */
    static SimulatorFaultException fault(TaskGraph graph) {
        return catchThrowableOfType(SimulatorFaultException.class, () -> run(graph));
    }
}
