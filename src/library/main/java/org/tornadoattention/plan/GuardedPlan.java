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

    private final Map<String, Tensor> written;
    private final LoudPlan plan;

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
        this.written = written;
        String tile = choice.tileNames().map(names -> " (tile " + names + ")").orElse("");
        plan = new LoudPlan(
                new TornadoExecutionPlan(graph.snapshot())
                        .withDevice(device.handle())
                        .withGridScheduler(grids)
                        .withProfiler(ProfilerMode.SILENT),
                "The kernel " + choice.kernel().id() + tile,
                device);
    }

    /**
     * Runs the graph.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    TornadoExecutionResult execute() {
        written.values().forEach(GuardedPlan::poison);
        TornadoExecutionResult result = plan.execute();
        written.forEach(this::requireWritten);
        if (result.getProfilerResult().getDeviceKernelTime() == 0) {
            throw plan.failure("the device reports no kernel time, so nothing was launched");
        }
        return result;
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
                throw plan.failure("element %,d of the %s was never written".formatted(at / bytes, name));
            }
        }
    }

    /** Bytes that the plan's arrays take on the device. */
    long deviceBytes() {
        return plan.deviceBytes();
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        plan.close();
    }
}
