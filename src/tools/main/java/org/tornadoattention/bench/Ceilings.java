package org.tornadoattention.bench;

/**
 * What the device does at most, measured in the same run as what is compared with it.
 *
 * @param copyBytesPerSecond bytes read and written by a copy of device memory
 * @param f32FlopsPerSecond multiply-adds in F32, two operations each
 * @param tensorFlopsPerSecond products of F16 on tensor cores with sums in F32; null where there are none
 */
public record Ceilings(double copyBytesPerSecond, double f32FlopsPerSecond, Double tensorFlopsPerSecond) {

    /** The least time for some work: that of the arithmetic or that of the memory, whichever takes longer. */
    public double bound(double flops, double bytes, boolean tensorCores) {
        double peak = tensorCores && tensorFlopsPerSecond != null ? tensorFlopsPerSecond : f32FlopsPerSecond;
        return Math.max(flops / peak, bytes / copyBytesPerSecond);
    }
}
