package org.tornadoattention.plan;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.BackwardRowTerms;
import org.tornadoattention.kernel.BackwardRowTermsBits;
import org.tornadoattention.kernel.BackwardRowTermsF16;
import org.tornadoattention.kernel.OnlineSoftmaxBackward;
import org.tornadoattention.kernel.StandardAttentionBackward;
import org.tornadoattention.kernel.TiledKeyValueGradients;
import org.tornadoattention.kernel.TiledKeyValueGradientsBits;
import org.tornadoattention.kernel.TiledKeyValueGradientsF16;
import org.tornadoattention.kernel.TiledQueryGradient;
import org.tornadoattention.kernel.TiledQueryGradientBits;
import org.tornadoattention.kernel.TiledQueryGradientF16;
import org.tornadoattention.kernel.WarpGroupKeyValueGradients;
import org.tornadoattention.kernel.WarpGroupKeyValueGradientsBits;
import org.tornadoattention.kernel.WarpGroupQueryGradient;
import org.tornadoattention.kernel.WarpGroupQueryGradientBits;
import org.tornadoattention.kernel.WarpRowTerms;
import org.tornadoattention.kernel.WarpRowTermsBits;
import org.tornadoattention.kernel.parts.Features;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task20;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task8;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Turns the backward pass of a problem into tasks of a graph, as {@link AttentionTasks} does the forward pass. */
final class BackwardTasks {

    /** Above, the registers of a warp group hold one of dK and dV only. */
    private static final int WIDEST_FOR_BOTH = 128;

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
        this.features = problem.features() | AttentionTasks.compilerFeatures(problem, device);
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
        String task = name + "-rows";
        switch (arrays.outputGradient()) {
            case FloatArray _ -> rowTerms(task, parts, FloatArray.class, BackwardRowTerms::rowTerms);
            case HalfFloatArray _ -> rowTerms(task, parts, HalfFloatArray.class, BackwardRowTermsF16::rowTerms);
            case ShortArray _ -> rowTerms(task, parts, ShortArray.class, BackwardRowTermsBits::rowTerms);
            default -> throw noKernelReads(arrays.outputGradient());
        }
    }

    private <A extends TornadoNativeArray> void rowTerms(
            String task,
            int parts,
            Class<A> type,
            Task8<A, A, FloatArray, FloatArray, FloatArray, Integer, Integer, Integer> kernel) {
        graph.task(
                task,
                kernel,
                type.cast(arrays.forward().output()),
                type.cast(arrays.outputGradient()),
                arrays.forward().logSumExp(),
                arrays.logSumExpGradient(),
                arrays.rowTerms(),
                shape.headDim(),
                parts,
                rowFeatures());
        gridOver(task, shape.queryRows());
    }

    private static IllegalStateException noKernelReads(TornadoNativeArray array) {
        return new IllegalStateException("No backward kernel reads " + array.getClass());
    }

    private void standard(String name) {
        rowTerms(name, 1);
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
                arrays.forward().headTerms(),
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
        rowTerms(name, OnlineSoftmaxBackward.PARTS);
        graph.task(
                name + "-dq",
                OnlineSoftmaxBackward::queryGradient,
                (FloatArray) arrays.forward().query(),
                (FloatArray) arrays.forward().key(),
                (FloatArray) arrays.forward().value(),
                (FloatArray) arrays.outputGradient(),
                arrays.rowTerms(),
                (FloatArray) arrays.queryGradient(),
                arrays.forward().headTerms(),
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
                arrays.forward().headTerms(),
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

    private void tiled(String name, Tile tile) {
        int block = tile.blockQ();
        rowTerms(name, TiledQueryGradient.parts(shape.headDim(), block));
        int size = tile.groupSize(shape.headDim());
        long heads = (long) shape.batch() * shape.heads();
        long keyValueHeads = (long) shape.batch() * shape.kvHeads();
        switch (arrays.outputGradient()) {
            case FloatArray _ -> {
                queryGradient(name + "-dq", block, FloatArray.class, TiledQueryGradient::queryGradient);
                keyValueGradients(name + "-dkdv", block, FloatArray.class, TiledKeyValueGradients::keyValueGradients);
            }
            case HalfFloatArray _ -> {
                queryGradient(name + "-dq", block, HalfFloatArray.class, TiledQueryGradientF16::queryGradient);
                keyValueGradients(
                        name + "-dkdv", block, HalfFloatArray.class, TiledKeyValueGradientsF16::keyValueGradients);
            }
            case ShortArray _ -> {
                queryGradient(name + "-dq", block, ShortArray.class, TiledQueryGradientBits::queryGradient);
                keyValueGradients(
                        name + "-dkdv", block, ShortArray.class, TiledKeyValueGradientsBits::keyValueGradients);
            }
            default -> throw noKernelReads(arrays.outputGradient());
        }
        grid(name + "-dq", heads * Math.ceilDiv(shape.seqQ(), block), size);
        grid(name + "-dkdv", keyValueHeads * Math.ceilDiv(shape.seqK(), block), size);
    }

    /** dK and dV come from one launch of their kernel, or from one each where registers do not hold both. */
    private void warpGroup(String name, Tile queryGradient, Tile keyValueGradients) {
        switch (arrays.outputGradient()) {
            case HalfFloatArray _ -> warpRowTerms(name + "-rows", HalfFloatArray.class, WarpRowTerms::rowTerms);
            case ShortArray _ -> warpRowTerms(name + "-rows", ShortArray.class, WarpRowTermsBits::rowTerms);
            default -> throw noKernelReads(arrays.outputGradient());
        }
        warpGroupQueryGradient(name + "-dq", queryGradient);
        if (shape.headDim() <= WIDEST_FOR_BOTH) {
            int both = WarpGroupKeyValueGradients.OF_KEYS | WarpGroupKeyValueGradients.OF_VALUES;
            warpGroupKeyValueGradients(name + "-dkdv", keyValueGradients, both);
        } else {
            warpGroupKeyValueGradients(name + "-dk", keyValueGradients, WarpGroupKeyValueGradients.OF_KEYS);
            warpGroupKeyValueGradients(name + "-dv", keyValueGradients, WarpGroupKeyValueGradients.OF_VALUES);
        }
    }

    private <A extends TornadoNativeArray> void warpRowTerms(
            String task,
            Class<A> type,
            Task8<KernelContext, A, A, FloatArray, FloatArray, FloatArray, Integer, Integer> kernel) {
        graph.task(
                task,
                kernel,
                new KernelContext(),
                type.cast(arrays.forward().output()),
                type.cast(arrays.outputGradient()),
                arrays.forward().logSumExp(),
                arrays.logSumExpGradient(),
                arrays.rowTerms(),
                shape.headDim(),
                rowFeatures());
        gridOver(task, shape.queryRows() * WarpRowTerms.LANES);
    }

    private int rowFeatures() {
        return features | (arrays.hasLogSumExpGradient() ? Features.LSE_GRADIENT : 0);
    }

    private void warpGroupQueryGradient(String task, Tile tile) {
        int blocks = WarpGroupKeyValueGradients.blocks(tile.blockQ(), tile.blockK());
        switch (arrays.outputGradient()) {
            case HalfFloatArray _ ->
                queryGradient(task, blocks, HalfFloatArray.class, WarpGroupQueryGradient::queryGradient);
            case ShortArray _ ->
                queryGradient(task, blocks, ShortArray.class, WarpGroupQueryGradientBits::queryGradient);
            default -> throw noKernelReads(arrays.outputGradient());
        }
        long tiles = (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.blockQ());
        grid(task, tiles, WarpGroupQueryGradient.groupSize(tile.blockQ()));
    }

    private void warpGroupKeyValueGradients(String task, Tile tile, int which) {
        int blocks = WarpGroupKeyValueGradients.blocks(tile.blockQ(), tile.blockK()) | which;
        switch (arrays.outputGradient()) {
            case HalfFloatArray _ ->
                keyValueGradients(task, blocks, HalfFloatArray.class, WarpGroupKeyValueGradients::keyValueGradients);
            case ShortArray _ ->
                keyValueGradients(task, blocks, ShortArray.class, WarpGroupKeyValueGradientsBits::keyValueGradients);
            default -> throw noKernelReads(arrays.outputGradient());
        }
        long tiles = (long) shape.batch() * shape.kvHeads() * Math.ceilDiv(shape.seqK(), tile.blockK());
        grid(task, tiles, WarpGroupKeyValueGradients.groupSize(tile.blockK()));
    }

    /** One kernel text, three types of array: the compiler needs each task's own. */
    private <A extends TornadoNativeArray> void queryGradient(
            String task,
            int block,
            Class<A> type,
            Task20<
                            KernelContext,
                            A,
                            A,
                            A,
                            A,
                            FloatArray,
                            A,
                            FloatArray,
                            IntArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Float,
                            Float,
                            Integer>
                    kernel) {
        graph.task(
                task,
                kernel,
                new KernelContext(),
                type.cast(arrays.forward().query()),
                type.cast(arrays.forward().key()),
                type.cast(arrays.forward().value()),
                type.cast(arrays.outputGradient()),
                arrays.rowTerms(),
                type.cast(arrays.queryGradient()),
                arrays.forward().headTerms(),
                arrays.forward().keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                block,
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                features);
    }

    private <A extends TornadoNativeArray> void keyValueGradients(
            String task,
            int block,
            Class<A> type,
            Task20<
                            KernelContext,
                            A,
                            A,
                            A,
                            A,
                            FloatArray,
                            A,
                            A,
                            FloatArray,
                            IntArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Float,
                            Float,
                            Integer>
                    kernel) {
        graph.task(
                task,
                kernel,
                new KernelContext(),
                type.cast(arrays.forward().query()),
                type.cast(arrays.forward().key()),
                type.cast(arrays.forward().value()),
                type.cast(arrays.outputGradient()),
                arrays.rowTerms(),
                type.cast(arrays.keyGradient()),
                type.cast(arrays.valueGradient()),
                arrays.forward().headTerms(),
                arrays.forward().keyLengths(),
                shape.heads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                block,
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                features);
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
