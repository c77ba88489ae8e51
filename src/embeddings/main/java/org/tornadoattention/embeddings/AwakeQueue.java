package org.tornadoattention.embeddings;

import java.util.concurrent.LinkedBlockingQueue;

/**
 * What a pool's threads take their tasks from, which wait for them awake for a while: short calls often follow each
 * other, and to wake a thread takes a part of such a call.
 */
final class AwakeQueue extends LinkedBlockingQueue<Runnable> {

    private static final long serialVersionUID = 1;
    private static final long AWAKE_NANOSECONDS = 200_000;

    private final boolean awake;

    /** @param threads that work at a time, the calling one included: without a core for each they sleep at once */
    AwakeQueue(int threads) {
        awake = threads <= Runtime.getRuntime().availableProcessors();
    }

    @Override
    public Runnable take() throws InterruptedException {
        long start = System.nanoTime();
        while (awake && System.nanoTime() - start < AWAKE_NANOSECONDS) {
            Runnable task = poll();
            if (task != null) {
                return task;
            }
            Thread.onSpinWait();
        }
        return super.take();
    }
}
