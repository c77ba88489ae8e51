package org.tornadoattention.simulator;

import java.time.Duration;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.ToLongFunction;

/**
 * What one launch of a kernel did.
 *
 * @param task the task, as {@code graph.task}
 * @param kernel the name of the kernel method
 * @param counted whether memory traffic was counted; if not, the kernel method could not be found or counting is off
 * @param workGroups work-groups that ran; for {@code @Parallel} kernels the chunks that the loops were split into
 * @param workItems work-items that ran; 0 for {@code @Parallel} kernels
 * @param global traffic of each array in device memory, in the order of the kernel's parameters
 * @param local traffic of each array in local memory, in the order of allocation
 * @param barriers barriers, counted once for each group that passed one
 * @param collectives warp collectives, counted once for each warp that met; tensor-core operations included
 * @param mmaOperations tensor-core multiplications, counted once for each warp
 * @param time from the start of the first group to the end of the last
 * @param costs what it would cost a GPU, if {@link SimulatorSettings#costs} asks for it
 * @param trace what its work-items did, step by step, if {@link SimulatorSettings#trace} asks for it
 */
public record KernelStatistics(
        String task,
        String kernel,
        boolean counted,
        long workGroups,
        long workItems,
        List<ArrayTraffic> global,
        List<ArrayTraffic> local,
        long barriers,
        long collectives,
        long mmaOperations,
        Duration time,
        Optional<KernelCosts> costs,
        Optional<KernelTrace> trace) {

    /** Copies the lists. */
    public KernelStatistics {
        global = List.copyOf(global);
        local = List.copyOf(local);
    }

    /** Returns the elements read from device memory. */
    public long globalElementsRead() {
        return sum(global, ArrayTraffic::elementsRead);
    }

    /** Returns the elements written to device memory. */
    public long globalElementsWritten() {
        return sum(global, ArrayTraffic::elementsWritten);
    }

    /** Returns the bytes read from device memory. */
    public long globalBytesRead() {
        return sum(global, ArrayTraffic::bytesRead);
    }

    /** Returns the bytes written to device memory. */
    public long globalBytesWritten() {
        return sum(global, ArrayTraffic::bytesWritten);
    }

    /** Returns the elements read from local memory. */
    public long localElementsRead() {
        return sum(local, ArrayTraffic::elementsRead);
    }

    /** Returns the elements written to local memory. */
    public long localElementsWritten() {
        return sum(local, ArrayTraffic::elementsWritten);
    }

    /** Returns the bytes read from local memory. */
    public long localBytesRead() {
        return sum(local, ArrayTraffic::bytesRead);
    }

    /** Returns the bytes written to local memory. */
    public long localBytesWritten() {
        return sum(local, ArrayTraffic::bytesWritten);
    }

    /** Returns the traffic of the array with this name, in device memory or else in local memory. */
    public ArrayTraffic array(String name) {
        return global.stream()
                .filter(traffic -> traffic.name().equals(name))
                .findFirst()
                .or(() -> local.stream()
                        .filter(traffic -> traffic.name().equals(name))
                        .findFirst())
                .orElseThrow(() -> new NoSuchElementException(
                        "Kernel " + kernel + " has no array " + name + "; it has " + global + " and " + local));
    }

    private static long sum(List<ArrayTraffic> arrays, ToLongFunction<ArrayTraffic> property) {
        return arrays.stream().mapToLong(property).sum();
    }
}
