package org.tornadoattention.decode;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.CapturedArrays;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The graphs for a cache's steps of up to so many tokens per sequence, with the tensors that tokens come and go in.
 *
 * @param shape what the graph is compiled for
 * @param tile of attention
 * @param newQuery {@code [sequences, heads, seqQ, headDim]}
 * @param newKey {@code [sequences, kvHeads, seqQ, headDim]}
 * @param newValue like newKey
 * @param output like newQuery
 * @param arrays what the tasks read and write; the last of the log-sum-exps is the step's receipt
 * @param tasks append, attention, merge
 * @param appendReceipt {@code [1]}: the receipt of steps without queries
 * @param appending append and commit, for those
 */
record StepGraph(
        StepShape shape,
        LaunchedTile tile,
        Tensor newQuery,
        Tensor newKey,
        Tensor newValue,
        Tensor output,
        InferenceArrays arrays,
        ImmutableTaskGraph tasks,
        FloatArray appendReceipt,
        ImmutableTaskGraph appending) {

    /**
     * Allocates the tensors on the host and builds the graphs.
     *
     * @param prefix of the graphs' names
     */
    static StepGraph of(
            String prefix,
            StepShape shape,
            LaunchedTile tile,
            CacheState state,
            GridScheduler grids,
            ComputeDevice device) {
        int seqQ = shape.seqQ();
        Tensor newQuery = Tensor.allocate(shape.dtype(), shape.sequences(), shape.heads(), seqQ, shape.headDim());
        Tensor newKey = Tensor.allocate(shape.dtype(), shape.sequences(), shape.kvHeads(), seqQ, shape.headDim());
        Tensor newValue = Tensor.allocate(shape.dtype(), shape.sequences(), shape.kvHeads(), seqQ, shape.headDim());
        Tensor output = Tensor.allocate(shape.dtype(), shape.sequences(), shape.heads(), seqQ, shape.headDim());
        FloatArray logSumExp = new FloatArray(shape.queryRows() + 1);
        InferenceArrays arrays = state.arrays(
                shape, tile, newQuery, newKey, newValue, output, logSumExp, CapturedArrays.like(shape.functions()));
        TaskGraph graph = state.consumer(prefix + "step" + seqQ)
                .transferToDevice(
                        DataTransferMode.FIRST_EXECUTION,
                        arrays.query(),
                        arrays.partials(),
                        arrays.rotary(),
                        arrays.unusedKey(),
                        arrays.unusedValue())
                .transferToDevice(
                        DataTransferMode.EVERY_EXECUTION,
                        arrays.newQuery(),
                        arrays.newKey(),
                        arrays.newValue(),
                        arrays.step(),
                        arrays.numbers());
        transferCaptured(graph, arrays);
        transferWide(graph, arrays);
        InferenceTasks.append(graph, grids, "attention", shape, tile, arrays, device);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, arrays.logSumExp())
                .transferToHost(DataTransferMode.UNDER_DEMAND, arrays.output());
        FloatArray appendReceipt = new FloatArray(1);
        return new StepGraph(
                shape,
                tile,
                newQuery,
                newKey,
                newValue,
                output,
                arrays,
                graph.snapshot(),
                appendReceipt,
                appending(prefix, shape, arrays, appendReceipt, state, grids, device));
    }

    private static ImmutableTaskGraph appending(
            String prefix,
            StepShape shape,
            InferenceArrays arrays,
            FloatArray receipt,
            CacheState state,
            GridScheduler grids,
            ComputeDevice device) {
        Tensor noQuery = Tensor.allocate(shape.dtype(), 1);
        InferenceArrays withoutQueries =
                arrays.withQueries(DeviceStorage.seen(noQuery, device.halfFloats()), new FloatArray(1));
        TaskGraph graph = state.consumer(prefix + "append" + shape.seqQ())
                .transferToDevice(
                        DataTransferMode.FIRST_EXECUTION,
                        withoutQueries.newQuery(),
                        withoutQueries.query(),
                        arrays.rotary(),
                        arrays.unusedKey(),
                        arrays.unusedValue(),
                        receipt)
                .transferToDevice(
                        DataTransferMode.EVERY_EXECUTION,
                        arrays.newKey(),
                        arrays.newValue(),
                        arrays.step(),
                        arrays.numbers());
        InferenceTasks.appendTokens(graph, grids, "tokens", shape, withoutQueries, receipt, device);
        return graph.transferToHost(DataTransferMode.EVERY_EXECUTION, receipt).snapshot();
    }

    /**
     * Appends steps to a graph of the caller's, which brings new tokens to the device and takes the output from there.
     *
     * @param uploading where lengths and tables come from at each execution; without, steps count on the device
     */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            LaunchedTile tile,
            InferenceArrays arrays,
            ComputeDevice device,
            Optional<CacheState> uploading) {
        if (uploading.isEmpty()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays.step());
        }
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                arrays.key(),
                arrays.value(),
                arrays.sequences(),
                arrays.numbers(),
                arrays.rotary(),
                arrays.scales(),
                arrays.query(),
                arrays.partials(),
                arrays.unusedKey(),
                arrays.unusedValue());
        transferCaptured(graph, arrays);
        transferWide(graph, arrays);
        uploading.ifPresent(state -> state.appendUpload(graph, grids, name + "-pages"));
        InferenceTasks.append(graph, grids, name, shape, tile, arrays, device);
    }

    /** TornadoVM frees only what a graph transfers, so it is transferred, once. */
    private static void transferWide(TaskGraph graph, InferenceArrays arrays) {
        arrays.wide()
                .ifPresent(wide -> graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, wide.key(), wide.value()));
    }

    private static void transferCaptured(TaskGraph graph, InferenceArrays arrays) {
        if (!arrays.captured().isEmpty()) {
            graph.transferToDevice(
                    DataTransferMode.EVERY_EXECUTION, arrays.captured().toArray());
        }
    }

    /** Takes the tokens of a step from the call's tensors, and forgets the receipt of the last one. */
    void load(CacheStep what, @Nullable Tensor q, @Nullable Tensor k, @Nullable Tensor v) {
        if (q != null) {
            copyTokens(q, what.firstQuery(), newQuery, null, what.queries());
        }
        if (k != null && v != null) {
            copyTokens(k, what.firstNew(), newKey, null, what.newTokens());
            copyTokens(v, what.firstNew(), newValue, null, what.newTokens());
        }
        arrays.logSumExp().set(shape.queryRows(), 0f);
        appendReceipt.set(0, 0f);
    }

    /** The number of the step if all its kernels ran, 0 if the last did not, −1 if another did not. */
    float receipt() {
        return arrays.logSumExp().get(shape.queryRows());
    }

    /** Brings what a step computed to the call's tensors. */
    void unload(TornadoExecutionResult executed, CacheStep what, Tensor o, Tensor logSumExp) {
        executed.transferToHost(arrays.output());
        copyTokens(output, null, o, what.firstQuery(), what.queries());
        Tensor logSumExps = Tensor.wrap(arrays.logSumExp(), shape.queryRows() + 1);
        for (int row = 0; row < shape.sequences() * shape.heads(); row++) {
            int sequence = row / shape.heads();
            int first = what.firstQuery()[sequence];
            for (int i = 0; i < what.queries()[sequence]; i++) {
                logSumExp.setFlat(row * logSumExp.dimension(2) + first + i, logSumExps.getFlat(row * shape.seqQ() + i));
            }
        }
    }

    /**
     * Copies some tokens of each sequence between tensors {@code [sequences, heads, tokens, headDim]}.
     *
     * @param fromTokens first token of each sequence in the source, or null for 0; likewise toTokens in the target
     */
    private static void copyTokens(
            Tensor from, int @Nullable [] fromTokens, Tensor to, int @Nullable [] toTokens, int[] counts) {
        MemorySegment source = from.memory();
        MemorySegment target = to.memory();
        long rowBytes = (long) from.headDim() * from.dtype().byteSize();
        for (int sequence = 0; sequence < from.batch(); sequence++) {
            if (counts[sequence] == 0) {
                continue;
            }
            int sourceToken = fromTokens == null ? 0 : fromTokens[sequence];
            int targetToken = toTokens == null ? 0 : toTokens[sequence];
            for (int head = sequence * from.heads(); head < (sequence + 1) * from.heads(); head++) {
                MemorySegment.copy(
                        source,
                        ((long) head * from.seqLength() + sourceToken) * rowBytes,
                        target,
                        ((long) head * to.seqLength() + targetToken) * rowBytes,
                        counts[sequence] * rowBytes);
            }
        }
    }
}
