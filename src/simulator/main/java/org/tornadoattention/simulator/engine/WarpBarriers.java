package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.engine.WorkItem.State;

/**
 * The barriers that a group has made in its local memory, and what each warp knows through them to have come before it:
 * of every warp the last epoch, which is a time between two of its barriers. A local barrier makes them all equal
 * again. What a warp knows of other groups, by their turns, it tells with it.
 */
final class WarpBarriers {

    /** Where a barrier lies. */
    record Place(LocalArray array, int index) {

        @Override
        public String toString() {
            return array.name() + "[" + index + "]";
        }
    }

    private static final class Barrier {

        private final int warps;
        private final boolean forCopies;
        private final int[] arriving;
        private final Map<Integer, int[]> arrivingOfOthers = new HashMap<>();
        private int[] ended;
        private Map<Integer, int[]> endedOfOthers = Map.of();
        private int arrived;
        private int phase;

        Barrier(int warps, boolean forCopies, int warpsOfGroup) {
            this.warps = warps;
            this.forCopies = forCopies;
            this.arriving = new int[warpsOfGroup];
            this.ended = new int[warpsOfGroup];
        }
    }

    private final WorkGroup group;
    private final Map<Place, Barrier> barriers = new HashMap<>();

    WarpBarriers(WorkGroup group) {
        this.group = group;
    }

    void make(Place place, int warps, boolean forCopies) {
        barriers.put(place, new Barrier(warps, forCopies, group.warps().length));
    }

    /** Whether who waits there waits for copies. */
    boolean isForCopies(Place place) {
        return barriers.get(place).forCopies;
    }

    /** The last lane of a warp has come. */
    void arrive(WorkItem item, Place place, boolean withCopies) {
        Barrier barrier = barrier(item, place);
        if (barrier.forCopies != withCopies) {
            throw item.fault(
                    FaultKind.ILLEGAL_OPERATION,
                    withCopies
                            ? "arrives with copies at the barrier " + place
                                    + ", which WarpBarrier.init() has made; make it with initForCopies()"
                            : "arrives at the barrier " + place
                                    + ", which WarpBarrier.initForCopies() has made; call arriveWithCopies() there");
        }
        Warp warp = item.warp();
        for (int w = 0; w < barrier.arriving.length; w++) {
            barrier.arriving[w] = Math.max(barrier.arriving[w], warp.known(w));
        }
        Warp.merge(barrier.arrivingOfOthers, warp.knownOfOthers());
        group.nextEpoch(warp);
        if (++barrier.arrived == barrier.warps) {
            barrier.arrived = 0;
            barrier.phase++;
            barrier.ended = barrier.arriving.clone();
            barrier.endedOfOthers = Map.copyOf(barrier.arrivingOfOthers);
            for (WorkItem other : group.items()) {
                if (other.state() == State.AT_WARP_BARRIER && other.warpLane().awaits(place)) {
                    other.state(State.READY);
                }
            }
        }
    }

    /** Whether the phase has ended; if so, the warp knows what had come before its end. */
    boolean hasEnded(WorkItem item, Place place, int phase) {
        Barrier barrier = barrier(item, place);
        if (phase != barrier.phase && phase != barrier.phase - 1) {
            throw item.fault(
                    FaultKind.ILLEGAL_OPERATION,
                    "waits for phase " + phase + " of the barrier " + place + ", which is in phase " + barrier.phase
                            + "; a barrier knows its present phase and the one before only");
        }
        if (phase == barrier.phase) {
            return false;
        }
        item.warp().learn(barrier.ended);
        item.warp().learnOfOthers(barrier.endedOfOthers);
        return true;
    }

    /** How far a barrier is, for messages. */
    String progress(Place place) {
        Barrier barrier = barriers.get(place);
        return barrier.arrived + " of " + barrier.warps + " warps have arrived";
    }

    /** Epochs begin anew. */
    void forgetEpochs() {
        for (Barrier barrier : barriers.values()) {
            Arrays.fill(barrier.arriving, 0);
            Arrays.fill(barrier.ended, 0);
        }
    }

    private Barrier barrier(WorkItem item, Place place) {
        Barrier barrier = barriers.get(place);
        if (barrier == null) {
            throw item.fault(
                    FaultKind.ILLEGAL_OPERATION,
                    "uses " + place + " as a barrier, which was not made; call WarpBarrier.init() first");
        }
        return barrier;
    }
}
