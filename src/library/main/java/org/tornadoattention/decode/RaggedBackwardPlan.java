package org.tornadoattention.decode;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.Gradients;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.kernel.BackwardRowTerms;
import org.tornadoattention.kernel.RaggedBackward;
import org.tornadoattention.kernel.SinkGradient;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.RaggedLayout;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.plan.CapturedArrays;
import org.tornadoattention.plan.DevicePlan;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.plan.LaunchGuard;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The gradients of attention over packed sequences, compiled for one device, with its buffers; lengths travel in an
 * array, the window, scale and softcap are compiled in.
 */
final class RaggedBackwardPlan implements DevicePlan {

    private static final int GROUP_SIZE = 64;
    private static final int SINK_PARTS = 64;

    /**
     * What it is compiled for.
     *
     * @param shape sizes, rounded up
     * @param windowLeft keys to the left, −1 for all
     * @param windowRight keys to the right, −1 for all
     * @param scale factor of q·k
     * @param softcap bound of the scores, 0 for none
     * @param alibi whether there are slopes
     * @param biasShape of the bias
     */
    record Problem(
            RaggedShape shape,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            boolean alibi,
            Optional<List<Integer>> biasShape) {

        int features() {
            return (alibi ? Features.ALIBI : 0) | (shape.sinks() ? Features.SINKS : 0);
        }
    }

    private final Problem problem;
    private final Tensor query;
    private final Tensor key;
    private final Tensor value;
    private final Tensor output;
    private final Tensor outputGradient;
    private final Tensor logSumExp;
    private final Tensor queryGradient;
    private final Tensor keyGradient;
    private final Tensor valueGradient;
    private final Optional<Tensor> biasGradient;
    private final Optional<Tensor> sinkGradient;
    private final FloatArray headTerms;
    private final IntArray layout;
    private final List<TornadoNativeArray> captured;
    private final LaunchGuard plan;

    RaggedBackwardPlan(Problem problem, ComputeDevice device) {
        this.problem = problem;
        RaggedShape shape = problem.shape();
        query = Tensor.allocate(shape.dtype(), shape.queries(), shape.heads(), shape.headDim());
        output = Tensor.allocate(shape.dtype(), query.shape());
        outputGradient = Tensor.allocate(shape.dtype(), query.shape());
        queryGradient = Tensor.allocate(shape.dtype(), query.shape());
        key = Tensor.allocate(shape.dtype(), shape.keys(), shape.kvHeads(), shape.headDim());
        value = Tensor.allocate(shape.dtype(), key.shape());
        keyGradient = Tensor.allocate(shape.dtype(), key.shape());
        valueGradient = Tensor.allocate(shape.dtype(), key.shape());
        logSumExp = Tensor.allocate(DType.F32, shape.queries(), shape.heads());
        biasGradient = problem.biasShape()
                .map(sizes -> Tensor.allocate(
                        DType.F32, sizes.stream().mapToInt(Integer::intValue).toArray()));
        sinkGradient = shape.sinks() ? Optional.of(Tensor.allocate(DType.F32, shape.heads())) : Optional.empty();
        headTerms = new FloatArray(HeadTerms.size(shape.heads(), problem.features()));
        layout = new IntArray(RaggedLayout.size(shape.sequences(), shape.queries(), shape.keys()));
        captured = CapturedArrays.like(shape.functions());
        Tensor rowTerms = Tensor.allocate(DType.F32, shape.queries(), shape.heads(), 2);

        boolean halfFloats = device.halfFloats();
        List<Object> inputs = new ArrayList<>(List.of(headTerms, layout, logSumExp.array()));
        for (Tensor tensor : List.of(query, key, value, output, outputGradient)) {
            inputs.add(DeviceStorage.seen(tensor, halfFloats));
        }
        inputs.addAll(captured);
        List<Object> outputs = new ArrayList<>(List.of(rowTerms.array()));
        Map<String, Tensor> poisoned = new HashMap<>(
                Map.of("row terms", rowTerms, "dQ", queryGradient, "dK", keyGradient, "dV", valueGradient));
        biasGradient.ifPresent(tensor -> poisoned.put("dBias", tensor));
        sinkGradient.ifPresent(tensor -> poisoned.put("dSinks", tensor));
        Arguments arguments = arguments(device)
                .with("query", inputs.get(3))
                .with("key", inputs.get(4))
                .with("value", inputs.get(5))
                .with("output", inputs.get(6))
                .with("outputGradient", inputs.get(7))
                .with("rowTerms", rowTerms.array());
        for (Map.Entry<String, Tensor> gradient : Map.of(
                        "queryGradient", queryGradient, "keyGradient", keyGradient, "valueGradient", valueGradient)
                .entrySet()) {
            TornadoNativeArray array = DeviceStorage.seen(gradient.getValue(), halfFloats);
            outputs.add(array);
            arguments = arguments.with(gradient.getKey(), array);
        }
        biasGradient.ifPresent(tensor -> outputs.add(tensor.array()));
        sinkGradient.ifPresent(tensor -> outputs.add(tensor.array()));
        inputs.addAll(outputs);

        TaskGraph graph = new TaskGraph("ragged");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, inputs.toArray());
        append(graph, grids, arguments, (int) Math.min(GROUP_SIZE, device.maxGroupSize()));
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, outputs.toArray());
        plan = LaunchGuard.of(graph, grids, "The backward pass of a ragged batch", device)
                .poisoning(poisoned);
    }

    private Arguments arguments(ComputeDevice device) {
        RaggedShape shape = problem.shape();
        return Arguments.none()
                .with("logSumExp", logSumExp.array())
                .with("logSumExpGradient", new FloatArray(1))
                .with("biasGradient", biasGradient.map(Tensor::array).orElse(null))
                .with("sinkGradient", sinkGradient.map(Tensor::array).orElse(null))
                .with("headTerms", headTerms)
                .with("layout", layout)
                .with("sequences", shape.sequences())
                .with("keys", shape.keys())
                .with("heads", shape.heads())
                .with("kvHeads", shape.kvHeads())
                .with("headDim", shape.headDim())
                .with("valueDim", shape.headDim())
                .with("windowLeft", problem.windowLeft())
                .with("windowRight", problem.windowRight())
                .with("scale", problem.scale())
                .with("softcap", problem.softcap())
                .with("features", problem.features() | DeviceStorage.features(shape.dtype(), device))
                .withFunctions(shape.functions().form(), captured);
    }

    private void append(TaskGraph graph, GridScheduler grids, Arguments arguments, int groupSize) {
        RaggedShape shape = problem.shape();
        FloatArray noGradient = (FloatArray) arguments.given("logSumExpGradient");
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, noGradient);
        KernelLauncher launcher = new KernelLauncher(graph, grids, arguments);
        long rows = (long) shape.queries() * shape.heads();
        launcher.task("backward-rows", Kernel.of(BackwardRowTerms.class))
                .with("seqQ", 1)
                .with("parts", 1)
                .overElements(rows, groupSize);
        launcher.task("backward-dq", Kernel.of(RaggedBackward.class, "queryGradient"))
                .overElements(rows, groupSize);
        launcher.task("backward-dkdv", Kernel.of(RaggedBackward.class, "keyValueGradients"))
                .overElements((long) shape.keys() * shape.kvHeads(), groupSize);
        biasGradient.ifPresent(
                tensor -> launcher.task("backward-dbias", Kernel.of(RaggedBackward.class, "biasGradient"))
                        .with("biasBatch", tensor.dimension(0))
                        .with("biasHeads", tensor.dimension(1))
                        .with("seqQ", tensor.dimension(2))
                        .with("seqK", tensor.dimension(3))
                        .overElements(tensor.numberOfElements(), groupSize));
        if (sinkGradient.isPresent()) {
            FloatArray parts = new FloatArray(shape.heads() * SINK_PARTS);
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, parts);
            // The rows of a token are its heads: as if each sequence had one query.
            launcher.task("backward-dsinks-parts", Kernel.of(SinkGradient.class, "parts"))
                    .with("sinkParts", parts)
                    .with("seqQ", 1)
                    .overElements(parts.getSize(), groupSize);
            launcher.task("backward-dsinks", Kernel.of(SinkGradient.class, "sum"))
                    .with("sinkParts", parts)
                    .overElements(shape.heads(), groupSize);
        }
    }

    /** The gradients for the sequences that the offsets divide the tensors into. */
    Gradients execute(
            Tensor q,
            Tensor k,
            Tensor v,
            IntArray queryOffsets,
            IntArray keyOffsets,
            AttentionOptions options,
            AttentionResult result,
            Tensor dOut) {
        RaggedShape shape = problem.shape();
        copy(q, query);
        copy(k, key);
        copy(v, value);
        copy(result.output(), output);
        copy(result.logSumExp(), logSumExp);
        copy(dOut, outputGradient);
        // Rows of no sequence have no probabilities, and the sink's is one.
        for (int row = result.logSumExp().numberOfElements(); row < logSumExp.numberOfElements(); row++) {
            logSumExp.setFlat(row, RowTerms.ABOVE_ALL_SCORES);
        }
        for (int head = 0; head < shape.heads(); head++) {
            if (problem.alibi()) {
                HeadTerms.setSlope(headTerms, head, options.alibiSlope(head));
            }
            if (shape.sinks()) {
                HeadTerms.setSink(headTerms, head, options.sinks().orElseThrow().getFlat(head), problem.features());
            }
        }
        RaggedLayout.fill(layout, queryOffsets, keyOffsets, shape.sequences(), shape.queries(), shape.keys());
        CapturedArrays.fill(captured, options);
        plan.execute();
        Tensor dQ = beginning(queryGradient, q);
        Tensor dK = beginning(keyGradient, k);
        Tensor dV = beginning(valueGradient, v);
        return Gradients.of(
                dQ,
                dK,
                dV,
                biasGradient.map(
                        tensor -> tensor.as(options.bias().orElseThrow().dtype())),
                sinkGradient.map(tensor -> beginning(tensor, tensor)));
    }

    /** Zeros follow what is copied: what was there in the last call may be no number. */
    private static void copy(Tensor from, Tensor to) {
        MemorySegment target = to.memory();
        MemorySegment.copy(from.memory(), 0, target, 0, from.byteSize());
        target.asSlice(from.byteSize(), to.byteSize() - from.byteSize()).fill((byte) 0);
    }

    private static Tensor beginning(Tensor of, Tensor like) {
        Tensor part = Tensor.allocate(of.dtype(), like.shape());
        MemorySegment.copy(of.memory(), 0, part.memory(), 0, part.byteSize());
        return part;
    }

    @Override
    public void close() {
        plan.close();
    }
}
