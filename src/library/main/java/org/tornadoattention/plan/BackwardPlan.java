package org.tornadoattention.plan;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Execution;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DeviceMemory;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;

/**
 * The backward pass of one problem, compiled for one device, with its buffers: {@link AttentionPlan}'s other half. The
 * guard is over the gradients and the row terms that they are made from.
 */
final class BackwardPlan implements DevicePlan {

    private final AttentionProblem problem;
    private final KernelChoice choice;
    private final BackwardTensors own;
    private final BackwardArrays arrays;
    private final LaunchGuard plan;

    /**
     * Builds the graph; the first {@link #execute} compiles it.
     *
     * @param like tensors like those of the calls to come
     * @throws UnsupportedOnDeviceException if the device's memory is too small
     */
    BackwardPlan(AttentionProblem problem, BackwardTensors like, KernelChoice choice, ComputeDevice device) {
        this.problem = problem;
        this.choice = choice;
        DeviceMemory.ofBackward(problem, choice.kernel()).requireFitting(device);

        BackwardTensors.Builder named = BackwardTensors.builder()
                .q(twin(like.q()))
                .k(twin(like.k()))
                .v(twin(like.v()))
                .output(twin(like.output()))
                .logSumExp(twin(like.logSumExp()))
                .dOut(twin(like.dOut()))
                .dQ(twin(like.dQ()))
                .dK(twin(like.dK()))
                .dV(twin(like.dV()));
        like.dLse().map(BackwardPlan::twin).ifPresent(named::dLse);
        like.dBias().map(BackwardPlan::twin).ifPresent(named::dBias);
        like.dSinks().map(BackwardPlan::twin).ifPresent(named::dSinks);
        own = named.build();
        AttentionShape shape = problem.shape();
        Tensor rowTerms = Tensor.allocate(DType.F32, shape.batch(), shape.heads(), shape.seqQ(), 2);
        arrays = BackwardArrays.of(
                problem, own, rowTerms.floatArray(), CapturedArrays.like(problem.functions()), device.halfFloats());

        TaskGraph graph = new TaskGraph("attention");
        GridScheduler grids = new GridScheduler();
        List<Object> inputs = arrays.inputs();
        List<Object> outputs = new ArrayList<>(
                List.of(arrays.queryGradient(), arrays.keyGradient(), arrays.valueGradient(), arrays.rowTerms()));
        Map<String, Tensor> poisoned =
                new HashMap<>(Map.of("row terms", rowTerms, "dQ", own.dQ(), "dK", own.dK(), "dV", own.dV()));
        own.dBias().ifPresent(tensor -> {
            outputs.add(tensor.array());
            poisoned.put("dBias", tensor);
        });
        own.dSinks().ifPresent(tensor -> {
            outputs.add(tensor.array());
            poisoned.put("dSinks", tensor);
        });
        inputs.addAll(outputs);
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, inputs.toArray());
        BackwardTasks.append(graph, grids, "backward", problem, choice, device, arrays, WantedGradients.ALL);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, outputs.toArray());
        plan = LaunchGuard.of(graph, grids, "The kernel " + choice, device)
                .timed()
                .poisoning(poisoned);
    }

    private static Tensor twin(Tensor tensor) {
        return Tensor.allocate(tensor.dtype(), tensor.shape());
    }

    /**
     * Runs the problem on these tensors, whose shapes and types are the plan's.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    Execution execute(BackwardTensors tensors, AttentionOptions options) {
        long start = System.nanoTime();
        own.q().copyFrom(tensors.q());
        own.k().copyFrom(tensors.k());
        own.v().copyFrom(tensors.v());
        own.output().copyFrom(tensors.output());
        own.logSumExp().copyFrom(tensors.logSumExp());
        own.dOut().copyFrom(tensors.dOut());
        Optional<Tensor> dLse = own.dLse();
        dLse.ifPresent(array -> array.copyFrom(tensors.dLse().orElseThrow()));
        arrays.forward().fill(problem, options);
        TornadoExecutionResult result = plan.execute();
        tensors.dQ().copyFrom(own.dQ());
        tensors.dK().copyFrom(own.dK());
        tensors.dV().copyFrom(own.dV());
        tensors.dBias().ifPresent(tensor -> tensor.copyFrom(own.dBias().orElseThrow()));
        tensors.dSinks().ifPresent(tensor -> tensor.copyFrom(own.dSinks().orElseThrow()));
        return plan.execution(choice, result, start);
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        plan.close();
    }
}
