package org.tornadoattention.plan;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.TensorCoreScratch;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.OnlineSoftmaxAttention;
import org.tornadoattention.kernel.StandardAttention;
import org.tornadoattention.kernel.TensorCoreAttention;
import org.tornadoattention.kernel.TensorCoreAttentionBF16;
import org.tornadoattention.kernel.TiledFlashAttention;
import org.tornadoattention.kernel.TiledFlashAttentionBits;
import org.tornadoattention.kernel.TiledFlashAttentionF16;
import org.tornadoattention.kernel.WarpFlashAttention;
import org.tornadoattention.kernel.WarpFlashAttentionBits;
import org.tornadoattention.kernel.WarpGroupFlashAttention;
import org.tornadoattention.kernel.WarpGroupFlashAttentionBits;
import org.tornadoattention.kernel.WarpTf32FlashAttention;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task20;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Turns a problem and a choice of kernel into tasks of a graph, with a grid and an explicit group size for each: with a
 * group size of TornadoVM's own choosing, a kernel that needs many registers fails to launch without an exception.
 */
final class AttentionTasks {

    /** Work-items of a group where the kernel leaves it open and the device allows. */
    private static final int GROUP_SIZE = 64;

    private final TaskGraph graph;
    private final GridScheduler grids;
    private final AttentionProblem problem;
    private final AttentionArrays arrays;
    private final int groupSize;
    private final int compilerFeatures;

    private AttentionTasks(
            TaskGraph graph,
            GridScheduler grids,
            AttentionProblem problem,
            AttentionArrays arrays,
            ComputeDevice device) {
        this.graph = graph;
        this.grids = grids;
        this.problem = problem;
        this.arrays = arrays;
        this.groupSize = groupSize(device);
        this.compilerFeatures = compilerFeatures(problem, device);
    }

    /**
     * Appends the tasks that compute {@code arrays.output} and {@code arrays.logSumExp}. The first task has the given name,
     * or, where there are several, it is their common beginning.
     */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            AttentionProblem problem,
            KernelChoice choice,
            ComputeDevice device,
            AttentionArrays arrays) {
        AttentionTasks tasks = new AttentionTasks(graph, grids, problem, arrays, device);
        switch (choice.kernel()) {
            case STANDARD -> tasks.standard(name);
            case ONLINE -> tasks.online(name);
            case TILED -> tasks.tiled(name, choice.tile().orElseThrow());
            case TENSOR_CORE -> tasks.tensorCore(name, choice.tile().orElseThrow());
            case WARP -> tasks.warp(name, choice.tile().orElseThrow());
            case WARP_TF32 -> tasks.warpTf32(name, choice.tile().orElseThrow());
            case WARP_GROUP -> tasks.warpGroup(name, choice.tile().orElseThrow());
            case WARP_GROUP_FP8 ->
                new Fp8Tasks(graph, grids, problem, arrays, choice.tile().orElseThrow(), device).append(name);
        }
    }

    private void standard(String name) {
        AttentionShape shape = problem.shape();
        int rows = Math.toIntExact(shape.queryRows());
        int elements = Math.toIntExact(shape.scoreElements());
        FloatArray scores = new FloatArray(elements);
        FloatArray probabilities = new FloatArray(elements);
        // TornadoVM frees only what a graph transfers, so S and P are transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, scores, probabilities);
        graph.task(
                name + "-scores",
                StandardAttention::scores,
                (FloatArray) arrays.query(),
                (FloatArray) arrays.key(),
                scores,
                arrays.headTerms(),
                arrays.keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                problem.scale(),
                problem.softcap(),
                problem.features() | compilerFeatures);
        grid(name + "-scores", workItemEach(elements));
        graph.task(
                name + "-softmax",
                StandardAttention::softmax,
                scores,
                probabilities,
                arrays.logSumExp(),
                arrays.headTerms(),
                arrays.keyLengths(),
                shape.heads(),
                shape.seqQ(),
                shape.seqK(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.features() | compilerFeatures);
        grid(name + "-softmax", workItemEach(rows));
        graph.task(
                name + "-output",
                StandardAttention::output,
                probabilities,
                (FloatArray) arrays.value(),
                (FloatArray) arrays.output(),
                arrays.keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                problem.features() | compilerFeatures);
        grid(name + "-output", workItemEach(rows * shape.headDim()));
    }

    private void online(String name) {
        AttentionShape shape = problem.shape();
        int rows = Math.toIntExact(shape.queryRows());
        graph.task(
                name,
                OnlineSoftmaxAttention::attention,
                (FloatArray) arrays.query(),
                (FloatArray) arrays.key(),
                (FloatArray) arrays.value(),
                (FloatArray) arrays.output(),
                arrays.logSumExp(),
                arrays.headTerms(),
                arrays.keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                problem.features() | compilerFeatures);
        grid(name, workItemEach(rows));
    }

    private void tiled(String name, Tile tile) {
        switch (arrays.query()) {
            case FloatArray _ -> tiles(name, tile, 0, FloatArray.class, TiledFlashAttention::attention);
            case HalfFloatArray _ -> tiles(name, tile, 0, HalfFloatArray.class, TiledFlashAttentionF16::attention);
            case ShortArray _ -> tiles(name, tile, 0, ShortArray.class, TiledFlashAttentionBits::attention);
            default -> throw noKernelFor(arrays.query());
        }
    }

    private void warp(String name, Tile tile) {
        int features = Features.warpShape(tile.warps(), tile.rescaleThreshold());
        switch (arrays.query()) {
            case HalfFloatArray _ -> tiles(name, tile, features, HalfFloatArray.class, WarpFlashAttention::attention);
            case ShortArray _ -> tiles(name, tile, features, ShortArray.class, WarpFlashAttentionBits::attention);
            default -> throw noKernelFor(arrays.query());
        }
    }

    private void warpTf32(String name, Tile tile) {
        tiles(
                name,
                tile,
                Features.warpShape(tile.warps(), tile.rescaleThreshold()),
                FloatArray.class,
                WarpTf32FlashAttention::attention);
    }

    private void warpGroup(String name, Tile tile) {
        int features = Features.warpShape(tile.warps(), tile.rescaleThreshold());
        switch (arrays.query()) {
            case HalfFloatArray _ ->
                tiles(name, tile, features, HalfFloatArray.class, WarpGroupFlashAttention::attention);
            case ShortArray _ -> tiles(name, tile, features, ShortArray.class, WarpGroupFlashAttentionBits::attention);
            default -> throw noKernelFor(arrays.query());
        }
    }

    /** A grid of so many groups. */
    static WorkerGrid groups(int count, int groupSize) {
        WorkerGrid1D grid = new WorkerGrid1D(Math.multiplyExact(count, groupSize));
        grid.setLocalWork(groupSize, 1, 1);
        return grid;
    }

    static IllegalStateException noKernelFor(TornadoNativeArray array) {
        return new IllegalStateException("No kernel reads " + array.getClass());
    }

    /** Kernels that share a list of arguments, for several types of array: the compiler needs each task's own. */
    private <A extends TornadoNativeArray> void tiles(
            String name,
            Tile tile,
            int features,
            Class<A> type,
            Task20<
                            KernelContext,
                            A,
                            A,
                            A,
                            A,
                            FloatArray,
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
                            Integer,
                            Float,
                            Float,
                            Integer>
                    kernel) {
        AttentionShape shape = problem.shape();
        graph.task(
                name,
                kernel,
                new KernelContext(),
                type.cast(arrays.query()),
                type.cast(arrays.key()),
                type.cast(arrays.value()),
                type.cast(arrays.output()),
                arrays.logSumExp(),
                arrays.headTerms(),
                arrays.keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                tile.blockQ(),
                tile.blockK(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                problem.features() | compilerFeatures | features);
        int tileGroupSize = tile.groupSize(shape.headDim());
        int groups = shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.blockQ());
        grid(name, groups(groups, tileGroupSize));
    }

    private void tensorCore(String name, Tile tile) {
        switch (arrays.query()) {
            case HalfFloatArray _ -> tensorCore(name, tile, HalfFloatArray.class, TensorCoreAttention::attention);
            case ShortArray _ -> tensorCore(name, tile, ShortArray.class, TensorCoreAttentionBF16::attention);
            default -> throw noKernelFor(arrays.query());
        }
    }

    /** Likewise, with scratch memory and a fixed number of groups. */
    private <A extends TornadoNativeArray> void tensorCore(
            String name,
            Tile tile,
            Class<A> type,
            Task20<
                            KernelContext,
                            A,
                            A,
                            A,
                            A,
                            FloatArray,
                            FloatArray,
                            IntArray,
                            FloatArray,
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
        AttentionShape shape = problem.shape();
        TensorCoreScratch size = TensorCoreScratch.of(shape, tile);
        FloatArray scratch = new FloatArray(size.elements());
        // TornadoVM frees only what a graph transfers, so scratch is transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, scratch);
        graph.task(
                name,
                kernel,
                new KernelContext(),
                type.cast(arrays.query()),
                type.cast(arrays.key()),
                type.cast(arrays.value()),
                type.cast(arrays.output()),
                arrays.logSumExp(),
                arrays.headTerms(),
                arrays.keyLengths(),
                scratch,
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                TensorCoreAttention.packed(tile.blockQ(), tile.blockK()),
                problem.windowLeft(),
                problem.windowRight(),
                problem.scale(),
                problem.softcap(),
                problem.features());
        int tileGroupSize = tile.groupSize(shape.headDim());
        grid(name, groups(size.groups(), tileGroupSize));
    }

    /** What kernels are to heed of a backend's compiler, and of how their arrays are to be read. */
    static int compilerFeatures(AttentionProblem problem, ComputeDevice device) {
        return storageFeatures(problem, device) | (device.backend() == Backend.SPIRV ? Features.INT_PRODUCTS : 0);
    }

    /** How the kernel that reads ShortArrays is to understand their bits; the other two ignore it. */
    static int storageFeatures(AttentionProblem problem, ComputeDevice device) {
        if (problem.dtype() == DType.F16) {
            return Features.F16_BITS;
        }
        return problem.dtype() == DType.BF16 && device.backend().hasBFloat16() ? Features.NATIVE_BF16 : 0;
    }

    /** Work-items of a group where the kernel leaves it open. */
    static int groupSize(ComputeDevice device) {
        return (int) Math.min(GROUP_SIZE, device.maxGroupSize());
    }

    private WorkerGrid workItemEach(int elements) {
        return groups(Math.ceilDiv(elements, groupSize), groupSize);
    }

    private void grid(String task, WorkerGrid grid) {
        grids.addWorkerGrid(graph.getTaskGraphName() + "." + task, grid);
    }
}
