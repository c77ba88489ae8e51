package org.tornadoattention.bench;

import org.jspecify.annotations.Nullable;
import org.tornadoattention.Execution;
import org.tornadoattention.choice.DeviceMemory;

/**
 * Bytes of one kernel on one problem, as they stand in files.
 *
 * @param tensorBytes q, k, v and the output, and their gradients where those are computed
 * @param extraBytes what the kernel needs beyond them
 * @param deviceBytes what the runtime says that it allocated; null where it does not say, as TornadoVM 5.2 for graphs
 *     of several tasks, of which it counts the last
 * @param globalBytes what the kernels read from and wrote to device memory, as the simulator counted; null elsewhere
 */
public record Memory(
        long tensorBytes,
        long extraBytes,
        @Nullable Long deviceBytes,
        @Nullable Long globalBytes) {

    /** What a plan needs, and what the runtime counted of it: less than that is no count. */
    public static Memory of(DeviceMemory memory, long deviceBytes, @Nullable Long globalBytes) {
        return new Memory(
                memory.tensorBytes(),
                memory.extraBytes(),
                deviceBytes < memory.totalBytes() ? null : Long.valueOf(deviceBytes),
                globalBytes);
    }

    /** Of a run on the JVM, which tells what its threads had beside the tensors. */
    public static Memory onJvm(DeviceMemory memory, Execution execution) {
        return of(memory, memory.totalBytes() + execution.deviceBytes(), null);
    }

    /** Bytes beyond the tensors: what the runtime allocated, or what the kernel asked for where it does not say. */
    public long beyondTensors() {
        return deviceBytes == null ? extraBytes : deviceBytes - tensorBytes;
    }
}
