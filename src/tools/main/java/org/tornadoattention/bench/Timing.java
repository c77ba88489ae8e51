package org.tornadoattention.bench;

/**
 * Times of one kernel on one problem, as they stand in files. Times are medians; spreads are half the distance of the
 * quartiles as a share of the median.
 *
 * @param kernelMilliseconds the kernels alone, by the device's clock
 * @param kernelSpread spread of that
 * @param wallMilliseconds a whole execution, inputs and outputs staying on the device; measured without the profiler,
 *     in executions of a replayed plan, where the device has a clock of its own
 * @param wallSpread spread of that
 * @param repetitions executions that were timed
 * @param repeatability how far the median of another run may be off, as a share: twice the standard deviation
 * @param noisy whether that is more than {@link #QUOTABLE}: too noisy to be quoted
 * @param teraflops operations a second by the kernel time, in units of 10¹²
 */
public record Timing(
        double kernelMilliseconds,
        double kernelSpread,
        double wallMilliseconds,
        double wallSpread,
        int repetitions,
        double repeatability,
        boolean noisy,
        double teraflops) {

    /** Medians that two runs may give further apart than this share are too noisy to be quoted. */
    public static final double QUOTABLE = 0.05;

    /** The times of a problem. */
    public static Timing of(BenchCase measured, Spread kernel, Spread wall) {
        return new Timing(
                1e3 * kernel.medianSeconds(),
                kernel.relativeSpread(),
                1e3 * wall.medianSeconds(),
                wall.relativeSpread(),
                kernel.repetitions(),
                Math.min(kernel.repeatability(), 1e3), // JSON has no infinity
                !(kernel.repeatability() <= QUOTABLE),
                measured.flops() / kernel.medianSeconds() / 1e12);
    }

    /** These times, noisier if a median of another run may be off by more than they say themselves. */
    Timing atLeastAsNoisy(double share) {
        double newRepeatability = Math.max(repeatability, share);
        return new Timing(
                kernelMilliseconds,
                kernelSpread,
                wallMilliseconds,
                wallSpread,
                repetitions,
                newRepeatability,
                !(newRepeatability <= QUOTABLE),
                teraflops);
    }
}
