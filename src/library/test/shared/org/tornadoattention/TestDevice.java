package org.tornadoattention;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Capability;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;

/**
 * The device that tests of kernels and task graphs run on: the best one here that runs task graphs, or the best of the
 * backend that {@code -Dattention.backend} names.
 */
public final class TestDevice {

    private TestDevice() {}

    public static ComputeDevice get() {
        return Optional.ofNullable(System.getProperty("attention.backend"))
                .map(backend -> Devices.find(Optional.of(Backend.parse(backend)), Optional.empty()))
                .orElseGet(Devices::bestForTaskGraphs);
    }

    /** The device of a kernel: the JVM for the one that is its own. */
    public static ComputeDevice of(AttentionKernel kernel) {
        return kernel.spec().capability() == Capability.JVM ? jvm() : get();
    }

    /** The device of a kernel; where it lacks what the kernel needs the test is left out. */
    public static ComputeDevice assumed(AttentionKernel kernel) {
        ComputeDevice device = of(kernel);
        assumeTrue(kernel.supports(device), () -> device + " lacks what " + kernel + " needs");
        return device;
    }

    /**
     * Whether a kernel's tests run here: its device has what it needs, and in a JVM that has the first tier of
     * compiling alone, or is for what wants the second, the kernel belongs there. Vectors are nothing without the
     * second, and the build runs tests with the tag {@code both-tiers} in a JVM of each kind.
     */
    public static boolean tries(AttentionKernel kernel) {
        boolean vectors = kernel.spec().capability() == Capability.JVM;
        return kernel.supports(of(kernel))
                && switch (System.getProperty("attention.tier", "any")) {
                    case "first" -> !vectors;
                    case "second" -> vectors;
                    default -> true;
                };
    }

    /** The JVM itself, which is everywhere. */
    public static ComputeDevice jvm() {
        return Devices.find(Optional.of(Backend.JVM), Optional.empty());
    }

    /**
     * Whether a kernel's warps or tensor cores are simulated: 32 threads wait for each other at each of their
     * instructions, some ten times as slow as the portable kernels there.
     */
    public static boolean simulatesWarps(AttentionKernel kernel) {
        return of(kernel).isSimulator() && kernel.spec().capability() != Capability.NONE;
    }

    /** The same device, said to have other limits, in bytes and work-items. */
    public static ComputeDevice limited(long localMemory, long groupSize, long allocation, long memory) {
        ComputeDevice device = get();
        return like(device, localMemory, groupSize, allocation, memory, device.computeUnits(), device.halfFloats());
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
                device.computeUnits(),
                false);
    }

    /** The same device, said to have so many cores or multiprocessors. */
    public static ComputeDevice withUnits(int units) {
        ComputeDevice device = get();
        return like(
                device,
                device.localMemoryBytes(),
                device.maxGroupSize(),
                device.maxAllocationBytes(),
                device.globalMemoryBytes(),
                units,
                device.halfFloats());
    }

    private static ComputeDevice like(
            ComputeDevice device,
            long localMemory,
            long groupSize,
            long allocation,
            long memory,
            int units,
            boolean halfFloats) {
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
                units,
                halfFloats,
                device.extension(),
                device.handle());
    }
}
