package org.tornadoattention.bench;

import java.util.Arrays;

/**
 * Repeated times, in order of size.
 *
 * @param medianSeconds the middle one
 * @param firstQuartileSeconds a quarter are below
 * @param thirdQuartileSeconds a quarter are above
 * @param repetitions how many there are
 */
public record Spread(double medianSeconds, double firstQuartileSeconds, double thirdQuartileSeconds, int repetitions) {

    /** Quartiles of a normal distribution are this many standard deviations apart. */
    private static final double QUARTILES_APART = 1.349;

    /** The median of n normal numbers has this many standard deviations over the root of n. */
    private static final double ERROR_OF_MEDIAN = 1.2533;

    /** @throws IllegalArgumentException if there are no times */
    public static Spread of(long[] nanoseconds) {
        if (nanoseconds.length == 0) {
            throw new IllegalArgumentException("There are no times: repeat at least once.");
        }
        long[] sorted = nanoseconds.clone();
        Arrays.sort(sorted);
        int last = sorted.length - 1;
        return new Spread(
                sorted[sorted.length / 2] / 1e9, sorted[last / 4] / 1e9, sorted[last - last / 4] / 1e9, sorted.length);
    }

    /** Half of the distance between the quartiles, as a share of the median. */
    public double relativeSpread() {
        return (thirdQuartileSeconds - firstQuartileSeconds) / 2 / medianSeconds;
    }

    /**
     * How far the median of another run like this one may be off, as a share of it: twice the standard deviation of the
     * difference of two such medians. Infinite for fewer than three times, which show no spread.
     */
    public double repeatability() {
        if (repetitions < 3) {
            return Double.POSITIVE_INFINITY;
        }
        double deviation = 2 * relativeSpread() / QUARTILES_APART;
        return 2 * Math.sqrt(2) * ERROR_OF_MEDIAN * deviation / Math.sqrt(repetitions);
    }
}
