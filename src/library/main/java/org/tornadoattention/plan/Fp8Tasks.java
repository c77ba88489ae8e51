package org.tornadoattention.plan;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.QuantizedSizes;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.QuantizeTiles;
import org.tornadoattention.kernel.QuantizeTilesBits;
import org.tornadoattention.kernel.WarpGroupFp8FlashAttention;
import org.tornadoattention.kernel.WarpGroupFp8FlashAttentionBits;
import org.tornadoattention.kernel.parts.Features;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task11;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task12;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task20;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The tasks of attention with 8-bit products: three that round Q, K and V, and one that multiplies. */
final class Fp8Tasks {

    private final TaskGraph graph;
    private final GridScheduler grids;
    private final AttentionProblem problem;
    private final AttentionArrays arrays;
    private final Tile tile;
    private final int storageFeatures;

    Fp8Tasks(
            TaskGraph graph,
            GridScheduler grids,
            AttentionProblem problem,
            AttentionArrays arrays,
            Tile tile,
            ComputeDevice device) {
        this.graph = graph;
        this.grids = grids;
        this.problem = problem;
        this.arrays = arrays;
        this.tile = tile;
        this.storageFeatures = AttentionTasks.storageFeatures(problem, device);
    }

    /** Appends {@code name-query}, {@code name-key}, {@code name-value} and {@code name}. */
    void append(String name) {
        switch (arrays.query()) {
            case HalfFloatArray _ ->
                append(
                        name,
                        HalfFloatArray.class,
                        QuantizeTiles::rows,
                        QuantizeTiles::columns,
                        WarpGroupFp8FlashAttention::attention);
            case ShortArray _ ->
                append(
                        name,
                        ShortArray.class,
                        QuantizeTilesBits::rows,
                        QuantizeTilesBits::columns,
                        WarpGroupFp8FlashAttentionBits::attention);
            default -> throw AttentionTasks.noKernelFor(arrays.query());
        }
    }

    private <A extends TornadoNativeArray> void append(
            String name,
            Class<A> type,
            Task12<
                            KernelContext,
                            A,
                            IntArray,
                            FloatArray,
                            IntArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Float,
                            Integer>
                    rows,
            Task11<
                            KernelContext,
                            A,
                            IntArray,
                            FloatArray,
                            IntArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer>
                    columns,
            Task20<
                            KernelContext,
                            IntArray,
                            IntArray,
                            IntArray,
                            A,
                            FloatArray,
                            FloatArray,
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
                            Float,
                            Integer>
                    attention) {
        AttentionShape shape = problem.shape();
        QuantizedSizes sizes = QuantizedSizes.of(shape, tile);
        IntArray query = new IntArray(sizes.queryInts());
        IntArray key = new IntArray(sizes.keyInts());
        IntArray value = new IntArray(sizes.keyInts());
        FloatArray queryScales = new FloatArray(sizes.queryTiles());
        FloatArray keyValueScales = new FloatArray(sizes.keyTiles() * QuantizedSizes.KEY_VALUE_SCALES);
        // TornadoVM frees only what a graph transfers, so scratch is transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, query, key, value, queryScales, keyValueScales);
        int features = problem.features() | storageFeatures;
        graph.task(
                name + "-query",
                rows,
                new KernelContext(),
                type.cast(arrays.query()),
                query,
                queryScales,
                arrays.keyLengths(),
                shape.heads(),
                shape.seqQ(),
                shape.headDim(),
                tile.blockQ(),
                1,
                problem.scale() / QuantizeTiles.GAIN,
                storageFeatures);
        grid(name + "-query", AttentionTasks.groups(sizes.queryTiles(), QuantizeTiles.GROUP_SIZE));
        graph.task(
                name + "-key",
                rows,
                new KernelContext(),
                type.cast(arrays.key()),
                key,
                keyValueScales,
                arrays.keyLengths(),
                shape.kvHeads(),
                shape.seqK(),
                shape.headDim(),
                tile.blockK(),
                QuantizedSizes.KEY_VALUE_SCALES,
                1f,
                features);
        grid(name + "-key", AttentionTasks.groups(sizes.keyTiles(), QuantizeTiles.GROUP_SIZE));
        graph.task(
                name + "-value",
                columns,
                new KernelContext(),
                type.cast(arrays.value()),
                value,
                keyValueScales,
                arrays.keyLengths(),
                shape.kvHeads(),
                shape.seqK(),
                shape.headDim(),
                tile.blockK(),
                QuantizedSizes.KEY_VALUE_SCALES,
                features);
        grid(name + "-value", AttentionTasks.groups(sizes.keyTiles(), QuantizeTiles.GROUP_SIZE));
        graph.task(
                name,
                attention,
                new KernelContext(),
                query,
                key,
                value,
                type.cast(arrays.output()),
                arrays.logSumExp(),
                queryScales,
                keyValueScales,
                arrays.headTerms(),
                arrays.keyLengths(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim(),
                tile.blockK(),
                problem.windowLeft(),
                problem.windowRight(),
                problem.softcap(),
                features | Features.warpShape(tile.warps(), tile.rescaleThreshold()));
        grid(name, AttentionTasks.groups(sizes.queryTiles(), tile.groupSize(shape.headDim())));
    }

    private void grid(String task, WorkerGrid grid) {
        grids.addWorkerGrid(graph.getTaskGraphName() + "." + task, grid);
    }
}
