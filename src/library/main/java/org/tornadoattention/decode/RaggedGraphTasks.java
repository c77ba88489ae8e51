package org.tornadoattention.decode;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.choice.DecodeChoice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Attention over packed sequences as tasks of a graph of the caller's. All that are appended share the arrays that say
 * how tokens are divided, and what they need in between, since they run one after another.
 */
public final class RaggedGraphTasks {

    private final RaggedShape shape;
    private final AttentionOptions options;
    private final ComputeDevice device;
    private final TaskGraph graph;
    private final GridScheduler grids;
    private final LaunchedTile tile;
    private final TornadoNativeArray unused;
    private final TornadoNativeArray unusedKey;
    private final TornadoNativeArray unusedValue;
    private final FloatArray query;
    private final FloatArray partials;
    private final IntArray sequences;
    private final IntArray step;
    private final FloatArray numbers;
    private final FloatArray absent = new FloatArray(1);
    private final FloatArray alsoAbsent = new FloatArray(1);

    /**
     * Brings what tasks share to the graph.
     *
     * @param queries of the size and type that all have
     * @param keys likewise
     * @param sequenceRoom sequences at most
     */
    public RaggedGraphTasks(
            TaskGraph graph,
            GridScheduler grids,
            Tensor queries,
            Tensor keys,
            int sequenceRoom,
            AttentionOptions options,
            Optional<DecodeKernel> kernel,
            ComputeDevice device) {
        this.graph = graph;
        this.grids = grids;
        this.options = options;
        this.device = device;
        shape = RaggedShape.exactly(sequenceRoom, queries, keys, options);
        tile = DecodeChoice.choose(shape.problem(), kernel, 0, device);
        int rows = Math.multiplyExact(shape.queries(), shape.heads());
        unused = DeviceStorage.seen(Tensor.allocate(shape.dtype(), 1), device.halfFloats());
        unusedKey = CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, 2, device);
        unusedValue = CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, 2, device);
        query = new FloatArray(Math.multiplyExact(rows, shape.headDim()));
        partials = new FloatArray(Math.multiplyExact(Math.multiplyExact(rows, tile.splits()), shape.headDim() + 1));
        sequences = new IntArray(StepLayout.sequencesSize(shape.sequences(), 0));
        step = new IntArray(StepLayout.stepSize(shape.sequences()));
        numbers = new FloatArray(StepLayout.numbersSize(shape.heads()));
        StepNumbers.fill(step, numbers, options, shape.headDim(), shape.keys(), shape.queries(), 0);
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                unused,
                unusedKey,
                unusedValue,
                query,
                partials,
                numbers,
                absent,
                alsoAbsent);
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, sequences, step);
    }

    /**
     * Appends the tasks {@code name-append}, {@code name-attention} and {@code name-merge} over arrays of the caller's.
     */
    public void append(String name, Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSumExp) {
        InferenceArrays arrays = new InferenceArrays(
                DeviceStorage.seen(q, device.halfFloats()),
                unused,
                unused,
                query,
                k.array(),
                v.array(),
                partials,
                DeviceStorage.seen(output, device.halfFloats()),
                logSumExp.floatArray(),
                sequences,
                step,
                numbers,
                absent,
                alsoAbsent,
                unusedKey,
                unusedValue,
                List.of(),
                Optional.empty());
        InferenceTasks.append(graph, grids, name, shape.step(), tile, arrays, device);
    }

    /** Says how tokens are divided in the executions that follow. */
    public void divide(IntArray queryOffsets, IntArray keyOffsets) {
        StepNumbers.fill(
                step,
                numbers,
                options,
                shape.headDim(),
                InferencePlans.longest(keyOffsets),
                InferencePlans.longest(queryOffsets),
                0);
        StepNumbers.fillPacked(step, sequences, queryOffsets, keyOffsets);
    }

    /** How the kernel divides its work. */
    public LaunchedTile tile() {
        return tile;
    }
}
