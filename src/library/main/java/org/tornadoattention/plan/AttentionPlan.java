package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Execution;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DeviceMemory;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.PinnedMemory;
import org.tornadoattention.device.Recording.Running;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * One problem, compiled for one device, with its buffers: run it as often as you like, then close it.
 *
 * <p>TornadoVM binds compiled code to the arrays that a graph was built with, so the plan has arrays of its own and
 * copies each call's tensors in and out; a second call compiles nothing and allocates nothing on the device. Tensors in
 * {@link PinnedMemory} the device reads and writes itself from then on.
 *
 * <p>The guard of {@link LaunchGuard} is over the log-sum-exp, and for the kernels that write the output apart from it
 * over the output too.
 */
final class AttentionPlan implements DevicePlan {

    private final AttentionProblem problem;
    private final KernelChoice choice;
    private final Tensor query;
    private final Tensor key;
    private final Tensor value;
    private final Tensor output;
    private final Tensor logSumExp;
    private final AttentionArrays arrays;
    private final LaunchGuard plan;

    /**
     * Builds the graph; the first {@link #execute} compiles it.
     *
     * @throws UnsupportedOnDeviceException if the device's memory is too small
     */
    AttentionPlan(AttentionProblem problem, KernelChoice choice, ComputeDevice device) {
        this.problem = problem;
        this.choice = choice;
        DeviceMemory.of(problem, choice).requireFitting(device);

        AttentionShape shape = problem.shape();
        query = Tensor.allocate(problem.dtype(), shape.queryShape());
        key = Tensor.allocate(problem.dtype(), shape.keyShape());
        value = Tensor.allocate(problem.dtype(), shape.valueShape());
        output = Tensor.allocate(problem.dtype(), shape.outputShape());
        logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        arrays = AttentionArrays.of(
                problem,
                query,
                key,
                value,
                output,
                logSumExp,
                CapturedArrays.like(problem.functions()),
                device.halfFloats());

        TaskGraph graph = new TaskGraph("attention");
        GridScheduler grids = new GridScheduler();
        List<Object> inputs =
                new ArrayList<>(List.of(arrays.query(), arrays.key(), arrays.value(), arrays.logSumExp()));
        if (choice.kernel().spec().writesOutputApart()) {
            inputs.add(arrays.output());
        }
        inputs.add(arrays.headTerms());
        inputs.add(arrays.keyLengths());
        inputs.addAll(arrays.captured());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, inputs.toArray());
        AttentionTasks.append(graph, grids, "forward", problem, choice, device, arrays);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, arrays.output(), arrays.logSumExp());
        plan = LaunchGuard.of(graph, grids, "The kernel " + choice, device)
                .timed()
                .poisoning(
                        choice.kernel().spec().writesOutputApart()
                                ? Map.of("log-sum-exp", logSumExp, "output", output)
                                : Map.of("log-sum-exp", logSumExp));
    }

    /**
     * Runs the problem on these tensors, whose shapes and types are the plan's.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    Execution execute(Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor o, Tensor lse) {
        long start = System.nanoTime();
        Map<TornadoNativeArray, MemorySegment> places = places(q, k, v, o);
        bring(q, query, arrays.query(), places);
        bring(k, key, arrays.key(), places);
        bring(v, value, arrays.value(), places);
        arrays.fill(problem, options);
        Execution execution;
        if (places.isEmpty()) {
            execution = plan.execution(choice, plan.execute(), start);
        } else {
            Duration kernels = plan.execute(places);
            execution = plan.execution(choice, kernels, Duration.ZERO, start);
        }
        if (!places.containsKey(arrays.output())) {
            o.copyFrom(output);
        }
        lse.copyFrom(logSumExp);
        return execution;
    }

    /** Whether the plan can be {@link #start started}: from the second execution on, where it can be recorded. */
    boolean takesPlaces() {
        return plan.takesPlaces();
    }

    /**
     * Gives the problem to the device, over page-locked memory with the tensors' elements, and does not wait.
     *
     * @param lse where the log-sum-exp goes, {@link LaunchGuard#poison poisoned}
     * @throws AttentionException if the device or its driver fails
     */
    Running start(MemorySegment q, MemorySegment k, MemorySegment v, MemorySegment o, MemorySegment lse) {
        Map<TornadoNativeArray, MemorySegment> places = new IdentityHashMap<>();
        places.put(arrays.query(), q);
        places.put(arrays.key(), k);
        places.put(arrays.value(), v);
        places.put(arrays.output(), o);
        places.put(arrays.logSumExp(), lse);
        return plan.start(places);
    }

    /**
     * Waits for what was started.
     *
     * @return the time of the kernels
     * @throws AttentionException if the device or its driver fails
     */
    Duration await(Running running) {
        return plan.await(running);
    }

    /**
     * Looks at the log-sum-exp of what was started.
     *
     * @throws AttentionException if an element was not written
     */
    void requireWritten(MemorySegment lse) {
        plan.requireWritten("log-sum-exp", lse);
    }

    /** What executions took that were started. */
    Execution execution(Duration kernels, Duration compiling, long start) {
        return plan.execution(choice, kernels, compiling, start);
    }

    /**
     * The tensors' memory that the device reads and writes itself, for the arrays that it stands in for: where it is
     * page-locked, and the plan takes it.
     */
    private Map<TornadoNativeArray, MemorySegment> places(Tensor q, Tensor k, Tensor v, Tensor o) {
        Map<TornadoNativeArray, MemorySegment> places = new IdentityHashMap<>();
        place(q, arrays.query(), places);
        place(k, arrays.key(), places);
        place(v, arrays.value(), places);
        if (!choice.kernel().spec().writesOutputApart()) {
            place(o, arrays.output(), places);
        }
        return places.isEmpty() || !plan.takesPlaces() ? Map.of() : places;
    }

    private static void place(Tensor tensor, TornadoNativeArray array, Map<TornadoNativeArray, MemorySegment> places) {
        if (!tensor.isView() && PinnedMemory.holds(tensor.memory())) {
            places.put(array, tensor.memory());
        }
    }

    private static void bring(
            Tensor from, Tensor to, TornadoNativeArray array, Map<TornadoNativeArray, MemorySegment> places) {
        if (!places.containsKey(array)) {
            to.copyFrom(from);
        }
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        plan.close();
    }
}
