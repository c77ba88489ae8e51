package org.tornadoattention.embeddings;

import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.IntConsumer;

/**
 * Threads that go through the same phases together. In each they take its tasks one after another, each its own first,
 * which lie side by side, and wait for each other at its end: awake for a while, where each has a core, since many a
 * phase is shorter than it takes to wake a thread.
 */
final class Crew {

    private static final long AWAKE_NANOSECONDS = 200_000;

    /** Numbers from one member's to the next, which are on lines of their own. */
    private static final int APART = 32;

    private final int members;
    private final boolean awake;
    /** Of each member, how many of its tasks were taken. */
    private final AtomicIntegerArray taken;

    private final AtomicInteger arrived = new AtomicInteger();
    private volatile int phase;
    private volatile boolean failed;

    /** @param members threads that will call {@link Member#each}, all for the same phases */
    Crew(int members) {
        this.members = members;
        taken = new AtomicIntegerArray(members * APART);
        awake = members <= Runtime.getRuntime().availableProcessors();
    }

    /** One of the threads. */
    final class Member {

        private final int number;

        private Member(int number) {
            this.number = number;
        }

        /** Of the crew. */
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
            for (int i = 0; i < members; i++) {
                takeThoseOf((number + i) % members, tasks, body);
            }
            awaitAll();
        }
    }

    /** @param number from 0, another one for each thread */
    Member member(int number) {
        return new Member(number);
    }

    private void awaitAll() {
        int now = phase;
        if (arrived.incrementAndGet() == members) {
            // All have come, and none goes on before the next phase begins.
            arrived.set(0);
            for (int i = 0; i < members; i++) {
                taken.set(i * APART, 0);
            }
            begin(now + 1);
        } else {
            await(now);
        }
        if (failed) {
            throw new CancellationException("Another thread failed.");
        }
    }

    private void takeThoseOf(int member, int tasks, IntConsumer body) {
        int first = tasks * member / members;
        int end = tasks * (member + 1) / members;
        for (int task = first + taken.getAndIncrement(member * APART);
                task < end;
                task = first + taken.getAndIncrement(member * APART)) {
            body.accept(task);
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
