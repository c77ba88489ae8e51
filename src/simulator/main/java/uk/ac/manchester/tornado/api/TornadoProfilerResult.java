package uk.ac.manchester.tornado.api;

import java.util.function.Supplier;
import org.tornadoattention.simulator.engine.Profile;
import uk.ac.manchester.tornado.api.profiler.ProfilerInterface;

/** The profile of one execution of a plan; all zero unless the profiler was on. */
public class TornadoProfilerResult implements ProfilerInterface {

    private final Profile profile;
    private final Supplier<String> trace;

    TornadoProfilerResult(Profile profile, Supplier<String> trace) {
        this.profile = profile;
        this.trace = trace;
    }

    @Override
    public long getTotalTime() {
        return profile.totalNanos();
    }

    @Override
    public long getCompileTime() {
        return profile.prepareNanos();
    }

    @Override
    public long getTornadoCompilerTime() {
        return profile.prepareNanos();
    }

    @Override
    public long getDriverInstallTime() {
        return 0;
    }

    @Override
    public long getDataTransfersTime() {
        return profile.copyInNanos() + profile.copyOutNanos();
    }

    @Override
    public long getDeviceWriteTime() {
        return profile.copyInNanos();
    }

    @Override
    public long getDeviceReadTime() {
        return profile.copyOutNanos();
    }

    @Override
    public long getDataTransferDispatchTime() {
        return 0;
    }

    @Override
    public long getKernelDispatchTime() {
        return 0;
    }

    @Override
    public long getDeviceKernelTime() {
        return profile.kernelNanos();
    }

    @Override
    public String getProfileLog() {
        return profile.toString();
    }

    @Override
    public long getTotalBytesCopyIn() {
        return profile.bytesIn();
    }

    @Override
    public long getTotalBytesCopyOut() {
        return profile.bytesOut();
    }

    @Override
    public long getTotalBytesTransferred() {
        return profile.bytesIn() + profile.bytesOut();
    }

    @Override
    public long getTotalDeviceMemoryUsage() {
        return profile.deviceBytes();
    }

    /** Prints the profile. */
    public void dumpProfiles() {
        System.out.println(getProfileLog());
    }

    /** Returns what was asked of the plan, in order. */
    public String getTraceExecutionPlan() {
        return trace.get();
    }
}
