package org.tornadoattention.vector;

import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedTransferQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.tornadoattention.device.ComputeDevice;

/**
 * The threads of an engine: the caller's and helpers, which sleep between calls and end when the engine is closed. They
 * take tasks one after another from a counter, so that a helper that comes late, or never, delays nobody.
 */
public final class Workers implements AutoCloseable {

    /**
     * {@code -Dtornadoattention.threads=N}: threads of an engine, the caller's included; all cores where it is not set.
     */
    public static final String PROPERTY = "tornadoattention.threads";

    private static final long IDLE_SECONDS = 10;

    /** Multiply-adds that are worth a thread: it takes some microseconds to wake one. */
    private static final long WORTH_A_THREAD = 1 << 19;

    private static final int WOKEN_BY_EACH = 2;

    private final int threads;
    private final Optional<ThreadPoolExecutor> own;
    private final Executor executor;

    /** What a thread does with a task and with memory that is its own meanwhile. */
    @FunctionalInterface
    interface Body<S> {
        void accept(int task, S scratch);
    }

    private Workers(int threads, Optional<ThreadPoolExecutor> own, Executor executor) {
        this.threads = threads;
        this.own = own;
        this.executor = executor;
    }

    /**
     * Threads of its own, as many as the property says.
     *
     * @throws IllegalArgumentException if the property is not a number from 1
     */
    static Workers create() {
        int threads = fromProperty();
        int helpers = Math.max(1, threads - 1);
        AtomicInteger number = new AtomicInteger();
        ThreadPoolExecutor pool = new ThreadPoolExecutor(
                helpers, helpers, IDLE_SECONDS, TimeUnit.SECONDS, new LinkedTransferQueue<>(), task -> {
                    Thread thread = new Thread(task, "tornado-attention-" + number.incrementAndGet());
                    thread.setDaemon(true);
                    return thread;
                });
        pool.allowCoreThreadTimeOut(true);
        return new Workers(threads, Optional.of(pool), pool);
    }

    /** The threads of a device: the caller's where they were given, or threads of its own. */
    public static Workers of(ComputeDevice jvm) {
        return jvm.executor().map(executor -> of(executor, jvm.computeUnits())).orElseGet(Workers::create);
    }

    /**
     * The caller's threads.
     *
     * @param executor runs the helpers
     * @param threads that work at a time at most, the calling one included
     */
    static Workers of(Executor executor, int threads) {
        return new Workers(threads, Optional.empty(), executor);
    }

    private static int fromProperty() {
        String given = System.getProperty(PROPERTY);
        if (given == null) {
            return Runtime.getRuntime().availableProcessors();
        }
        try {
            int threads = Integer.parseInt(given.strip());
            if (threads >= 1) {
                return threads;
            }
        } catch (NumberFormatException e) {
            // told below, as what is out of range is
        }
        throw new IllegalArgumentException(
                "-D%s=%s: it must be a number of threads, 1 or more; leave it out for all cores."
                        .formatted(PROPERTY, given));
    }

    /** The same threads, or as many of them as work of so many multiply-adds is worth. */
    Workers forWork(double multiplyAdds) {
        int worth = (int) Math.clamp(Math.ceil(multiplyAdds / WORTH_A_THREAD), 1, threads);
        return new Workers(worth, Optional.empty(), executor);
    }

    /** Threads that work at a time, the calling one included. */
    public int threads() {
        return threads;
    }

    /**
     * Runs tasks 0 to {@code tasks - 1}, in this order as far as there are threads, and returns when all are done.
     *
     * @param scratch makes the memory that a thread works with
     * @return how many threads' memory there was
     */
    <S> int run(int tasks, Supplier<S> scratch, Body<S> body) {
        Job<S> job = new Job<>(tasks, Math.min(threads, tasks) - 1, executor, scratch, body);
        try {
            job.run();
        } finally {
            job.finish();
        }
        return job.scratches();
    }

    /** Ends the threads of its own; those of the caller's executor are the caller's. */
    @Override
    public void close() {
        own.ifPresent(pool -> {
            pool.shutdown();
            try {
                pool.awaitTermination(IDLE_SECONDS, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /** The tasks of one call. */
    private static final class Job<S> implements Runnable {

        private final int tasks;
        private final AtomicInteger asleep;
        private final Executor executor;
        private final Supplier<S> scratch;
        private final Body<S> body;
        private final AtomicInteger next = new AtomicInteger();
        private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
        private int active;
        private int entered;
        private boolean finished;

        Job(int tasks, int helpers, Executor executor, Supplier<S> scratch, Body<S> body) {
            this.tasks = tasks;
            this.executor = executor;
            asleep = new AtomicInteger(helpers);
            this.scratch = scratch;
            this.body = body;
        }

        @Override
        public void run() {
            if (!enter()) {
                return;
            }
            try {
                wake();
                S memory = scratch.get();
                for (int task = next.getAndIncrement(); task < tasks; task = next.getAndIncrement()) {
                    body.accept(task, memory);
                }
            } catch (RuntimeException | Error e) {
                next.set(tasks);
                failures.add(e);
            } finally {
                leave();
            }
        }

        /** Each thread wakes two others: for one to wake all takes longer than many a call. */
        private void wake() {
            for (int i = 0; i < WOKEN_BY_EACH && asleep.getAndDecrement() > 0; i++) {
                executor.execute(this);
            }
        }

        private synchronized boolean enter() {
            if (finished || next.get() >= tasks) {
                return false;
            }
            active++;
            entered++;
            return true;
        }

        private synchronized void leave() {
            active--;
            notifyAll();
        }

        /** Waits for helpers that work, keeps out those that did not come yet, and raises what went wrong. */
        void finish() {
            next.accumulateAndGet(tasks, Math::max);
            boolean interrupted = false;
            synchronized (this) {
                finished = true;
                while (active > 0) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        interrupted = true;
                    }
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            Throwable first = failures.poll();
            if (first != null) {
                failures.forEach(first::addSuppressed);
                if (first instanceof Error error) {
                    throw error;
                }
                throw (RuntimeException) first;
            }
        }

        synchronized int scratches() {
            return entered;
        }
    }
}
