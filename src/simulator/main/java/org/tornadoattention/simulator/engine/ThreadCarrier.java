package org.tornadoattention.simulator.engine;

import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** Has each strand be a virtual thread. */
final class ThreadCarrier implements Carrier {

    private static final long PAUSE_NANOS = 20_000;

    @Override
    public void add(Consumer<Strand> body) {
        Thread.ofVirtual().start(() -> body.accept(new ThreadStrand(Thread.currentThread())));
    }

    @Override
    public void go() {
        // Threads run from their start.
    }

    private static final class ThreadStrand implements Strand {

        private final Thread thread;
        private volatile boolean baton;

        ThreadStrand(Thread thread) {
            this.thread = thread;
        }

        @Override
        public void park() {
            while (!baton) {
                LockSupport.park(this);
            }
            baton = false;
        }

        @Override
        public void pause(BooleanSupplier until) {
            do {
                LockSupport.parkNanos(PAUSE_NANOS);
            } while (!until.getAsBoolean());
        }

        @Override
        public void wake() {
            baton = true;
            LockSupport.unpark(thread);
        }

        @Override
        public void show(WorkItem item) {
            thread.setName(item.threadName());
        }

        @Override
        public StackTraceElement[] stackTrace() {
            return thread.getStackTrace();
        }
    }
}
