package org.tornadoattention.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Copies memory by as many threads as the JVM engine has: what bandwidth can be compared with. */
final class HostCopy implements AutoCloseable {

    private static final long PAGE = 4096;

    private final Arena arena = Arena.ofShared();
    private final ExecutorService executor;
    private final List<Callable<Object>> slices = new ArrayList<>();

    /**
     * Room for a copy.
     *
     * @param bytes that are read, and as many written
     * @param threads each with a part of them
     */
    HostCopy(long bytes, int threads) {
        executor = Executors.newFixedThreadPool(threads);
        MemorySegment from = arena.allocate(bytes, PAGE).fill((byte) 1);
        MemorySegment to = arena.allocate(bytes, PAGE).fill((byte) 0);
        for (int thread = 0; thread < threads; thread++) {
            long begin = bytes * thread / threads;
            long end = bytes * (thread + 1) / threads;
            slices.add(Executors.callable(() -> MemorySegment.copy(from, begin, to, begin, end - begin)));
        }
    }

    /** Copies all of it and takes the time in nanoseconds. */
    long run() {
        long start = System.nanoTime();
        try {
            for (Future<Object> slice : executor.invokeAll(slices)) {
                slice.get();
            }
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException("A copy of memory failed.", e);
        }
        return System.nanoTime() - start;
    }

    @Override
    public void close() {
        executor.close();
        arena.close();
    }
}
