package org.tornadoattention.plan;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
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

    private final KernelChoice choice;
    private final ComputeDevice device;
    private final BackwardTensors own;
    private final BackwardArrays arrays;
    private final GuardedPlan plan;

    /**
     * Builds the graph; the first {@link #execute} compiles it.
     *
     * @param like tensors like those of the calls to come
     * @throws UnsupportedOnDeviceException if the device's memory is too small
     */
    BackwardPlan(AttentionProblem problem, BackwardTensors like, KernelChoice choice, ComputeDevice device) {
        this.choice = choice;
        this.device = device;
        DeviceMemory.ofBackward(problem, choice.kernel()).requireFitting(device);

        own = new BackwardTensors(
                twin(like.q()),
                twin(like.k()),
                twin(like.v()),
                twin(like.output()),
                twin(like.logSumExp()),
                twin(like.dO()),
                like.dLse().map(BackwardPlan::twin),
                twin(like.dQ()),
                twin(like.dK()),
                twin(like.dV()),
                like.options());
        AttentionShape shape = problem.shape();
        Tensor rowTerms = Tensor.allocate(DType.F32, shape.batch(), shape.heads(), shape.seqQ(), 2);
        arrays = BackwardArrays.of(problem, own, rowTerms.floatArray(), device.halfFloats());

        TaskGraph graph = new TaskGraph("attention");
        GridScheduler grids = new GridScheduler();
        List<Object> inputs = arrays.inputs();
        List<Object> outputs =
                List.of(arrays.queryGradient(), arrays.keyGradient(), arrays.valueGradient(), arrays.rowTerms());
        inputs.addAll(outputs);
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, inputs.toArray());
        BackwardTasks.append(graph, grids, "backward", problem, choice, device, arrays);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, outputs.toArray());
        plan = new GuardedPlan(
                graph,
                grids,
                choice,
                device,
                Map.of("row terms", rowTerms, "dQ", own.dQ(), "dK", own.dK(), "dV", own.dV()));
    }

    private static Tensor twin(Tensor tensor) {
        return Tensor.allocate(tensor.dtype(), tensor.shape());
    }

    /**
     * Runs the problem on these tensors, whose shapes and types are the plan's.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    Execution execute(BackwardTensors tensors) {
        long start = System.nanoTime();
        own.q().copyFrom(tensors.q());
        own.k().copyFrom(tensors.k());
        own.v().copyFrom(tensors.v());
        own.output().copyFrom(tensors.output());
        own.logSumExp().copyFrom(tensors.logSumExp());
        own.dO().copyFrom(tensors.dO());
        Optional<Tensor> dLse = own.dLse();
        dLse.ifPresent(array -> array.copyFrom(tensors.dLse().orElseThrow()));
        arrays.forward().fill(tensors.options());
        TornadoExecutionResult result = plan.execute();
        tensors.dQ().copyFrom(own.dQ());
        tensors.dK().copyFrom(own.dK());
        tensors.dV().copyFrom(own.dV());
        return new Execution(
                device,
                choice,
                Duration.ofNanos(result.getProfilerResult().getDeviceKernelTime()),
                Duration.ofNanos(result.getProfilerResult().getCompileTime()),
                Duration.ofNanos(System.nanoTime() - start),
                plan.deviceBytes());
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        plan.close();
    }
}
