package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.engine.WorkItem.State;

/**
 * A work-group. All its work-items are alive at once, each on a strand of its own, but they hand a baton around: only
 * its holder runs, until it reaches a barrier, a warp collective or its end. So runs repeat exactly, and what
 * work-items share needs no locks.
 */
final class WorkGroup {

    private static final int ALIGNMENT = 16;

    /** How often it is asked whether turns were passed before turns themselves are looked at, which may be overdue. */
    private static final int LOOKS = 256;

    private final Launch launch;
    private final GridLaunch.Lane lane;
    private final Grid grid;
    private final int flatId;
    private final int turn;
    private final int[] id;
    private final WorkItem[] items;
    private final Warp[] warps;
    private final int[] order;
    private final SplittableRandom shuffler;
    private final List<LocalArray> localArrays = new ArrayList<>();
    private final Counters counters;
    /** Null unless somebody wants a picture that this group is in. */
    private final GroupTrace picture;

    private LocalArray lastAsked;
    private int cursor;
    private int atBarrier;
    private long barriersPassed;
    private int finished;
    private int epoch = LocalArray.FIRST_EPOCH;
    private long localBytes;
    private long nextOffset;
    private WarpBarriers warpBarriers;
    private boolean startedAnotherLane;
    private boolean awaitTurns;
    private long turnsNoted;
    private int looks;
    private volatile boolean cancelled;

    WorkGroup(Launch launch, GridLaunch.Lane lane, Grid grid, int flatId, int turn, Counters counters) {
        this.launch = launch;
        this.lane = lane;
        this.grid = grid;
        this.flatId = flatId;
        this.turn = turn;
        this.id = grid.groupId(flatId);
        this.counters = counters;
        this.picture = launch.picture() == null ? null : launch.picture().group(flatId, grid);
        this.items = new WorkItem[grid.groupSize()];
        for (int i = 0; i < items.length; i++) {
            items[i] = new WorkItem(launch, this, i, turn, counters);
        }
        this.warps = new Warp[(items.length + Warp.SIZE - 1) / Warp.SIZE];
        for (int w = 0; w < warps.length; w++) {
            int from = w * Warp.SIZE;
            warps[w] = new Warp(this, w, Arrays.copyOfRange(items, from, Math.min(from + Warp.SIZE, items.length)));
        }
        this.order = new int[items.length];
        for (int i = 0; i < order.length; i++) {
            order[i] = i;
        }
        this.shuffler = launch.shuffler(flatId);
        shuffle();
    }

    Grid grid() {
        return grid;
    }

    int flatId() {
        return flatId;
    }

    int id(int dimension) {
        return id[dimension];
    }

    String name() {
        return Grid.tuple(id);
    }

    String itemName(int item) {
        return grid.localName(item);
    }

    /** The work-item that has left a stamp of {@link LocalArray}, as messages call it. */
    String whoLeft(int stamp) {
        int kind = stamp % LocalArray.EPOCH;
        return switch (kind) {
            case LocalArray.ATOMIC -> "(one that adds atomically)";
            case LocalArray.SEVERAL -> "(one of several)";
            default ->
                itemName(kind % LocalArray.ADDED - 1) + (kind > LocalArray.ADDED ? " (which adds atomically)" : "");
        };
    }

    Warp warp(int index) {
        return warps[index];
    }

    Warp[] warps() {
        return warps;
    }

    /** The barriers in local memory; once there are some, warps keep time each for itself. */
    WarpBarriers warpBarriers() {
        if (warpBarriers == null) {
            warpBarriers = new WarpBarriers(this);
            for (Warp warp : warps) {
                warp.keepTime(epoch, warps.length);
            }
            localArrays.forEach(array -> array.keepReaders(warps.length));
        }
        return warpBarriers;
    }

    /** Whether warps keep time each for itself. */
    boolean keepsWarpTime() {
        return warpBarriers != null;
    }

    /** Begins an epoch of one warp. */
    void nextEpoch(Warp warp) {
        if (epoch >= LocalArray.LAST_EPOCH) {
            forgetEpochs();
        }
        epoch += LocalArray.EPOCH;
        warp.enterOwnEpoch(epoch);
    }

    WorkItem[] items() {
        return items;
    }

    Counters counters() {
        return counters;
    }

    List<LocalArray> localArrays() {
        return localArrays;
    }

    /** Returns the local array with these elements, or null for any other array. */
    LocalArray localArray(Object elements) {
        // Asked so often that an iterator would tell, and mostly for the same.
        if (lastAsked != null && lastAsked.elements() == elements) {
            return lastAsked;
        }
        for (int i = 0; i < localArrays.size(); i++) {
            LocalArray array = localArrays.get(i);
            if (array.elements() == elements) {
                lastAsked = array;
                return array;
            }
        }
        return null;
    }

    /**
     * Returns an array behind which another one would not begin at 16 bytes, as instructions on 16 bytes need, or null.
     * A device's compiler lays a group's arrays end to end, in an order of its own.
     */
    LocalArray crooked() {
        for (LocalArray array : localArrays) {
            if (array.length() * (long) array.elementBytes() % 16 != 0) {
                return array;
            }
        }
        return null;
    }

    LocalArray allocate(WorkItem item, int index, Class<?> type, int length) {
        if (index < localArrays.size()) {
            LocalArray array = localArrays.get(index);
            if (array.elements().getClass() != type || array.length() != length) {
                throw item.fault(
                        FaultKind.LOCAL_ALLOCATION,
                        "allocates " + type.getComponentType().getSimpleName() + "[" + length + "] where others"
                                + " allocated "
                                + array.elements().getClass().getComponentType().getSimpleName() + "["
                                + array.length() + "]; all work-items must make the same allocations");
            }
            return array;
        }
        localBytes += (long) length * LocalArray.elementBytes(type);
        if (localBytes > launch.settings().localMemory()) {
            throw item.fault(
                    FaultKind.LOCAL_ALLOCATION,
                    "allocates " + localBytes + " bytes of local memory in all; the device has "
                            + launch.settings().localMemory() + " for a group. Use smaller tiles");
        }
        LocalArray array = new LocalArray(type, length, index);
        if (warpBarriers != null) {
            array.keepReaders(warps.length);
        }
        array.offset(nextOffset);
        nextOffset += ((long) length * array.elementBytes() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        localArrays.add(array);
        return array;
    }

    GroupTrace picture() {
        return picture;
    }

    /** Returns where the picture of a warp goes on, from the last barrier on; null if nobody wants one. */
    WarpSteps pictureOf(int warp) {
        return picture == null ? null : picture.warp(Math.toIntExact(barriersPassed), warp);
    }

    /** Puts together what the lanes of a warp cost, once all of them wait at the barrier or have returned. */
    private void tallyCosts(WorkItem item) {
        if (launch.options().costs()) {
            item.warp().tallyCosts(counters.costs());
        }
    }

    void barrier(WorkItem item) {
        item.state(State.AT_BARRIER);
        atBarrier++;
        tallyCosts(item);
        if (barriersPassed == launch.settings().barriers()) {
            throw Divergence.fault(this, FaultKind.ENDLESS_LOOP, item);
        }
        if (atBarrier == items.length
                || atBarrier + finished == items.length && !launch.options().barriers()) {
            release();
        }
        giveWay(item);
    }

    private void release() {
        if (launch.options().barriers()) {
            Divergence.checkSameBarrier(this);
            for (Warp warp : warps) {
                warp.checkSameOperations();
            }
        }
        counters.barrier();
        if (picture != null) {
            picture.barrier(Math.toIntExact(barriersPassed), items[0].costSite(), localArrays);
        }
        barriersPassed++;
        atBarrier = 0;
        epoch += LocalArray.EPOCH;
        if (epoch > LocalArray.LAST_EPOCH) {
            forgetEpochs();
        }
        enterEpoch();
        for (WorkItem item : items) {
            if (item.state() == State.AT_BARRIER) {
                item.state(State.READY);
            }
        }
        cursor = 0;
        shuffle();
    }

    private void forgetEpochs() {
        localArrays.forEach(LocalArray::forgetEpochs);
        launch.forgetEpochs(flatId + 1);
        if (warpBarriers != null) {
            warpBarriers.forgetEpochs();
        }
        epoch = LocalArray.FIRST_EPOCH;
        enterEpoch();
    }

    private void enterEpoch() {
        for (WorkItem item : items) {
            item.enterEpoch(epoch);
        }
        for (Warp warp : warps) {
            warp.enterEpoch(epoch);
        }
        for (Warp warp : warps) {
            if (!warp.knownOfOthers().isEmpty()) {
                Map<Integer, int[]> news = Map.copyOf(warp.knownOfOthers());
                Stream.of(warps).forEach(other -> other.learnOfOthers(news));
            }
        }
    }

    /** Lets others run, of this group and of others, until the turn has come that {@code item} waits for. */
    void awaitTurn(WorkItem item, BooleanSupplier come) {
        if (!startedAnotherLane) {
            startedAnotherLane = true;
            lane.startAnother();
        }
        if (launch.hasFailed()) {
            throw Launch.STOPPED;
        }
        item.awaitTurn(come);
        awaitTurns = true;
        giveWay(item);
    }

    /** Has those go on whose turn has come. */
    private void noteTurns() {
        turnsNoted = launch.turns().passed();
        awaitTurns = false;
        for (WorkItem item : items) {
            if (item.state() == State.AWAITS_TURN) {
                if (item.turnHasCome()) {
                    item.state(State.READY);
                } else {
                    awaitTurns = true;
                }
            }
        }
    }

    /** Whether a group all of which waits may go on; looked at closely after turns were passed, and now and then. */
    private boolean goesOn() {
        long passed = launch.turns().passed();
        boolean look = passed != turnsNoted || ++looks % LOOKS == 0;
        turnsNoted = passed;
        return launch.hasFailed() || look && hasTurnCome();
    }

    /** Whether the turn of some warp has come; its lanes wait for the same. */
    private boolean hasTurnCome() {
        for (int i = 0; i < items.length; i++) {
            if (items[i].state() == State.AWAITS_TURN) {
                if (items[i].turnHasCome()) {
                    return true;
                }
                i |= Warp.SIZE - 1;
            }
        }
        return false;
    }

    /**
     * Lets others run until it is the turn of {@code item} again. So small, as what it calls and what calls it, that
     * compilers make one of them: each change of work-items copies what lies between a kernel and the change.
     */
    void giveWay(WorkItem item) {
        if (handsOn(item)) {
            item.strand().park();
        }
        if (cancelled) {
            throw Launch.CANCELLED;
        }
    }

    /** Has the next one go on; false if it is {@code item} itself. */
    private boolean handsOn(WorkItem item) {
        launch.stopAfterFailure(turn);
        WorkItem next = nextAfter(item);
        next.state(State.RUNNING);
        if (next == item) {
            return false;
        }
        if (next.strand() == null) {
            lane.startStrand(next);
        } else {
            next.strand().wake();
        }
        return true;
    }

    /**
     * Ends a work-item. Once the baton is handed on, the calling strand must not look at the group any more.
     *
     * @return the work-item that the calling strand is to run next, perhaps of another group, or null if another strand
     *     goes on or none is left
     */
    WorkItem finish(WorkItem item) {
        item.state(State.DONE);
        finished++;
        tallyCosts(item);
        if (finished == items.length) {
            if (picture != null) {
                picture.end(Math.toIntExact(barriersPassed), localArrays);
            }
            return lane.next(this);
        }
        launch.stopAfterFailure(turn);
        if (atBarrier + finished == items.length && !launch.options().barriers()) {
            release();
        }
        WorkItem next = nextAfter(item);
        next.state(State.RUNNING);
        if (next.strand() == null) {
            return next;
        }
        next.strand().wake();
        return null;
    }

    WorkItem first() {
        WorkItem first = nextReady();
        first.state(State.RUNNING);
        return first;
    }

    /** Makes the waiting work-items end with {@link Launch#CANCELLED}. */
    void cancel() {
        cancelled = true;
        for (WorkItem item : items) {
            if (item.strand() != null && item.state() != State.DONE) {
                item.strand().wake();
            }
        }
    }

    /** Returns which goes on where one cannot; where all others wait for turns of other groups, these run first. */
    private WorkItem nextAfter(WorkItem item) {
        if (awaitTurns && launch.turns().passed() != turnsNoted) {
            noteTurns();
        }
        WorkItem next = nextReady();
        while (next == null && awaitTurns) {
            item.strand().pause(this::goesOn);
            if (launch.hasFailed()) {
                throw Launch.STOPPED;
            }
            noteTurns();
            next = nextReady();
        }
        if (next == null) {
            throw Divergence.explain(this, item);
        }
        return next;
    }

    private WorkItem nextReady() {
        for (int tried = 0; tried < items.length; tried++) {
            WorkItem candidate = items[order[cursor]];
            cursor = cursor + 1 == items.length ? 0 : cursor + 1;
            if (candidate.state() == State.READY) {
                return candidate;
            }
        }
        return null;
    }

    private void shuffle() {
        if (shuffler == null) {
            return;
        }
        for (int i = order.length - 1; i > 0; i--) {
            int other = shuffler.nextInt(i + 1);
            int moved = order[i];
            order[i] = order[other];
            order[other] = moved;
        }
    }
}
