package org.tornadoattention.bench;

import org.jspecify.annotations.Nullable;

/**
 * What the device does at most, measured in the same run as what is compared with it: by kernels that do nothing else,
 * or by whatever was faster.
 *
 * @param copyBytesPerSecond bytes read and written by a copy of device memory
 * @param f32FlopsPerSecond multiply-adds in F32, two operations each
 * @param tensorFlopsPerSecond products of F16 on tensor cores with sums in F32; null where there are none
 */
public record Ceilings(
        double copyBytesPerSecond,
        double f32FlopsPerSecond,
        @Nullable Double tensorFlopsPerSecond) {

    /** Products of 8-bit numbers take half as long as those of 16 bits. */
    private static final int FP8_FACTOR = 2;

    /** The least time for some work: that of the arithmetic or that of the memory, whichever takes longer. */
    public double bound(double flops, double bytes, boolean tensorCores, boolean fp8) {
        return Math.max(flops / peak(tensorCores, fp8), bytes / copyBytesPerSecond);
    }

    private double peak(boolean tensorCores, boolean fp8) {
        return tensorCores && tensorFlopsPerSecond != null
                ? (fp8 ? FP8_FACTOR : 1) * tensorFlopsPerSecond
                : f32FlopsPerSecond;
    }

    /** These ceilings, or what some work has reached where that is more. */
    Ceilings orReached(double seconds, double flops, double bytes, boolean tensorCores, boolean fp8) {
        double reached = flops / seconds / (fp8 ? FP8_FACTOR : 1);
        double copy = Math.max(copyBytesPerSecond, bytes / seconds);
        return tensorCores && tensorFlopsPerSecond != null
                ? new Ceilings(copy, f32FlopsPerSecond, Math.max(tensorFlopsPerSecond, reached))
                : new Ceilings(copy, Math.max(f32FlopsPerSecond, reached), tensorFlopsPerSecond);
    }
}
