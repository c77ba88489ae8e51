package org.tornadoattention;

import java.util.Optional;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Capability;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;

/** The device that tests run on: the best one here, or the best of the backend that {@code -Dattention.backend} names. */
public final class TestDevice {

    private TestDevice() {}

    public static ComputeDevice get() {
        return Devices.find(
                Optional.ofNullable(System.getProperty("attention.backend")).map(Backend::parse), Optional.empty());
    }

    /**
     * Whether a kernel's warps or tensor cores are simulated: 32 threads wait for each other at each of their instructions,
     * some ten times as slow as the portable kernels there.
     */
    public static boolean simulatesWarps(AttentionKernel kernel) {
        return get().isSimulator() && kernel.spec().capability() != Capability.NONE;
    }

    /** The same device, said to have other limits, in bytes and work-items. */
    public static ComputeDevice limited(long localMemory, long groupSize, long allocation, long memory) {
        ComputeDevice device = get();
        return like(device, localMemory, groupSize, allocation, memory, device.halfFloats());
    }

    /** The same device, said to lack 16-bit floats: F16 is decoded from raw bits there. */
    public static ComputeDevice withoutHalfFloats() {
        ComputeDevice device = get();
        return like(
                device,
                device.localMemoryBytes(),
                device.maxGroupSize(),
                device.maxAllocationBytes(),
                device.globalMemoryBytes(),
                false);
    }

    private static ComputeDevice like(
            ComputeDevice device, long localMemory, long groupSize, long allocation, long memory, boolean halfFloats) {
        return new ComputeDevice(
                device.backend(),
                device.backendIndex(),
                device.deviceIndex(),
                "limited " + device.name(),
                device.type(),
                localMemory,
                groupSize,
                allocation,
                memory,
                device.computeUnits(),
                halfFloats,
                device.extension(),
                device.handle());
    }
}
