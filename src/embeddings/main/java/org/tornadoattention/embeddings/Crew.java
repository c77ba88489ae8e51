package org.tornadoattention.embeddings;

import java.util.concurrent.CancellationException;
import java.util.concurrent.Phaser;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/**
 * Threads that go through the same phases together. In each they take its tasks one after another, and wait for each
 * other at its end: for some microseconds awake, so that short phases cost no thread's sleep.
 */
final class Crew {

    private final AtomicInteger next = new AtomicInteger();
    private final int members;
    private final Phaser end;

    /** @param members threads that will call {@link #each}, all for the same phases */
    Crew(int members) {
        this.members = members;
        end = new Phaser(members) {
            @Override
            protected boolean onAdvance(int phase, int parties) {
                next.set(0); // all have come, and none has gone on
                return false;
            }
        };
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
        if (end.arriveAndAwaitAdvance() < 0) {
            throw new CancellationException("Another thread failed.");
        }
    }

    /** Lets none wait for a thread that failed. */
    void fail() {
        end.forceTermination();
    }
}
