package uk.ac.manchester.tornado.api;

import org.tornadoattention.simulator.engine.PlanExecutor;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** What an execution left: its profile, and results that are still on the device. */
public class TornadoExecutionResult {

    private final PlanExecutor executor;
    private final TornadoProfilerResult profilerResult;

    TornadoExecutionResult(PlanExecutor executor, TornadoProfilerResult profilerResult) {
        this.executor = executor;
        this.profilerResult = profilerResult;
    }

    /** Returns the profile. */
    public TornadoProfilerResult getProfilerResult() {
        return profilerResult;
    }

    /** Copies arrays that were left on the device to the host. */
    public TornadoExecutionResult transferToHost(Object... objects) {
        executor.transferToHost(objects);
        return this;
    }

    /** Copies a part of an array that was left on the device to the host. */
    public TornadoExecutionResult transferToHost(DataRange dataRange) {
        dataRange.materialize();
        executor.transferToHost(
                dataRange.getArray(),
                dataRange.getOffset() - TornadoNativeArray.ARRAY_HEADER,
                dataRange.getPartialSize());
        return this;
    }

    /** Returns true: an execution has ended when it returns. */
    public boolean isReady() {
        return true;
    }
}
