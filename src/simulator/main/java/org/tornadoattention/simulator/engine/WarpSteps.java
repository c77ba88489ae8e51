package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.tornadoattention.simulator.MemoryAccess;

/**
 * The instructions of a warp that touch memory, between two barriers, for a picture. Turns of a loop that differ only
 * in that their addresses move on, each by the same number of bytes a turn, are kept once.
 */
final class WarpSteps {

    /** The longest turn that is looked for, in instructions. */
    private static final int LONGEST_TURN = 64;

    private final List<Run> runs = new ArrayList<>();
    /** Steps that are in no run yet. */
    private final List<Step> tail = new ArrayList<>();
    /** The run that goes on, or null, and which of its steps comes next. */
    private Run open;

    private int next;
    private int steps;

    /**
     * An instruction of a warp.
     *
     * @param place where in the code it is
     * @param caller where the kernel called the method that it is in, or −1
     * @param access what it does
     * @param array the number of the array
     * @param bytes what a lane moves
     * @param mask the lanes that take part, lane 0 in the lowest bit
     * @param offsets for each of these lanes the first byte, in the array's buffer or in local memory
     * @param cost sectors of device memory, or turns of the banks of local memory
     * @param fewest how few would do
     * @param ways the most words of one bank that it wants
     */
    record Step(
            int place,
            int caller,
            MemoryAccess access,
            int array,
            int bytes,
            int mask,
            long[] offsets,
            long cost,
            long fewest,
            int ways) {

        /** Whether {@code other} is the same but that all addresses are moved by {@code delta} bytes. */
        boolean isMoved(Step other, long delta) {
            if (place != other.place
                    || caller != other.caller
                    || access != other.access
                    || array != other.array
                    || bytes != other.bytes
                    || mask != other.mask
                    || cost != other.cost
                    || fewest != other.fewest
                    || ways != other.ways) {
                return false;
            }
            for (int i = 0; i < offsets.length; i++) {
                if (other.offsets[i] - offsets[i] != delta) {
                    return false;
                }
            }
            return true;
        }

        long first() {
            return offsets[0];
        }
    }

    /** Turns of a loop: the steps of the first one, and by how many bytes each moves in a turn. */
    static final class Run {

        private final List<Step> body;
        private final long[] deltas;
        private int turns;

        Run(List<Step> body, long[] deltas, int turns) {
            this.body = List.copyOf(body);
            this.deltas = deltas;
            this.turns = turns;
        }

        List<Step> body() {
            return body;
        }

        long delta(int step) {
            return deltas[step];
        }

        int turns() {
            return turns;
        }

        private boolean goesOnWith(int step, Step found) {
            return body.get(step).isMoved(found, turns * deltas[step]);
        }
    }

    void add(Step step) {
        if (open != null) {
            if (open.goesOnWith(next, step)) {
                next++;
                if (next == open.body.size()) {
                    next = 0;
                    open.turns++;
                }
                return;
            }
            closeRun();
        }
        tail.add(step);
        steps++;
        findRun();
    }

    /** A turn that has only begun is none: its steps stand for themselves. */
    private void closeRun() {
        Run closed = open;
        open = null;
        for (int i = 0; i < next; i++) {
            long moved = closed.turns * closed.deltas[i];
            Step first = closed.body.get(i);
            long[] offsets =
                    Arrays.stream(first.offsets).map(offset -> offset + moved).toArray();
            tail.add(new Step(
                    first.place,
                    first.caller,
                    first.access,
                    first.array,
                    first.bytes,
                    first.mask,
                    offsets,
                    first.cost,
                    first.fewest,
                    first.ways));
            steps++;
        }
        next = 0;
    }

    private void findRun() {
        int size = tail.size();
        for (int turn = 1; turn <= LONGEST_TURN && 2 * turn <= size; turn++) {
            long[] deltas = deltas(size, turn);
            if (deltas != null) {
                List<Step> body = tail.subList(size - 2 * turn, size - turn);
                open = new Run(body, deltas, 2);
                tail.subList(size - 2 * turn, size).clear();
                steps -= turn;
                flushTail();
                runs.add(open);
                return;
            }
        }
    }

    /**
     * Returns by how much each of the last steps has moved since the turn before, or null if they are not the same
     * steps.
     */
    private long[] deltas(int size, int turn) {
        long[] deltas = new long[turn];
        for (int i = turn - 1; i >= 0; i--) {
            Step before = tail.get(size - 2 * turn + i);
            Step now = tail.get(size - turn + i);
            deltas[i] = now.offsets.length == before.offsets.length ? now.first() - before.first() : 0;
            if (now.offsets.length != before.offsets.length || !before.isMoved(now, deltas[i])) {
                return null;
            }
        }
        return deltas;
    }

    private void flushTail() {
        tail.forEach(step -> runs.add(new Run(List.of(step), new long[1], 1)));
        tail.clear();
    }

    /** Returns how many steps are kept. */
    int size() {
        return steps;
    }

    /** Returns all, in order. */
    List<Run> runs() {
        if (open != null) {
            closeRun();
        }
        flushTail();
        return runs;
    }
}
