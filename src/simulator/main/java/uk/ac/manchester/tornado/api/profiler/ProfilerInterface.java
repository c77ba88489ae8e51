package uk.ac.manchester.tornado.api.profiler;

/** What a profile tells; all zero unless the profiler is on. */
public interface ProfilerInterface {

    /** Returns the time of the whole execution in nanoseconds. */
    long getTotalTime();

    /** Returns the time spent compiling in nanoseconds. */
    long getCompileTime();

    /** Returns the time that the bytecode compiler took in nanoseconds. */
    long getTornadoCompilerTime();

    /** Returns the time that the driver took to compile in nanoseconds. */
    long getDriverInstallTime();

    /** Returns the time of all copies in nanoseconds. */
    long getDataTransfersTime();

    /** Returns the time of copies to the device in nanoseconds. */
    long getDeviceWriteTime();

    /** Returns the time of copies to the host in nanoseconds. */
    long getDeviceReadTime();

    /** Returns the time spent starting copies in nanoseconds. */
    long getDataTransferDispatchTime();

    /** Returns the time spent starting kernels in nanoseconds. */
    long getKernelDispatchTime();

    /** Returns the time that the kernels ran in nanoseconds. */
    long getDeviceKernelTime();

    /** Returns the profile as text. */
    String getProfileLog();

    /** Returns the bytes copied to the device. */
    long getTotalBytesCopyIn();

    /** Returns the bytes copied to the host. */
    long getTotalBytesCopyOut();

    /** Returns the bytes copied in both directions. */
    long getTotalBytesTransferred();

    /** Returns the bytes of device memory that the graphs of the plan hold. */
    long getTotalDeviceMemoryUsage();
}
