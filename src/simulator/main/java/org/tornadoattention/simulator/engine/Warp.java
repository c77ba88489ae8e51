package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.engine.WorkItem.State;

/** Up to 32 work-items with consecutive ids that do collective operations together. */
final class Warp {

    static final int SIZE = 32;

    private final WorkGroup group;
    private final int index;
    private final WorkItem[] lanes;
    private final String[] operations = new String[SIZE];
    private final float[] operands = new float[SIZE];
    private final float[] results = new float[SIZE];
    private final Object[] tiles = new Object[SIZE];
    private Object[] exchanged;
    private int arrived;
    private int[] known;
    private int epoch;
    private final Map<Integer, int[]> knownOfOthers = new HashMap<>();

    Warp(WorkGroup group, int index, WorkItem... lanes) {
        this.group = group;
        this.index = index;
        this.lanes = lanes;
    }

    /** Puts together what the lanes cost, once all of them wait at the group's barrier or have returned. */
    void tallyCosts(CostTally tally) {
        for (WorkItem lane : lanes) {
            if (lane.state() != State.AT_BARRIER && lane.state() != State.DONE) {
                return;
            }
        }
        tally.warp(Stream.of(lanes).map(WorkItem::costTrace).toList(), group.pictureOf(index));
    }

    boolean isFull() {
        return lanes.length == SIZE;
    }

    /** From now on this warp has epochs of its own; the present one is the group's. */
    void keepTime(int groupEpoch, int warps) {
        known = new int[warps];
        enterEpoch(groupEpoch);
    }

    /** Enters an epoch of the whole group: everything came before it. */
    void enterEpoch(int groupEpoch) {
        if (known != null) {
            epoch = groupEpoch;
            Arrays.fill(known, groupEpoch - LocalArray.EPOCH);
        }
    }

    /** Enters an epoch of its own: what its lanes did came before it. */
    void enterOwnEpoch(int ownEpoch) {
        known[index] = epoch;
        epoch = ownEpoch;
        tellLanes();
    }

    /** The last epoch of a warp that came before, or is this warp's present one. */
    int known(int warp) {
        return warp == index ? epoch : known[warp];
    }

    /** What other warps did up to these epochs came before what this one does from now on. */
    void learn(int[] epochs) {
        boolean news = false;
        for (int w = 0; w < known.length; w++) {
            if (w != index && epochs[w] > known[w]) {
                known[w] = epochs[w];
                news = true;
            }
        }
        if (news) {
            tellLanes();
        }
    }

    /** Whether an access with this stamp of a {@link LocalArray} came before what this warp does now. */
    boolean knows(int stamp) {
        int warp = LocalArray.warpOf(stamp);
        return known != null && warp < known.length && stamp / LocalArray.EPOCH * LocalArray.EPOCH <= known[warp];
    }

    /** By the number of another group, the last epoch of each of its warps that came before. */
    Map<Integer, int[]> knownOfOthers() {
        return knownOfOthers;
    }

    /** What warps of other groups did up to these epochs came before what this one does from now on. */
    void learnOfOthers(Map<Integer, int[]> epochs) {
        merge(knownOfOthers, epochs);
    }

    /** Of two epochs of a warp the later one. */
    static void merge(Map<Integer, int[]> known, Map<Integer, int[]> epochs) {
        epochs.forEach((part, news) -> known.merge(part, news, (one, other) -> {
            int[] later = one.clone();
            for (int w = 0; w < later.length; w++) {
                later[w] = Math.max(later[w], other[w]);
            }
            return later;
        }));
    }

    /** Whether what another group has left with this stamp came before what this warp does now. */
    boolean knows(int part, int stamp) {
        int[] epochs = knownOfOthers.get(part);
        int warp = LocalArray.warpOf(stamp);
        return epochs != null && warp < epochs.length && stamp / LocalArray.EPOCH * LocalArray.EPOCH <= epochs[warp];
    }

    private void tellLanes() {
        int oldest = Integer.MAX_VALUE;
        for (int last : known) {
            oldest = Math.min(oldest, last);
        }
        for (WorkItem lane : lanes) {
            lane.enterEpoch(oldest + LocalArray.EPOCH, epoch);
        }
    }

    String operation(WorkItem item) {
        return operations[lane(item)];
    }

    float sum(WorkItem item, float value) {
        operands[lane(item)] = value;
        if (isLast(item, "simdSum")) {
            float[] sums = operands.clone();
            for (int lane = lanes.length; lane < SIZE; lane++) {
                sums[lane] = 0.0f;
            }
            for (int distance = SIZE / 2; distance > 0; distance /= 2) {
                for (int lane = 0; lane < distance; lane++) {
                    sums[lane] += sums[lane + distance];
                }
            }
            for (int lane = 0; lane < lanes.length; lane++) {
                results[lane] = sums[0];
            }
            goOn(item);
        } else {
            group.giveWay(item);
        }
        return results[lane(item)];
    }

    float shuffleDown(WorkItem item, float value, int delta) {
        operands[lane(item)] = value;
        if (isLast(item, "simdShuffleDown")) {
            for (int lane = 0; lane < lanes.length; lane++) {
                boolean exists = delta >= 0 && lane + delta < lanes.length;
                results[lane] = operands[exists ? lane + delta : lane];
            }
            goOn(item);
        } else {
            group.giveWay(item);
        }
        return results[lane(item)];
    }

    float shuffleXor(WorkItem item, float value, int mask) {
        operands[lane(item)] = value;
        if (isLast(item, "shuffleXor")) {
            for (int lane = 0; lane < SIZE; lane++) {
                results[lane] = operands[lane ^ mask];
            }
            goOn(item);
        } else {
            group.giveWay(item);
        }
        return results[lane(item)];
    }

    /**
     * Has all lanes meet with a part each. Returns the parts to the last of them to come, which is to {@link #answer};
     * to each other one null, once it has.
     */
    Object[] meet(WorkItem item, String operation, Object part) {
        tiles[lane(item)] = part;
        if (isLast(item, operation)) {
            return tiles;
        }
        group.giveWay(item);
        return null;
    }

    /** Says what each lane goes on with, and lets them. */
    void answer(WorkItem item, Object... answers) {
        exchanged = answers;
        goOn(item);
    }

    /** What a lane goes on with. */
    Object answer(WorkItem item) {
        return exchanged[lane(item)];
    }

    /** Has all lanes meet with a part each; the last to come makes of them what each goes on with. */
    Object exchange(WorkItem item, String operation, Object part, UnaryOperator<Object[]> work) {
        Object[] parts = meet(item, operation, part);
        if (parts != null) {
            answer(item, work.apply(parts));
        }
        return answer(item);
    }

    /** Gives all lanes the part of the first. */
    static Object[] ofFirst(Object[] parts) {
        Object[] first = parts.clone();
        Arrays.fill(first, parts[0]);
        return first;
    }

    /** Gives all lanes 1 where the part of any is not 0, otherwise 0. */
    static Object[] any(Object[] parts) {
        Object[] any = parts.clone();
        Arrays.fill(any, Arrays.stream(parts).anyMatch(part -> (int) part != 0) ? 1 : 0);
        return any;
    }

    /** Returns the lane with this number. */
    WorkItem item(int lane) {
        return lanes[lane];
    }

    float broadcastFirst(WorkItem item, float value) {
        operands[lane(item)] = value;
        if (isLast(item, "simdBroadcastFirst")) {
            for (int lane = 0; lane < lanes.length; lane++) {
                results[lane] = operands[0];
            }
            goOn(item);
        } else {
            group.giveWay(item);
        }
        return results[lane(item)];
    }

    /** Has all lanes meet with their parts of tiles; the last to come does the work for all. */
    void multiply(WorkItem item, TensorTiles part, TensorCore operation) {
        if (meet(item, operation.label(), part) != null) {
            checkSameOperations();
            TensorTiles[] parts = new TensorTiles[SIZE];
            for (int lane = 0; lane < SIZE; lane++) {
                parts[lane] = (TensorTiles) tiles[lane];
            }
            operation.multiply(parts);
            group.counters().mma(operation.depth());
            goOn(item);
        }
    }

    /** Throws if the lanes have not done the same number of tile operations. */
    void checkSameOperations() {
        int expected = tileOperations(lanes[0]);
        for (WorkItem lane : lanes) {
            if (tileOperations(lane) != expected) {
                throw lane.fault(
                        FaultKind.DIVERGENT_COLLECTIVE,
                        "and work-item " + group.itemName(lanes[0].id()) + " of warp " + index
                                + " did not do the same tensor-core loads, stores and products (" + tileOperations(lane)
                                + " and "
                                + expected + "); all lanes of a warp must do them together");
            }
        }
    }

    private static int tileOperations(WorkItem item) {
        TensorLane lane = item.tensorLaneOrNull();
        return (lane == null ? 0 : lane.operations()) + item.groupProducts();
    }

    /** Whether {@code item} is the last of its warp to come to an operation; the others are to give way. */
    private boolean isLast(WorkItem item, String operation) {
        operations[lane(item)] = operation;
        arrived++;
        if (arrived < lanes.length) {
            item.state(State.AT_COLLECTIVE);
            return false;
        }
        arrived = 0;
        for (int lane = 0; lane < lanes.length; lane++) {
            if (!operations[lane].equals(operation)) {
                item.state(State.AT_COLLECTIVE);
                throw Divergence.fault(group, FaultKind.DIVERGENT_COLLECTIVE, item);
            }
        }
        return true;
    }

    /** Lets all lanes go on, from the last of them, which has done the work. */
    private void goOn(WorkItem item) {
        group.counters().collective();
        for (WorkItem lane : lanes) {
            lane.state(State.READY);
        }
        item.state(State.RUNNING);
    }

    private static int lane(WorkItem item) {
        return item.id() % SIZE;
    }
}
