package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.util.function.Supplier;
import org.tornadoattention.device.CompilerExtension.Recorded;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * A plan of the caller's that is executed again and again, as it is: what TornadoVM's interpreter gave the device's
 * driver in one execution is recorded, and then given to it directly. The kernels, their order, grids and memory are
 * the same, and so are the transfers of every execution, from and to the same arrays; what they hold may change.
 *
 * <pre>{@code
 * plan.withDevice(device.handle()).withGridScheduler(grids);
 * ReplayedPlan replayed = ReplayedPlan.of(plan, device);
 * for (...) {
 *     replayed.execute();
 * }
 * replayed.result().transferToHost(output.array());
 * }</pre>
 *
 * <p>The CUDA backend with its extension records. Elsewhere, and for a plan that cannot be recorded, each execution is
 * the plan's own: {@link #isRecorded} and {@link #reason} tell. Plans with a profiler, with several queues, with tasks
 * of libraries or with Java arrays as arguments cannot.
 *
 * <p>A launch that the driver refuses raises an exception, and so does the use of a plan that was closed or whose
 * memory was freed. Grids, graphs and devices are those of the recording: make a new one where they change. One thread
 * at a time may use it, any thread.
 */
public final class ReplayedPlan {

    private final ComputeDevice device;
    private final Supplier<TornadoExecutionResult> plan;
    private final Recorded recorded;
    private TornadoExecutionResult result;

    /** For tests: the plan's executions, and what recording them came to. */
    ReplayedPlan(
            ComputeDevice device,
            Supplier<TornadoExecutionResult> plan,
            TornadoExecutionResult result,
            Recorded recorded) {
        this.device = device;
        this.plan = plan;
        this.result = result;
        this.recorded = recorded;
    }

    /**
     * Executes a plan twice: the first execution compiles, and brings what is transferred once; the second is recorded.
     *
     * @param plan a plan with its device and its GridScheduler
     * @param device the device of all its tasks
     * @return the plan, to be executed by this object from now on
     * @throws IllegalArgumentException if something is null
     */
    public static ReplayedPlan of(TornadoExecutionPlan plan, ComputeDevice device) {
        required(plan, "plan", "make it with new TornadoExecutionPlan(graph.snapshot())");
        required(device, "device", "give the one that the plan was given");
        plan.execute();
        return ofExecuted(plan, device);
    }

    /**
     * Executes a plan once more that was executed before, and records that: for plans whose executions count, such as
     * steps of a training.
     *
     * @param plan a plan with its device and its GridScheduler, executed once or more
     * @param device the device of all its tasks
     * @return the plan, to be executed by this object from now on; its {@link #result} is that of this execution
     * @throws IllegalArgumentException if something is null
     */
    public static ReplayedPlan ofExecuted(TornadoExecutionPlan plan, ComputeDevice device) {
        required(plan, "plan", "make it with new TornadoExecutionPlan(graph.snapshot())");
        required(device, "device", "give the one that the plan was given");
        return ofExecutions(device, plan::execute);
    }

    /**
     * Executes the graphs of a plan once more, one behind the other, that were executed so before, and records that:
     * for what one graph cannot hold. Each graph consumes what the one before it left on the device.
     *
     * @param plan a plan with its device and its GridScheduler, each graph executed once or more
     * @param device the device of all its tasks
     * @param graphs how many graphs the plan has
     * @return the plan, to be executed by this object from now on; its {@link #result} is that of the last graph
     * @throws IllegalArgumentException if something is null, or there is no graph
     */
    public static ReplayedPlan ofExecuted(TornadoExecutionPlan plan, ComputeDevice device, int graphs) {
        required(plan, "plan", "make it with new TornadoExecutionPlan(graphs)");
        required(device, "device", "give the one that the plan was given");
        if (graphs < 1) {
            throw new IllegalArgumentException("%d graphs: give the number that the plan has.".formatted(graphs));
        }
        return ofExecutions(device, () -> {
            for (int graph = 0; graph < graphs - 1; graph++) {
                plan.withGraph(graph).execute();
            }
            return plan.withGraph(graphs - 1).execute();
        });
    }

    private static ReplayedPlan ofExecutions(ComputeDevice device, Supplier<TornadoExecutionResult> executions) {
        TornadoExecutionResult[] result = new TornadoExecutionResult[1];
        Recorded recorded =
                CompilerExtension.record(device.backend(), device.handle(), () -> result[0] = executions.get());
        return new ReplayedPlan(device, executions, result[0], recorded);
    }

    /**
     * Executes the plan and waits for it.
     *
     * @throws IllegalStateException if the driver refuses, or the plan was closed
     */
    public void execute() {
        launch();
        await();
    }

    /**
     * Begins an execution, and returns while the device is at it, so that other devices can be given work too. Without
     * a recording, it returns when the execution is done.
     *
     * @throws IllegalStateException if the driver refuses, or the plan was closed
     */
    public void launch() {
        if (recorded.recording().isEmpty()) {
            result = plan.get();
            return;
        }
        try {
            recorded.recording().get().launch();
        } catch (IllegalStateException e) {
            throw failure(e);
        }
    }

    /**
     * Copies an array on this plan's device to one on another's, over the shortest way that the hardware has, when what
     * was launched before is done. {@link #await} waits for it; the receiver must be at rest meanwhile.
     *
     * @param array an array that this plan brings to its device
     * @param receiver a plan that is recorded too, on this device or another of its backend
     * @param target an array of as many bytes that the receiver brings to its device
     * @throws IllegalArgumentException if something is null, an array is not on its device, or sizes differ
     * @throws IllegalStateException if one of the two is not recorded or was closed, or the driver refuses
     */
    public void send(TornadoNativeArray array, ReplayedPlan receiver, TornadoNativeArray target) {
        required(array, "array");
        required(receiver, "receiver");
        required(target, "target");
        try {
            recording().send(array, receiver.recording(), target);
        } catch (IllegalStateException e) {
            throw failure(e);
        }
    }

    private Recording recording() {
        return recorded.recording().orElseThrow(() -> new IllegalStateException(recorded.reason()));
    }

    /**
     * Waits for what {@link #launch} began.
     *
     * @throws IllegalStateException if the device failed at it
     */
    public void await() {
        try {
            recorded.recording().ifPresent(each -> each.await());
        } catch (IllegalStateException e) {
            throw failure(e);
        }
    }

    private IllegalStateException failure(IllegalStateException cause) {
        return new IllegalStateException(
                "A plan on %s could not be executed again: %s.".formatted(device, cause.getMessage()), cause);
    }

    /**
     * Whether executions are given to the driver directly.
     *
     * @return false if each is an execution of the plan
     */
    public boolean isRecorded() {
        return recorded.recording().isPresent();
    }

    /**
     * Why nothing was recorded.
     *
     * @return a clause, empty where there is a recording
     */
    public String reason() {
        return recorded.reason();
    }

    /**
     * Brings arrays that are transferred under demand to the host, as they are now on the device.
     *
     * @return the result of TornadoVM's last execution
     */
    public TornadoExecutionResult result() {
        return result;
    }
}
