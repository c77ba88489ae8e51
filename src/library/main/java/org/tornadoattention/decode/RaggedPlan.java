package org.tornadoattention.decode;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.choice.DecodeChoice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.plan.CapturedArrays;
import org.tornadoattention.plan.DevicePlan;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.plan.LaunchGuard;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Attention over packed sequences, compiled for one device, with its buffers; lengths travel in arrays. */
final class RaggedPlan implements DevicePlan {

    private final RaggedShape shape;
    private final Tensor query;
    private final Tensor output;
    private final InferenceArrays arrays;
    private final LaunchGuard plan;

    RaggedPlan(RaggedShape shape, Optional<DecodeKernel> kernel, ComputeDevice device) {
        this.shape = shape;
        query = Tensor.allocate(shape.dtype(), shape.queries(), shape.heads(), shape.headDim());
        output = Tensor.allocate(shape.dtype(), shape.queries(), shape.heads(), shape.headDim());
        LaunchedTile tile = DecodeChoice.choose(shape.problem(), kernel, 0, device);
        int rows = Math.multiplyExact(shape.queries(), shape.heads());
        int elements = Math.multiplyExact(
                shape.keys(), Math.multiplyExact(shape.kvHeads(), SplitKeyAttention.rowStride(shape.headDim())));
        Tensor unused = Tensor.allocate(shape.dtype(), 1);
        arrays = new InferenceArrays(
                DeviceStorage.seen(query, device.halfFloats()),
                DeviceStorage.seen(unused, device.halfFloats()),
                DeviceStorage.seen(unused, device.halfFloats()),
                new FloatArray(Math.multiplyExact(rows, shape.headDim())),
                CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, elements, device),
                CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, elements, device),
                new FloatArray(Math.multiplyExact(Math.multiplyExact(rows, tile.splits()), shape.headDim() + 1)),
                DeviceStorage.seen(output, device.halfFloats()),
                new FloatArray(rows + 1),
                new IntArray(StepLayout.sequencesSize(shape.sequences(), 0)),
                new IntArray(StepLayout.stepSize(shape.sequences())),
                new FloatArray(StepLayout.numbersSize(shape.heads())),
                new FloatArray(1),
                new FloatArray(1),
                CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, 2, device),
                CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, 2, device),
                CapturedArrays.like(shape.functions()),
                Optional.empty());

        TaskGraph graph = new TaskGraph("ragged");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                arrays.newKey(),
                arrays.query(),
                arrays.partials(),
                arrays.rotary(),
                arrays.scales(),
                arrays.unusedKey(),
                arrays.unusedValue());
        graph.transferToDevice(
                DataTransferMode.EVERY_EXECUTION,
                arrays.newQuery(),
                arrays.key(),
                arrays.value(),
                arrays.sequences(),
                arrays.step(),
                arrays.numbers());
        if (!arrays.captured().isEmpty()) {
            graph.transferToDevice(
                    DataTransferMode.EVERY_EXECUTION, arrays.captured().toArray());
        }
        InferenceTasks.append(graph, grids, "attention", shape.step(), tile, arrays, device);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, arrays.output(), arrays.logSumExp());
        plan = LaunchGuard.of(graph, grids, "Attention over a ragged batch", device);
    }

    /** Runs the sequences that the offsets divide the tensors into. */
    void execute(
            Tensor q,
            Tensor k,
            Tensor v,
            IntArray queryOffsets,
            IntArray keyOffsets,
            AttentionOptions options,
            Tensor o,
            Tensor lse) {
        StepNumbers.fill(
                arrays.step(),
                arrays.numbers(),
                options,
                shape.headDim(),
                InferencePlans.longest(keyOffsets),
                InferencePlans.longest(queryOffsets),
                plan.nextNumber());
        CapturedArrays.fill(arrays.captured(), options);
        StepNumbers.fillPacked(arrays.step(), arrays.sequences(), queryOffsets, keyOffsets);
        MemorySegment.copy(q.memory(), 0, query.memory(), 0, q.byteSize());
        CacheArrays.scatter(k, arrays.key());
        CacheArrays.scatter(v, arrays.value());
        int rows = arrays.logSumExp().getSize() - 1;
        arrays.logSumExp().set(rows, 0f);
        plan.execute();
        plan.requireReceipt(arrays.logSumExp().get(rows));
        MemorySegment.copy(output.memory(), 0, o.memory(), 0, o.byteSize());
        MemorySegment.copy(arrays.logSumExp().getSegment(), 0, lse.memory(), 0, lse.byteSize());
    }

    @Override
    public void close() {
        plan.close();
    }
}
