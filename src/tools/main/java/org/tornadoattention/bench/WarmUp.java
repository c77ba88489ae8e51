package org.tornadoattention.bench;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.function.LongSupplier;

/** Executions before the first that counts, where the JVM compiles what it executes. */
public final class WarmUp {

    /** For measurements that are to be compared. */
    public static final double LONGEST_SECONDS = 8;

    private static final double STANDS_STILL = 0.9;
    private static final double STRETCH_SECONDS = 0.4;

    private WarmUp() {}

    /**
     * Executes until two stretches of time have about the same best, and the JVM has compiled nothing in the last. It
     * compiles its own engine and the simulator's kernels while they run, and again where another mask leads them
     * another way.
     *
     * @param execution runs once and tells its nanoseconds
     * @param longestSeconds time after which no other stretch is begun
     */
    public static void untilTimesStandStill(LongSupplier execution, double longestSeconds) {
        CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
        long begin = System.nanoTime();
        long before;
        long best = 0;
        long compiled;
        do {
            before = best;
            compiled = compiler.getTotalCompilationTime();
            best = best(execution);
        } while ((best < STANDS_STILL * before
                        || before < STANDS_STILL * best
                        || compiler.getTotalCompilationTime() > compiled)
                && System.nanoTime() - begin < 1e9 * longestSeconds);
    }

    private static long best(LongSupplier execution) {
        long begin = System.nanoTime();
        long best = Long.MAX_VALUE;
        do {
            best = Math.min(best, execution.getAsLong());
        } while (System.nanoTime() - begin < 1e9 * STRETCH_SECONDS);
        return best;
    }
}
