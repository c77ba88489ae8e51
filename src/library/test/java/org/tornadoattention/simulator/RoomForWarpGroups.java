package org.tornadoattention.simulator;

import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;

/** As much local memory in the simulator as the devices have that warp groups are for. */
final class RoomForWarpGroups implements BeforeEachCallback, AfterEachCallback {

    private static final int LOCAL_MEMORY = 227 << 10;

    private Simulator.Restore restore;

    @Override
    public void beforeEach(ExtensionContext context) {
        restore = Simulator.configure(
                Simulator.settings().withLocalMemory(LOCAL_MEMORY).withSeed(7));
    }

    @Override
    public void afterEach(ExtensionContext context) {
        restore.close();
    }

    /** The simulated device, which says so. */
    static ComputeDevice device() {
        ComputeDevice device = TestDevice.get();
        return device(device.computeUnits(), device.extension().computeCapability());
    }

    /** Such a device of so many multiprocessors, as those of compute capability 9.0 are. */
    static ComputeDevice device(int multiprocessors) {
        return device(multiprocessors, 90);
    }

    private static ComputeDevice device(int multiprocessors, int computeCapability) {
        ComputeDevice device = TestDevice.get();
        CompilerExtension.Support support = device.extension();
        return new ComputeDevice(
                device.backend(),
                device.backendIndex(),
                device.deviceIndex(),
                device.name(),
                device.type(),
                LOCAL_MEMORY,
                device.maxGroupSize(),
                device.maxAllocationBytes(),
                device.globalMemoryBytes(),
                multiprocessors,
                device.halfFloats(),
                new CompilerExtension.Support(support.level(), computeCapability, LOCAL_MEMORY, support.reason()),
                device.handle());
    }
}
