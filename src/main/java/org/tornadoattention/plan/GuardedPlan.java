package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import org.tornadoattention.AttentionException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * A compiled graph that does not fail in silence.
 *
 * <p>TornadoVM prints a failed launch and throws nothing. Each run therefore first fills what the kernels must write with
 * a bit pattern that no kernel can produce, and raises an exception when any of it is left, or when no time was spent.
 */
final class GuardedPlan implements DevicePlan {

    /** A quiet NaN with a payload: arithmetic gives other NaNs, so only an unwritten element can hold it. */
    private static final int POISON = 0x7fc5a5a5;

    /** The like in F16 and in BF16: conversions of a NaN give other payloads. */
    private static final short POISON_16_BITS = 0x7fa5;

    private final KernelChoice choice;
    private final ComputeDevice device;
    private final Map<String, Tensor> written;
    private final TornadoExecutionPlan plan;

    /**
     * Takes the graph as it is; the first {@link #execute} compiles it.
     *
     * @param written what the kernels must write in each run, by the name it has in messages; it must be transferred to
     *     the device and back in every execution
     */
    GuardedPlan(
            TaskGraph graph,
            GridScheduler grids,
            KernelChoice choice,
            ComputeDevice device,
            Map<String, Tensor> written) {
        this.choice = choice;
        this.device = device;
        this.written = written;
        plan = new TornadoExecutionPlan(graph.snapshot())
                .withDevice(device.handle())
                .withGridScheduler(grids)
                .withProfiler(ProfilerMode.SILENT);
    }

    /**
     * Runs the graph.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    TornadoExecutionResult execute() {
        written.values().forEach(GuardedPlan::poison);
        TornadoExecutionResult result = run();
        written.forEach(this::requireWritten);
        if (result.getProfilerResult().getDeviceKernelTime() == 0) {
            throw failure("the device reports no kernel time, so nothing was launched", null);
        }
        return result;
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

    private static void poison(Tensor tensor) {
        MemorySegment elements = tensor.array().getSegment();
        if (tensor.dtype() == DType.F32) {
            for (long at = 0; at < elements.byteSize(); at += Integer.BYTES) {
                elements.set(ValueLayout.JAVA_INT_UNALIGNED, at, POISON);
            }
        } else {
            for (long at = 0; at < elements.byteSize(); at += Short.BYTES) {
                elements.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, POISON_16_BITS);
            }
        }
    }

    private void requireWritten(String name, Tensor tensor) {
        MemorySegment elements = tensor.array().getSegment();
        boolean wide = tensor.dtype() == DType.F32;
        int bytes = tensor.dtype().byteSize();
        for (long at = 0; at < elements.byteSize(); at += bytes) {
            boolean untouched = wide
                    ? elements.get(ValueLayout.JAVA_INT_UNALIGNED, at) == POISON
                    : elements.get(ValueLayout.JAVA_SHORT_UNALIGNED, at) == POISON_16_BITS;
            if (untouched) {
                throw failure("element %,d of the %s was never written".formatted(at / bytes, name), null);
            }
        }
    }

    /** Bytes that the plan's arrays take on the device. */
    long deviceBytes() {
        return plan.getCurrentDeviceMemoryUsage();
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
