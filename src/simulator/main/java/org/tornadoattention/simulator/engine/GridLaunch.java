package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.tornadoattention.simulator.ArrayTraffic;
import org.tornadoattention.simulator.SimulatorSettings;

/** A launch of a kernel with a {@code KernelContext}: groups run next to each other, each as {@link WorkGroup} says. */
final class GridLaunch extends Launch {

    private final Grid grid;
    private final int contextPosition;
    private final int[] groupOrder;
    private final AtomicInteger nextGroup = new AtomicInteger();
    private final AtomicInteger lanesLeft = new AtomicInteger();
    private final CountDownLatch ended = new CountDownLatch(1);
    private List<LocalArray> localArrays = List.of();

    GridLaunch(String task, KernelBody body, Binding binding, Grid grid, SimulatorSettings settings) {
        super(task, body, binding, settings);
        this.grid = grid;
        this.contextPosition = binding.contextPosition();
        this.groupOrder = order(grid.groupCount());
    }

    @Override
    void runAll() {
        int lanes = Math.min(settings().threads(), groupOrder.length);
        lanesLeft.set(lanes);
        List<Carrier> carriers = Carrier.carriers(lanes);
        for (int lane = 0; lane < lanes; lane++) {
            new Lane(newCounters(), carriers.get(lane % carriers.size())).start();
        }
        carriers.forEach(Carrier::go);
        boolean interrupted = false;
        while (true) {
            try {
                ended.await();
                break;
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
        return "group " + Grid.tuple(grid.groupId(part - 1));
    }

    @Override
    String severalParts() {
        return "several groups";
    }

    @Override
    long workGroups() {
        return grid.groupCount();
    }

    @Override
    long workItems() {
        return (long) grid.groupCount() * grid.groupSize();
    }

    @Override
    List<ArrayTraffic> localTraffic(Counters counters) {
        List<ArrayTraffic> traffic = new ArrayList<>();
        for (LocalArray array : localArrays) {
            traffic.add(new ArrayTraffic(
                    array.name(),
                    array.elementBytes(),
                    counters.localReads(array.index()),
                    counters.localWrites(array.index())));
        }
        return traffic;
    }

    @Override
    Grid grid() {
        return grid;
    }

    @Override
    List<LocalArray> localArrays() {
        return localArrays;
    }

    @Override
    long localBytes() {
        return localArrays.stream()
                .mapToLong(array -> (long) array.length() * array.elementBytes())
                .sum();
    }

    @Override
    public String toString() {
        return "global " + Grid.tuple(grid.global()) + ", local " + Grid.tuple(grid.local()) + ", " + groupOrder.length
                + " groups";
    }

    private synchronized void noteLocalArrays(WorkGroup group) {
        if (group.localArrays().size() > localArrays.size()) {
            localArrays = group.localArrays();
        }
    }

    /** Groups that run one after the other. The strands of their work-items pass the lane on. */
    final class Lane {

        private final Counters counters;
        private final Carrier carrier;
        private int turn;

        Lane(Counters counters, Carrier carrier) {
            this.counters = counters;
            this.carrier = carrier;
        }

        void start() {
            WorkItem first = firstOfNextGroup();
            if (first == null) {
                countDown();
            } else {
                startStrand(first);
            }
        }

        void startStrand(WorkItem item) {
            carrier.add(strand -> run(strand, item));
        }

        private WorkItem firstOfNextGroup() {
            turn = nextGroup.getAndIncrement();
            return turn < groupOrder.length && !hasFailed()
                    ? new WorkGroup(GridLaunch.this, this, grid, groupOrder[turn], turn, counters).first()
                    : null;
        }

        private void run(Strand strand, WorkItem first) {
            WorkItem item = first;
            try {
                while (item != null) {
                    item = runOne(strand, item);
                }
            } catch (Throwable thrown) {
                if (thrown != CANCELLED) {
                    endWith(thrown, item);
                }
            }
        }

        /** Runs a work-item to its end and returns the one that this strand runs next, or null. */
        private WorkItem runOne(Strand strand, WorkItem item) throws Throwable {
            item.runOn(strand);
            Object[] arguments = arguments().clone();
            arguments[contextPosition] = item.newContext();
            body().run(arguments);
            return item.group().finish(item);
        }

        /** Returns the first work-item of the group that follows a finished one, or null after the last. */
        WorkItem next(WorkGroup finished) {
            noteLocalArrays(finished);
            WorkItem first = firstOfNextGroup();
            if (first == null) {
                end();
            }
            return first;
        }

        /** Whatever went wrong, the launch comes to its end. */
        private void endWith(Throwable thrown, WorkItem item) {
            try {
                if (thrown != STOPPED) {
                    fail(thrown, item);
                }
                item.group().cancel();
            } finally {
                end();
            }
        }

        private void end() {
            collect(counters);
            countDown();
        }

        private void countDown() {
            if (lanesLeft.decrementAndGet() == 0) {
                ended.countDown();
            }
        }

        /** Has groups run that have not begun, while one of this lane waits for another group. */
        void startAnother() {
            lanesLeft.incrementAndGet();
            new Lane(newCounters(), carrier).start();
        }
    }
}
