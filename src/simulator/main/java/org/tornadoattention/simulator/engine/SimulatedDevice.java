package org.tornadoattention.simulator.engine;

import org.tornadoattention.simulator.Simulator;
import uk.ac.manchester.tornado.api.TornadoTargetDevice;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/** A device of the simulator: this JVM, and memory that is counted apart from that of other devices. */
public final class SimulatedDevice implements TornadoDevice, TornadoTargetDevice {

    private static final int MAX_GROUP_SIZE_Z = 64;

    private final DeviceMemory memory = new DeviceMemory();

    private final int index;

    SimulatedDevice(int index) {
        this.index = index;
    }

    DeviceMemory memory() {
        return memory;
    }

    /** Returns the bytes that plans hold. */
    public long usedMemory() {
        return memory.used();
    }

    @Override
    public void clean() {
        // Memory belongs to plans, which free it themselves.
    }

    @Override
    public String getDeviceName() {
        String number = index == 0 ? "" : " " + index;
        return "tornado-attention simulator" + number + " (" + getDeviceMaxComputeUnits() + " threads)";
    }

    @Override
    public String getDescription() {
        return getDeviceName() + " on " + getDeviceInfo();
    }

    @Override
    public String getPlatformName() {
        return "Simulator";
    }

    @Override
    public TornadoTargetDevice getPhysicalDevice() {
        return this;
    }

    @Override
    public TornadoDeviceType getDeviceType() {
        return TornadoDeviceType.CPU;
    }

    @Override
    public long getMaxAllocMemory() {
        return memory.capacity();
    }

    @Override
    public long getMaxGlobalMemory() {
        return memory.capacity();
    }

    @Override
    public long getDeviceLocalMemorySize() {
        return Simulator.settings().localMemory();
    }

    @Override
    public long[] getDeviceMaxWorkgroupDimensions() {
        return new long[] {Grid.MAX_GROUP_SIZE, Grid.MAX_GROUP_SIZE, MAX_GROUP_SIZE_Z};
    }

    @Override
    public String getDeviceOpenCLCVersion() {
        return "not OpenCL";
    }

    @Override
    public String getDeviceInfo() {
        return System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version");
    }

    @Override
    public int getBackendIndex() {
        return 0;
    }

    @Override
    public TornadoVMBackendType getTornadoVMBackend() {
        return TornadoVMBackendType.JAVA;
    }

    @Override
    public boolean isSPIRVSupported() {
        return false;
    }

    @Override
    public long getDeviceGlobalMemorySize() {
        return memory.capacity();
    }

    @Override
    public int getDeviceMaxComputeUnits() {
        return Simulator.settings().threads();
    }

    @Override
    public long[] getDeviceMaxWorkItemSizes() {
        return getDeviceMaxWorkgroupDimensions();
    }

    @Override
    public long[] getDeviceMaxWorkGroupSize() {
        return new long[] {Grid.MAX_GROUP_SIZE};
    }

    @Override
    public int getMaxThreadsPerBlock() {
        return Grid.MAX_GROUP_SIZE;
    }

    @Override
    public int getDeviceMaxClockFrequency() {
        return 0;
    }

    @Override
    public long getDeviceMaxConstantBufferSize() {
        return memory.capacity();
    }

    @Override
    public long getDeviceMaxAllocationSize() {
        return memory.capacity();
    }

    @Override
    public String toString() {
        return getDescription();
    }
}
