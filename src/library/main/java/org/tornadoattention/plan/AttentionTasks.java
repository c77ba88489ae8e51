package org.tornadoattention.plan;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.QuantizedSizes;
import org.tornadoattention.choice.TensorCoreScratch;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.kernel.OnlineSoftmaxAttention;
import org.tornadoattention.kernel.QuantizeTiles;
import org.tornadoattention.kernel.StandardAttention;
import org.tornadoattention.kernel.TensorCoreAttention;
import org.tornadoattention.kernel.TiledFlashAttention;
import org.tornadoattention.kernel.WarpFlashAttention;
import org.tornadoattention.kernel.WarpGroupFlashAttention;
import org.tornadoattention.kernel.WarpGroupFp8FlashAttention;
import org.tornadoattention.kernel.WarpTf32FlashAttention;
import org.tornadoattention.kernel.parts.Features;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Turns a problem and a choice of kernel into tasks of a graph, with a grid and an explicit group size for each: with a
 * group size of TornadoVM's own choosing, a kernel that needs many registers fails to launch without an exception.
 */
final class AttentionTasks {

    private static final Kernel SCORES = Kernel.of(StandardAttention.class, "scores");
    private static final Kernel SOFTMAX = Kernel.of(StandardAttention.class, "softmax");
    private static final Kernel OUTPUT = Kernel.of(StandardAttention.class, "output");
    private static final Kernel ONLINE = Kernel.of(OnlineSoftmaxAttention.class);
    private static final Kernel TILED = Kernel.of(TiledFlashAttention.class);
    private static final Kernel TENSOR_CORE = Kernel.of(TensorCoreAttention.class);
    private static final Kernel WARP = Kernel.of(WarpFlashAttention.class);
    private static final Kernel WARP_TF32 = Kernel.of(WarpTf32FlashAttention.class);
    private static final Kernel WARP_GROUP = Kernel.of(WarpGroupFlashAttention.class);
    private static final Kernel WARP_GROUP_FP8 = Kernel.of(WarpGroupFp8FlashAttention.class);
    private static final Kernel QUANTIZE_ROWS = Kernel.of(QuantizeTiles.class, "rows");
    private static final Kernel QUANTIZE_COLUMNS = Kernel.of(QuantizeTiles.class, "columns");

    /** Work-items of a group where the kernel leaves it open and the device allows. */
    private static final int GROUP_SIZE = 64;

    private final TaskGraph graph;
    private final KernelLauncher launcher;
    private final AttentionProblem problem;
    private final AttentionShape shape;
    private final AttentionArrays arrays;
    private final int groupSize;
    private final int features;

    private AttentionTasks(
            TaskGraph graph,
            GridScheduler grids,
            AttentionProblem problem,
            AttentionArrays arrays,
            ComputeDevice device) {
        this.graph = graph;
        this.problem = problem;
        this.shape = problem.shape();
        this.arrays = arrays;
        this.groupSize = groupSize(device);
        this.features = features(problem, device);
        this.launcher =
                new KernelLauncher(graph, grids, arguments(problem, arrays).with("features", features));
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
            case ONLINE ->
                tasks.launcher.task(name, ONLINE).overElements(problem.shape().queryRows(), tasks.groupSize);
            case TILED -> tasks.tiles(name, TILED, choice.tile().orElseThrow(), 0);
            case TENSOR_CORE -> tasks.tensorCore(name, choice.tile().orElseThrow());
            case WARP -> tasks.warps(name, WARP, choice.tile().orElseThrow());
            case WARP_TF32 -> tasks.warps(name, WARP_TF32, choice.tile().orElseThrow());
            case WARP_GROUP -> tasks.warps(name, WARP_GROUP, choice.tile().orElseThrow());
            case WARP_GROUP_FP8 -> tasks.quantized(name, choice.tile().orElseThrow());
        }
    }

    /** What kernels of both directions take, by the names of their parameters. */
    static Arguments arguments(AttentionProblem problem, AttentionArrays arrays) {
        AttentionShape shape = problem.shape();
        return Arguments.none()
                .with("query", arrays.query())
                .with("key", arrays.key())
                .with("value", arrays.value())
                .with("output", arrays.output())
                .with("logSumExp", arrays.logSumExp())
                .with("headTerms", arrays.headTerms())
                .with("keyLengths", arrays.keyLengths())
                .with("heads", shape.heads())
                .with("kvHeads", shape.kvHeads())
                .with("seqQ", shape.seqQ())
                .with("seqK", shape.seqK())
                .with("headDim", shape.headDim())
                .with("windowLeft", problem.windowLeft())
                .with("windowRight", problem.windowRight())
                .with("scale", problem.scale())
                .with("softcap", problem.softcap());
    }

    private void standard(String name) {
        int elements = Math.toIntExact(shape.scoreElements());
        FloatArray scores = new FloatArray(elements);
        FloatArray probabilities = new FloatArray(elements);
        // TornadoVM frees only what a graph transfers, so S and P are transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, scores, probabilities);
        launcher.task(name + "-scores", SCORES).with("scores", scores).overElements(elements, groupSize);
        launcher.task(name + "-softmax", SOFTMAX)
                .with("scores", scores)
                .with("probabilities", probabilities)
                .overElements(shape.queryRows(), groupSize);
        launcher.task(name + "-output", OUTPUT)
                .with("probabilities", probabilities)
                .overElements(shape.queryRows() * shape.headDim(), groupSize);
    }

    private void warps(String name, Kernel kernel, Tile tile) {
        tiles(name, kernel, tile, features(tile));
    }

    private static int features(Tile tile) {
        return Features.warpShape(tile.warps(), tile.rescaleThreshold());
    }

    private void tiles(String name, Kernel kernel, Tile tile, int tileFeatures) {
        long groups = (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.blockQ());
        launcher.task(name, kernel)
                .with("blockQ", tile.blockQ())
                .with("blockK", tile.blockK())
                .with("features", features | tileFeatures)
                .groups(groups, tile.groupSize(shape.headDim()));
    }

    /** With scratch memory and a fixed number of groups. */
    private void tensorCore(String name, Tile tile) {
        TensorCoreScratch size = TensorCoreScratch.of(shape, tile);
        FloatArray scratch = new FloatArray(size.elements());
        // TornadoVM frees only what a graph transfers, so scratch is transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, scratch);
        launcher.task(name, TENSOR_CORE)
                .with("scratch", scratch)
                .with("tileShape", TensorCoreAttention.packed(tile.blockQ(), tile.blockK()))
                .with("features", problem.features())
                .groups(size.groups(), tile.groupSize(shape.headDim()));
    }

    /** Three tasks that round Q, K and V to 8 bits, {@code name-query} and so on, and one that multiplies. */
    private void quantized(String name, Tile tile) {
        QuantizedSizes sizes = QuantizedSizes.of(shape, tile);
        IntArray query = new IntArray(sizes.queryInts());
        IntArray key = new IntArray(sizes.keyInts());
        IntArray value = new IntArray(sizes.keyInts());
        FloatArray queryScales = new FloatArray(sizes.queryTiles());
        FloatArray keyValueScales = new FloatArray(sizes.keyTiles() * QuantizedSizes.KEY_VALUE_SCALES);
        // TornadoVM frees only what a graph transfers, so scratch is transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, query, key, value, queryScales, keyValueScales);
        launcher.task(name + "-query", QUANTIZE_ROWS)
                .with("source", arrays.query())
                .with("target", query)
                .with("scales", queryScales)
                .with("heads", shape.heads())
                .with("seq", shape.seqQ())
                .with("block", tile.blockQ())
                .with("spacing", 1)
                .with("factor", problem.scale() / QuantizeTiles.GAIN)
                .with("features", features & ~problem.features())
                .groups(sizes.queryTiles(), QuantizeTiles.GROUP_SIZE);
        launcher.task(name + "-key", QUANTIZE_ROWS)
                .with("source", arrays.key())
                .with("target", key)
                .with("scales", keyValueScales)
                .with("heads", shape.kvHeads())
                .with("seq", shape.seqK())
                .with("block", tile.blockK())
                .with("spacing", QuantizedSizes.KEY_VALUE_SCALES)
                .with("factor", 1f)
                .groups(sizes.keyTiles(), QuantizeTiles.GROUP_SIZE);
        launcher.task(name + "-value", QUANTIZE_COLUMNS)
                .with("source", arrays.value())
                .with("target", value)
                .with("scales", keyValueScales)
                .with("heads", shape.kvHeads())
                .with("seq", shape.seqK())
                .with("block", tile.blockK())
                .with("spacing", QuantizedSizes.KEY_VALUE_SCALES)
                .groups(sizes.keyTiles(), QuantizeTiles.GROUP_SIZE);
        launcher.task(name, WARP_GROUP_FP8)
                .with("query", query)
                .with("key", key)
                .with("value", value)
                .with("queryScales", queryScales)
                .with("keyValueScales", keyValueScales)
                .with("blockK", tile.blockK())
                .with("features", features | features(tile))
                .groups(sizes.queryTiles(), tile.groupSize(shape.headDim()));
    }

    /** What kernels are to know of a problem, to heed of a backend's compiler, and how they are to read their arrays. */
    static int features(AttentionProblem problem, ComputeDevice device) {
        return problem.features() | compilerFeatures(problem, device);
    }

    private static int compilerFeatures(AttentionProblem problem, ComputeDevice device) {
        return DeviceStorage.features(problem.dtype(), device)
                | (device.backend() == Backend.SPIRV ? Features.INT_PRODUCTS : 0);
    }

    /** Work-items of a group where the kernel leaves it open. */
    static int groupSize(ComputeDevice device) {
        return (int) Math.min(GROUP_SIZE, device.maxGroupSize());
    }
}
