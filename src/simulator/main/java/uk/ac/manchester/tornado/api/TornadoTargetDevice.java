package uk.ac.manchester.tornado.api;

/** The hardware behind a device. */
public interface TornadoTargetDevice {

    /** Returns the name. */
    String getDeviceName();

    /** Returns the bytes of global memory. */
    long getDeviceGlobalMemorySize();

    /** Returns the bytes of local memory that a work-group has. */
    long getDeviceLocalMemorySize();

    /** Returns the number of units that run work-groups. */
    int getDeviceMaxComputeUnits();

    /** Returns the largest work-group per dimension. */
    long[] getDeviceMaxWorkItemSizes();

    /** Returns the largest work-group, all dimensions together. */
    long[] getDeviceMaxWorkGroupSize();

    /** Returns the largest work-group, all dimensions together. */
    int getMaxThreadsPerBlock();

    /** Returns the clock in MHz. */
    int getDeviceMaxClockFrequency();

    /** Returns the bytes of constant memory. */
    long getDeviceMaxConstantBufferSize();

    /** Returns the bytes of the largest single allocation. */
    long getDeviceMaxAllocationSize();

    /** Returns a line about the device. */
    String getDeviceInfo();
}
