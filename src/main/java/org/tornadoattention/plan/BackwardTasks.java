package org.tornadoattention.plan;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.BackwardRowTerms;
import org.tornadoattention.kernel.OnlineSoftmaxBackward;
import org.tornadoattention.kernel.StandardAttentionBackward;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Turns the backward pass of a problem into tasks of a graph, as {@link AttentionTasks} does the forward pass. */
final class BackwardTasks {

    private final TaskGraph graph;
    private final GridScheduler grids;
    private final AttentionProblem problem;
    private final AttentionShape shape;
    private final BackwardArrays arrays;
    private final int groupSize;
    private final int features;

    private BackwardTasks(
            TaskGraph graph,
            GridScheduler grids,
            AttentionProblem problem,
            BackwardArrays arrays,
            ComputeDevice device) {
        this.graph = graph;
        this.grids = grids;
        this.problem = problem;
        this.shape = problem.shape();
        this.arrays = arrays;
        this.groupSize = AttentionTasks.groupSize(device);
        this.features = problem.features() | AttentionTasks.storageFeatures(problem, device);
    }

    /** Appends the tasks that compute the three gradients; their names begin with the given one. */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            AttentionProblem problem,
            KernelChoice choice,
            ComputeDevice device,
            BackwardArrays arrays) {
        BackwardTasks tasks = new BackwardTasks(graph, grids, problem, arrays, device);
        tasks.rowTerms(name + "-rows");
        switch (choice.kernel()) {
            case STANDARD -> tasks.standard(name);
            case ONLINE -> tasks.online(name);
            default -> throw new IllegalStateException("No backward pass for " + choice);
        }
    }

    private void rowTerms(String task) {
        graph.task(
                task,
                BackwardRowTerms::rowTerms,
                (FloatArray) arrays.forward().output(),
                (FloatArray) arrays.outputGradient(),
                arrays.forward().logSumExp(),
                arrays.logSumExpGradient(),
                arrays.rowTerms(),
                shape.headDim(),
                features | (arrays.hasLogSumExpGradient() ? BackwardRowTerms.LSE_GRADIENT : 0));
        gridOver(task, shape.queryRows());
    }

    private void standard(String name) {
        int elements = Math.toIntExact(shape.scoreElements());
        FloatArray probabilities = new FloatArray(elements);
        FloatArray scoreGradients = new FloatArray(elements);
        // TornadoVM frees only what a graph transfers, so P and dS are transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, probabilities, scoreGradients);
        graph.task(
                name + "-ds",
                StandardAttentionBackward::scoreGradients,
                (FloatArray) arrays.forward().query(),
                (FloatArray) arrays.forward().key(),
                (FloatArray) arrays.forward().value(),
                (FloatArray) arrays.outputGradient(),
                arrays.rowTerms(),
                probabilities,
                scoreGradients,
                arrays.forward().alibiSlopes(),
                arrays.forward().keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                features);
        gridOver(name + "-ds", elements);
        graph.task(
                name + "-dq",
                StandardAttentionBackward::queryGradient,
                scoreGradients,
                (FloatArray) arrays.forward().key(),
                (FloatArray) arrays.queryGradient(),
                arrays.forward().keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                features);
        gridOver(name + "-dq", shape.queryRows() * shape.headDim());
        graph.task(
                name + "-dkdv",
                StandardAttentionBackward::keyValueGradients,
                probabilities,
                scoreGradients,
                (FloatArray) arrays.forward().query(),
                (FloatArray) arrays.outputGradient(),
                (FloatArray) arrays.keyGradient(),
                (FloatArray) arrays.valueGradient(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim());
        gridOver(name + "-dkdv", keyRows() * shape.headDim());
    }

    private void online(String name) {
        graph.task(
                name + "-dq",
                OnlineSoftmaxBackward::queryGradient,
                (FloatArray) arrays.forward().query(),
                (FloatArray) arrays.forward().key(),
                (FloatArray) arrays.forward().value(),
                (FloatArray) arrays.outputGradient(),
                arrays.rowTerms(),
                (FloatArray) arrays.queryGradient(),
                arrays.forward().alibiSlopes(),
                arrays.forward().keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                features);
        gridOver(name + "-dq", shape.queryRows());
        graph.task(
                name + "-dkdv",
                OnlineSoftmaxBackward::keyValueGradients,
                (FloatArray) arrays.forward().query(),
                (FloatArray) arrays.forward().key(),
                (FloatArray) arrays.forward().value(),
                (FloatArray) arrays.outputGradient(),
                arrays.rowTerms(),
                (FloatArray) arrays.keyGradient(),
                (FloatArray) arrays.valueGradient(),
                arrays.forward().alibiSlopes(),
                arrays.forward().keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                features);
        gridOver(name + "-dkdv", keyRows());
    }

    private long keyRows() {
        return (long) shape.batch() * shape.kvHeads() * shape.seqK();
    }

    /** A work-item for each of so many elements. */
    private void gridOver(String task, long elements) {
        long groups = Math.ceilDiv(elements, groupSize);
        grid(task, groups, groupSize);
    }

    private void grid(String task, long groups, int size) {
        WorkerGrid1D grid = new WorkerGrid1D(Math.toIntExact(groups * size));
        grid.setLocalWork(size, 1, 1);
        grids.addWorkerGrid(graph.getTaskGraphName() + "." + task, grid);
    }
}
