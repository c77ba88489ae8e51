package org.tornadoattention.plan;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.kernel.BackwardRowTerms;
import org.tornadoattention.kernel.OnlineSoftmaxBackward;
import org.tornadoattention.kernel.StandardAttentionBackward;
import org.tornadoattention.kernel.TiledKeyValueGradients;
import org.tornadoattention.kernel.TiledQueryGradient;
import org.tornadoattention.kernel.WarpGroupKeyValueGradients;
import org.tornadoattention.kernel.WarpGroupQueryGradient;
import org.tornadoattention.kernel.WarpRowTerms;
import org.tornadoattention.kernel.parts.Features;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Turns the backward pass of a problem into tasks of a graph, as {@link AttentionTasks} does the forward pass. */
final class BackwardTasks {

    /** Above, the registers of a warp group hold one of dK and dV only. */
    private static final int WIDEST_FOR_BOTH = 128;

    private static final Kernel ROW_TERMS = Kernel.of(BackwardRowTerms.class);
    private static final Kernel STANDARD_SCORES = Kernel.of(StandardAttentionBackward.class, "scoreGradients");
    private static final Kernel STANDARD_QUERY = Kernel.of(StandardAttentionBackward.class, "queryGradient");
    private static final Kernel STANDARD_KEY_VALUE = Kernel.of(StandardAttentionBackward.class, "keyValueGradients");
    private static final Kernel ONLINE_QUERY = Kernel.of(OnlineSoftmaxBackward.class, "queryGradient");
    private static final Kernel ONLINE_KEY_VALUE = Kernel.of(OnlineSoftmaxBackward.class, "keyValueGradients");
    private static final Kernel TILED_QUERY = Kernel.of(TiledQueryGradient.class);
    private static final Kernel TILED_KEY_VALUE = Kernel.of(TiledKeyValueGradients.class);
    private static final Kernel WARP_ROW_TERMS = Kernel.of(WarpRowTerms.class);
    private static final Kernel WARP_GROUP_QUERY = Kernel.of(WarpGroupQueryGradient.class);
    private static final Kernel WARP_GROUP_KEY_VALUE = Kernel.of(WarpGroupKeyValueGradients.class);

    private final TaskGraph graph;
    private final KernelLauncher launcher;
    private final AttentionShape shape;
    private final int groupSize;
    private final int rowFeatures;

    private BackwardTasks(
            TaskGraph graph,
            GridScheduler grids,
            AttentionProblem problem,
            BackwardArrays arrays,
            ComputeDevice device) {
        this.graph = graph;
        this.shape = problem.shape();
        this.groupSize = AttentionTasks.groupSize(device);
        int features = AttentionTasks.features(problem, device);
        this.rowFeatures = features | (arrays.hasLogSumExpGradient() ? Features.LSE_GRADIENT : 0);
        this.launcher =
                new KernelLauncher(graph, grids, arguments(problem, arrays).with("features", features));
    }

    private static Arguments arguments(AttentionProblem problem, BackwardArrays arrays) {
        return AttentionTasks.arguments(problem, arrays.forward())
                .with("outputGradient", arrays.outputGradient())
                .with("logSumExpGradient", arrays.logSumExpGradient())
                .with("queryGradient", arrays.queryGradient())
                .with("keyGradient", arrays.keyGradient())
                .with("valueGradient", arrays.valueGradient())
                .with("rowTerms", arrays.rowTerms());
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
        switch (choice.kernel()) {
            case STANDARD -> tasks.standard(name);
            case ONLINE -> tasks.online(name);
            case WARP_GROUP ->
                tasks.warpGroup(name, choice.tiles().getFirst(), choice.tiles().getLast());
            default -> tasks.tiled(name, choice.tiles().getFirst());
        }
    }

    private void rowTerms(String name, int parts) {
        launcher.task(name + "-rows", ROW_TERMS)
                .with("parts", parts)
                .with("features", rowFeatures)
                .overElements(shape.queryRows(), groupSize);
    }

    private void standard(String name) {
        rowTerms(name, 1);
        int elements = Math.toIntExact(shape.scoreElements());
        FloatArray probabilities = new FloatArray(elements);
        FloatArray scoreGradients = new FloatArray(elements);
        // TornadoVM frees only what a graph transfers, so P and dS are transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, probabilities, scoreGradients);
        launcher.task(name + "-ds", STANDARD_SCORES)
                .with("probabilities", probabilities)
                .with("scoreGradients", scoreGradients)
                .overElements(elements, groupSize);
        launcher.task(name + "-dq", STANDARD_QUERY)
                .with("scoreGradients", scoreGradients)
                .overElements(shape.queryRows() * shape.headDim(), groupSize);
        launcher.task(name + "-dkdv", STANDARD_KEY_VALUE)
                .with("probabilities", probabilities)
                .with("scoreGradients", scoreGradients)
                .overElements(keyRows() * shape.headDim(), groupSize);
    }

    private void online(String name) {
        rowTerms(name, OnlineSoftmaxBackward.PARTS);
        launcher.task(name + "-dq", ONLINE_QUERY).overElements(shape.queryRows(), groupSize);
        launcher.task(name + "-dkdv", ONLINE_KEY_VALUE).overElements(keyRows(), groupSize);
    }

    private void tiled(String name, Tile tile) {
        int block = tile.blockQ();
        int size = tile.groupSize(shape.headDim());
        rowTerms(name, TiledQueryGradient.parts(shape.headDim(), block));
        launcher.task(name + "-dq", TILED_QUERY).with("block", block).groups(queryTiles(block), size);
        launcher.task(name + "-dkdv", TILED_KEY_VALUE).with("block", block).groups(keyTiles(block), size);
    }

    /** dK and dV come from one launch of their kernel, or from one each where registers do not hold both. */
    private void warpGroup(String name, Tile queryGradient, Tile keyValueGradients) {
        launcher.task(name + "-rows", WARP_ROW_TERMS)
                .with("features", rowFeatures)
                .overElements(shape.queryRows() * WarpRowTerms.LANES, groupSize);
        launcher.task(name + "-dq", WARP_GROUP_QUERY)
                .with("blocks", WarpGroupKeyValueGradients.blocks(queryGradient.blockQ(), queryGradient.blockK()))
                .groups(queryTiles(queryGradient.blockQ()), WarpGroupQueryGradient.groupSize(queryGradient.blockQ()));
        if (shape.headDim() <= WIDEST_FOR_BOTH) {
            int both = WarpGroupKeyValueGradients.OF_KEYS | WarpGroupKeyValueGradients.OF_VALUES;
            warpGroupKeyValueGradients(name + "-dkdv", keyValueGradients, both);
        } else {
            warpGroupKeyValueGradients(name + "-dk", keyValueGradients, WarpGroupKeyValueGradients.OF_KEYS);
            warpGroupKeyValueGradients(name + "-dv", keyValueGradients, WarpGroupKeyValueGradients.OF_VALUES);
        }
    }

    private void warpGroupKeyValueGradients(String task, Tile tile, int which) {
        launcher.task(task, WARP_GROUP_KEY_VALUE)
                .with("blocks", WarpGroupKeyValueGradients.blocks(tile.blockQ(), tile.blockK()) | which)
                .groups(keyTiles(tile.blockK()), WarpGroupKeyValueGradients.groupSize(tile.blockK()));
    }

    private long queryTiles(int block) {
        return (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), block);
    }

    private long keyTiles(int block) {
        return (long) shape.batch() * shape.kvHeads() * Math.ceilDiv(shape.seqK(), block);
    }

    private long keyRows() {
        return (long) shape.batch() * shape.kvHeads() * shape.seqK();
    }
}
