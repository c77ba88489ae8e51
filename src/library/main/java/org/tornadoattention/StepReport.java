package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.time.Duration;

/**
 * What a call took on the device, or all calls together. Times, copies and device memory are 0 without a profiler.
 *
 * @param executions executions of task graphs
 * @param firstExecutions those of them that were their graph's first, which compile and allocate
 * @param kernelTime time in kernels
 * @param compileTime time in compilers
 * @param bytesIn bytes copied to the device
 * @param bytesOut bytes copied from the device
 */
public record StepReport(
        long executions, long firstExecutions, Duration kernelTime, Duration compileTime, long bytesIn, long bytesOut) {

    /**
     * Checks that the times are given.
     *
     * @throws IllegalArgumentException if one is null
     */
    public StepReport {
        required(kernelTime, "kernelTime");
        required(compileTime, "compileTime");
    }

    /** Nothing yet. */
    public static final StepReport NONE = new StepReport(0, 0, Duration.ZERO, Duration.ZERO, 0, 0);

    /**
     * Both together.
     *
     * @param other a report of other calls
     * @return the sums
     * @throws IllegalArgumentException if it is null
     */
    public StepReport plus(StepReport other) {
        required(other, "other");
        return new StepReport(
                executions + other.executions,
                firstExecutions + other.firstExecutions,
                kernelTime.plus(other.kernelTime),
                compileTime.plus(other.compileTime),
                bytesIn + other.bytesIn,
                bytesOut + other.bytesOut);
    }

    /**
     * What came since an earlier report.
     *
     * @param earlier a report of the same cache
     * @return the differences
     * @throws IllegalArgumentException if it is null
     */
    public StepReport minus(StepReport earlier) {
        required(earlier, "earlier");
        return new StepReport(
                executions - earlier.executions,
                firstExecutions - earlier.firstExecutions,
                kernelTime.minus(earlier.kernelTime),
                compileTime.minus(earlier.compileTime),
                bytesIn - earlier.bytesIn,
                bytesOut - earlier.bytesOut);
    }
}
