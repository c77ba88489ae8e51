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
}
