package org.tornadoattention.simulator;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpGroupGradientsTest;

/** All gradients in one kernel, with as much local memory as the devices have that the kernel is for. */
class SimulatedWarpGroupGradientsTest extends WarpGroupGradientsTest {

    private static final int LOCAL_MEMORY = 227 << 10;

    private Simulator.Restore restore;

    @BeforeEach
    void giveMoreLocalMemory() {
        restore = Simulator.configure(
                Simulator.settings().withLocalMemory(LOCAL_MEMORY).withSeed(7));
    }

    @AfterEach
    void restore() {
        restore.close();
    }

    @Override
    protected ComputeDevice device() {
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
                device.computeUnits(),
                device.halfFloats(),
                new CompilerExtension.Support(
                        support.level(), support.computeCapability(), LOCAL_MEMORY, support.reason()),
                device.handle());
    }
}
