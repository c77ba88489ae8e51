package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * The same kernel on the same problem in two runs.
 *
 * @param before the result of one run
 * @param now that of the other
 */
public record RunComparison(BenchResult before, BenchResult now) {

    /** Joins our results of two runs on problem, kernel and tile; what only one of them measured is left out. */
    public static List<RunComparison> of(BenchFile before, BenchFile now) {
        List<RunComparison> comparisons = new ArrayList<>();
        for (BenchResult result : now.results()) {
            before.results().stream()
                    .filter(other -> isSame(other, result))
                    .findFirst()
                    .ifPresent(other -> comparisons.add(new RunComparison(other, result)));
        }
        return comparisons;
    }

    private static boolean isSame(BenchResult a, BenchResult b) {
        return a.timing() != null
                && b.timing() != null
                && a.provider().equals(BenchResult.OURS)
                && b.provider().equals(BenchResult.OURS)
                && a.measured().equals(b.measured())
                && a.kernel().equals(b.kernel())
                && Objects.equals(a.tile(), b.tile());
    }

    /**
     * How far the medians of the kernel times are apart, as a share of the earlier one; negative if it is faster now.
     */
    public double change() {
        return now.requireTiming().kernelMilliseconds() / before.requireTiming().kernelMilliseconds() - 1;
    }

    /** Whether one of the two said of itself that it is too noisy to be quoted. */
    public boolean noisy() {
        return before.requireTiming().noisy() || now.requireTiming().noisy();
    }

    /** Whether the medians are no further apart than quotable ones may be. */
    public boolean agrees() {
        return Math.abs(change()) <= Timing.QUOTABLE;
    }
}
