package org.tornadoattention.simulator.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** Has each strand be a continuation; those of one carrier run in turns on one thread, in the order of their waking. */
final class ContinuationCarrier implements Carrier {

    /** As many as virtual threads have by the same property. */
    static final int MOST = Math.max(
            1,
            Integer.getInteger(
                    "jdk.virtualThreadScheduler.parallelism",
                    Runtime.getRuntime().availableProcessors()));

    private static final long PAUSE_NANOS = 20_000;

    /** How many others run, where there are some, before those that pause are asked again. */
    private static final int TURNS_OF_PAUSE = 256;

    private static final ExecutorService THREADS = Executors.newCachedThreadPool(CarrierThread::new);

    private final Queue<ContinuationStrand> ready = new ArrayDeque<>();
    private final List<Pause> paused = new ArrayList<>();
    private ContinuationStrand running;
    private int turns;

    @Override
    public void add(Consumer<Strand> body) {
        ready.add(new ContinuationStrand(body));
    }

    @Override
    public void go() {
        THREADS.execute(this::runAll);
    }

    private void runAll() {
        CarrierThread thread = (CarrierThread) Thread.currentThread();
        for (ContinuationStrand next = next(); next != null; next = next()) {
            running = next;
            thread.item = next.item;
            try {
                Continuations.run(next.continuation);
            } catch (Throwable thrown) {
                thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
            }
        }
        thread.item = null;
    }

    private ContinuationStrand next() {
        turns++;
        if (!paused.isEmpty() && (ready.isEmpty() || turns % TURNS_OF_PAUSE == 0)) {
            goOn();
            while (ready.isEmpty()) {
                LockSupport.parkNanos(PAUSE_NANOS);
                goOn();
            }
        }
        return ready.poll();
    }

    /** Has those go on that have paused for long enough. */
    private void goOn() {
        paused.removeIf(pause -> pause.until.getAsBoolean() && ready.add(pause.strand));
    }

    private record Pause(ContinuationStrand strand, BooleanSupplier until) {}

    /** A thread that strands run on. It knows the work-item that runs, as a thread-local variable would, but sooner. */
    static final class CarrierThread extends Thread {

        private WorkItem item;

        CarrierThread(Runnable work) {
            super(null, work, "simulated work-items", 0, false);
            setDaemon(true);
            setContextClassLoader(ClassLoader.getSystemClassLoader());
        }

        WorkItem item() {
            return item;
        }

        void item(WorkItem newItem) {
            item = newItem;
        }
    }

    private final class ContinuationStrand implements Strand {

        private final Object continuation;
        private boolean parked;
        private WorkItem item;

        ContinuationStrand(Consumer<Strand> body) {
            continuation = Continuations.create(() -> body.accept(this));
        }

        @Override
        public void park() {
            parked = true;
            Continuations.yield();
        }

        @Override
        public void pause(BooleanSupplier until) {
            paused.add(new Pause(this, until));
            Continuations.yield();
        }

        @Override
        public void wake() {
            if (parked) {
                parked = false;
                ready.add(this);
            }
        }

        @Override
        public void show(WorkItem newItem) {
            item = newItem;
        }

        @Override
        public StackTraceElement[] stackTrace() {
            return this == running ? Thread.currentThread().getStackTrace() : Continuations.stackTrace(continuation);
        }
    }
}
