package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Warming up goes on while executions become faster, and ends where they do not or the time is up. */
class WarmUpTest {

    private static final int FALLING = 10;

    private final AtomicInteger executions = new AtomicInteger();

    /** Each of the first executions takes half the time of the one before, as they say. */
    private long falling() {
        LockSupport.parkNanos(50_000_000);
        return 1_000_000L >> Math.min(FALLING, executions.incrementAndGet());
    }

    @Test
    void itGoesOnUntilTimesStandStill() {
        WarmUp.untilTimesStandStill(this::falling, 60);
        // Two stretches have the same best, which only those after the fall have.
        assertThat(executions.get()).isGreaterThan(FALLING);
    }

    /** A JVM that compiles something new, as where another mask leads a kernel another way, is slower for a time. */
    @Test
    void itGoesOnWhereTimesRiseToo() {
        int slow = 2 * FALLING;
        WarmUp.untilTimesStandStill(
                () -> {
                    LockSupport.parkNanos(50_000_000);
                    return 1_000L << Math.min(slow, executions.incrementAndGet());
                },
                60);
        assertThat(executions.get()).isGreaterThan(slow);
    }

    @Test
    void noOtherStretchIsBegunWhenTheTimeIsUp() {
        WarmUp.untilTimesStandStill(this::falling, 0);
        assertThat(executions.get()).isPositive();
    }
}
