package org.tornadoattention.bench;

import java.util.List;
import org.tornadoattention.plan.DeviceMemory;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.reference.Comparison;

/**
 * What a kernel took for a case, its result having been checked first.
 *
 * @param measured what was measured
 * @param choice kernel and tile
 * @param comparisons sampled rows of the output and the log-sum-exp against the float64 oracle
 * @param kernelTime time of the kernels alone, by the device's clock
 * @param wallTime time of a whole execution with the inputs on the device
 * @param memory device memory of the case with this kernel
 */
public record ForwardMeasurement(
        ForwardCase measured,
        KernelChoice choice,
        List<Comparison> comparisons,
        Spread kernelTime,
        Spread wallTime,
        DeviceMemory memory) {

    /** Whether every sampled element is within the tolerance rule. */
    public boolean passed() {
        return comparisons.stream().allMatch(Comparison::passed);
    }

    /** Operations a second by the median kernel time, in units of 10^12. */
    public double teraflops() {
        return measured.flops() / kernelTime.medianSeconds() / 1e12;
    }
}
