package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.tornadoattention.simulator.ArrayTraffic;
import org.tornadoattention.simulator.SimulatorSettings;

/**
 * A launch of a kernel with {@code @Parallel} loops. The loops are split into more chunks than there are cores; chunk w
 * of W takes the iterations w, w + W, w + 2W and so on.
 */
final class ParallelLaunch extends Launch {

    private static final int[][] CHUNKS = {{1, 1, 1}, {64, 1, 1}, {8, 8, 1}, {4, 4, 4}};

    private final int[] workers;
    private final int[] chunkOrder;
    private final AtomicInteger nextChunk = new AtomicInteger();

    ParallelLaunch(String task, KernelBody body, Binding binding, SimulatorSettings settings) {
        super(task, body, binding, settings);
        // Who asks for costs wants neighbours among the iterations in warps.
        this.workers =
                CHUNKS[options().costs() ? 0 : Math.min(body.parallelLoops().size(), Grid.DIMENSIONS)];
        this.chunkOrder = order(workers[0] * workers[1] * workers[2]);
    }

    @Override
    void runAll() {
        List<Thread> helpers = new ArrayList<>();
        for (int i = 1; i < Math.min(settings().threads(), chunkOrder.length); i++) {
            helpers.add(Thread.ofPlatform()
                    .daemon()
                    .name("kernel " + kernelName() + " worker " + i)
                    .start(this::runChunks));
        }
        WorkItem outer = WorkItem.current();
        try {
            runChunks();
        } finally {
            WorkItem.restore(outer);
        }
        helpers.forEach(ParallelLaunch::join);
    }

    private void runChunks() {
        Counters counters = newCounters();
        for (int i = nextChunk.getAndIncrement();
                i < chunkOrder.length && !hasFailed();
                i = nextChunk.getAndIncrement()) {
            runChunk(i, counters);
        }
        collect(counters);
    }

    private void runChunk(int turn, Counters counters) {
        int chunk = chunkOrder[turn];
        int[] worker = {chunk % workers[0], chunk / workers[0] % workers[1], chunk / (workers[0] * workers[1])};
        WorkItem item = WorkItem.chunk(
                this, turn, counters, new ParallelPosition(chunk, worker, workers, body().parallelLoops()));
        item.becomeCurrent();
        try {
            body().run(arguments());
            item.tallyIterations();
        } catch (Throwable thrown) {
            if (thrown != STOPPED) {
                fail(thrown, item);
            }
        }
    }

    private static void join(Thread helper) {
        boolean interrupted = false;
        while (helper.isAlive()) {
            try {
                helper.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    String partName(int part) {
        return "another iteration";
    }

    @Override
    String severalParts() {
        return "several iterations";
    }

    @Override
    long workGroups() {
        return chunkOrder.length;
    }

    @Override
    long workItems() {
        return 0;
    }

    @Override
    List<ArrayTraffic> localTraffic(Counters counters) {
        return List.of();
    }

    @Override
    Grid grid() {
        return null;
    }

    @Override
    List<LocalArray> localArrays() {
        return List.of();
    }

    @Override
    long localBytes() {
        return 0;
    }

    @Override
    public String toString() {
        return body().parallelLoops().size() + " parallel loops in " + chunkOrder.length + " chunks";
    }
}
