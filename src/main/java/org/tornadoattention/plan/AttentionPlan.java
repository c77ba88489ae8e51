package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * One problem, compiled for one device, with its buffers: run it as often as you like, then close it.
 *
 * <p>TornadoVM binds compiled code to the arrays that a graph was built with, so the plan has arrays of its own and
 * copies each call's tensors in and out; a second call compiles nothing and allocates nothing on the device.
 *
 * <p>TornadoVM prints a failed launch and throws nothing. Each call therefore first fills the log-sum-exp, and for the
 * kernels that write the output apart from it the output too, with a bit pattern that no kernel can produce, and raises
 * an exception when any of it is left.
 */
final class AttentionPlan implements AutoCloseable {

    /** A quiet NaN with a payload: arithmetic gives other NaNs, so only an unwritten element can hold it. */
    private static final int POISON = 0x7fc5a5a5;

    private final AttentionProblem problem;
    private final KernelChoice choice;
    private final ComputeDevice device;
    private final Tensor query;
    private final Tensor key;
    private final Tensor value;
    private final Tensor output;
    private final Tensor logSumExp;
    private final AttentionArrays arrays;
    private final TornadoExecutionPlan plan;

    /**
     * Builds the graph; the first {@link #execute} compiles it.
     *
     * @throws UnsupportedOnDeviceException if the device's memory is too small
     */
    AttentionPlan(AttentionProblem problem, KernelChoice choice, ComputeDevice device) {
        this.problem = problem;
        this.choice = choice;
        this.device = device;
        DeviceMemory.of(problem, choice.kernel()).requireFitting(device);

        AttentionShape shape = problem.shape();
        query = Tensor.allocate(problem.dtype(), shape.queryShape());
        key = Tensor.allocate(problem.dtype(), shape.keyShape());
        value = Tensor.allocate(problem.dtype(), shape.keyShape());
        output = Tensor.allocate(problem.dtype(), shape.queryShape());
        logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        arrays = AttentionArrays.of(problem, query, key, value, output, logSumExp, device.halfFloats());

        TaskGraph graph = new TaskGraph("attention");
        GridScheduler grids = new GridScheduler();
        List<Object> inputs =
                new ArrayList<>(List.of(arrays.query(), arrays.key(), arrays.value(), arrays.logSumExp()));
        if (outputIsPoisoned()) {
            inputs.add(arrays.output());
        }
        inputs.add(arrays.alibiSlopes());
        inputs.add(arrays.keyLengths());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, inputs.toArray());
        AttentionTasks.append(graph, grids, "forward", problem, choice, device, arrays);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, arrays.output(), arrays.logSumExp());

        plan = new TornadoExecutionPlan(graph.snapshot())
                .withDevice(device.handle())
                .withGridScheduler(grids)
                .withProfiler(ProfilerMode.SILENT);
    }

    /**
     * Runs the problem on these tensors, whose shapes and types are the plan's.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    Execution execute(Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor o, Tensor lse) {
        long start = System.nanoTime();
        query.copyFrom(q);
        key.copyFrom(k);
        value.copyFrom(v);
        arrays.fill(options.alibiSlopes(), options.keyLengths());
        poison(logSumExp);
        if (outputIsPoisoned()) {
            poison(output);
        }
        TornadoExecutionResult result = run();
        Duration kernelTime = Duration.ofNanos(result.getProfilerResult().getDeviceKernelTime());
        requireWritten(logSumExp, "log-sum-exp");
        if (outputIsPoisoned()) {
            requireWritten(output, "output");
        }
        if (kernelTime.isZero()) {
            throw failure("the device reports no kernel time, so nothing was launched", null);
        }
        o.copyFrom(output);
        lse.copyFrom(logSumExp);
        return new Execution(
                device,
                choice,
                kernelTime,
                Duration.ofNanos(result.getProfilerResult().getCompileTime()),
                Duration.ofNanos(System.nanoTime() - start),
                plan.getCurrentDeviceMemoryUsage());
    }

    private TornadoExecutionResult run() {
        try {
            return plan.execute();
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            throw failure(firstLine(e), e);
        }
    }

    private AttentionException failure(String what, Throwable cause) {
        return new AttentionException(
                "The kernel %s%s failed on %s: %s. TornadoVM's own message, if any, is above this one."
                        .formatted(
                                choice.kernel().id(),
                                choice.tile()
                                        .map(tile -> " (tile " + tile + ")")
                                        .orElse(""),
                                device,
                                what),
                cause);
    }

    static String firstLine(Throwable error) {
        String message = String.valueOf(error.getMessage()).replaceAll("\u001B\\[[;\\d]*m", "");
        return error.getClass().getSimpleName() + ": " + message.strip().replaceAll("\\R\\s*", " ");
    }

    /** The kernels of standard attention write the output after, and apart from, the log-sum-exp. */
    private boolean outputIsPoisoned() {
        return choice.kernel() == AttentionKernel.STANDARD;
    }

    private static void poison(Tensor tensor) {
        MemorySegment elements = tensor.floatArray().getSegment();
        for (long at = 0; at < elements.byteSize(); at += Integer.BYTES) {
            elements.set(ValueLayout.JAVA_INT_UNALIGNED, at, POISON);
        }
    }

    private void requireWritten(Tensor tensor, String name) {
        MemorySegment elements = tensor.floatArray().getSegment();
        for (long at = 0; at < elements.byteSize(); at += Integer.BYTES) {
            if (elements.get(ValueLayout.JAVA_INT_UNALIGNED, at) == POISON) {
                throw failure("element %,d of the %s was never written".formatted(at / Integer.BYTES, name), null);
            }
        }
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        try {
            plan.freeDeviceMemory();
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The memory of a plan on %s could not be freed.".formatted(device), e);
        }
    }
}
