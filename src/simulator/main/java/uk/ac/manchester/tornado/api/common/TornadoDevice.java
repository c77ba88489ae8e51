package uk.ac.manchester.tornado.api.common;

import uk.ac.manchester.tornado.api.TornadoTargetDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/** A device that runs kernels. */
public interface TornadoDevice {

    /** Frees all memory of the device. */
    void clean();

    /** Returns the name. */
    String getDeviceName();

    /** Returns a line about the device. */
    String getDescription();

    /** Returns the name of the platform that the device belongs to. */
    String getPlatformName();

    /** Returns the hardware. */
    TornadoTargetDevice getPhysicalDevice();

    /** Returns the kind of device. */
    TornadoDeviceType getDeviceType();

    /** Returns the bytes of the largest single allocation. */
    long getMaxAllocMemory();

    /** Returns the bytes of global memory. */
    long getMaxGlobalMemory();

    /** Returns the bytes of local memory that a work-group has. */
    long getDeviceLocalMemorySize();

    /** Returns the largest work-group per dimension. */
    long[] getDeviceMaxWorkgroupDimensions();

    /** Returns the version of OpenCL C, where there is one. */
    String getDeviceOpenCLCVersion();

    /** Returns what more is known about the device. */
    Object getDeviceInfo();

    /** Returns the index of the backend in the runtime. */
    int getBackendIndex();

    /** Returns the number of processors of the host. */
    default int getAvailableProcessors() {
        return Runtime.getRuntime().availableProcessors();
    }

    /** Returns the backend that serves the device. */
    TornadoVMBackendType getTornadoVMBackend();

    /** Returns whether the device runs SPIR-V. */
    boolean isSPIRVSupported();
}
