package org.tornadoattention.embeddings;

import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/**
 * Threads that go through the same phases together. In each they take its tasks one after another, and wait for each
 * other at its end: awake for a while, where each has a core, since many a phase is shorter than it takes to wake a
 * thread.
 */
final class Crew {

    private static final long AWAKE_NANOSECONDS = 200_000;

    private final int members;
    private final boolean awake;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger arrived = new AtomicInteger();
    private volatile int phase;
    private volatile boolean failed;

    /** @param members threads that will call {@link #each}, all for the same phases */
    Crew(int members) {
        this.members = members;
        awake = members <= Runtime.getRuntime().availableProcessors();
    }

    int members() {
        return members;
    }

    /**
     * A phase: some of the tasks 0 to {@code tasks - 1} here, the others in the other threads. All are done when it
     * returns.
     *
     * @throws CancellationException if another thread failed
     */
    void each(int tasks, IntConsumer body) {
        for (int task = next.getAndIncrement(); task < tasks; task = next.getAndIncrement()) {
            body.accept(task);
        }
        int now = phase;
        if (arrived.incrementAndGet() == members) {
            // All have come, and none goes on before the next phase begins.
            arrived.set(0);
            next.set(0);
            begin(now + 1);
        } else {
            await(now);
        }
        if (failed) {
            throw new CancellationException("Another thread failed.");
        }
    }

    /** Lets none wait for a thread that failed. */
    void fail() {
        failed = true;
        begin(phase + 1);
    }

    private synchronized void begin(int number) {
        phase = number;
        notifyAll();
    }

    private void await(int now) {
        long start = System.nanoTime();
        while (awake && phase == now && System.nanoTime() - start < AWAKE_NANOSECONDS) {
            Thread.onSpinWait();
        }
        if (phase == now) {
            sleep(now);
        }
    }

    private synchronized void sleep(int now) {
        boolean interrupted = false;
        while (phase == now && !failed) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
