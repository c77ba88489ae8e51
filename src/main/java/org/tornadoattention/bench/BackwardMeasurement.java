package org.tornadoattention.bench;

import java.util.List;
import org.tornadoattention.plan.DeviceMemory;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.reference.Comparison;

/**
 * What a kernel took for a backward pass, its gradients having been checked first.
 *
 * @param measured what was measured
 * @param choice kernel and tile of the backward pass
 * @param comparisons sampled rows of the gradients against float64
 * @param kernelTime time of the kernels alone, by the device's clock
 * @param wallTime time of a whole execution with the inputs on the device
 * @param memory device memory of forward and backward pass together
 */
public record BackwardMeasurement(
        BackwardCase measured,
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
