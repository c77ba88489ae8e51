package org.tornadoattention.simulator.engine;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The turns that groups of a launch have passed to each other, with what came before: of each group that who passed
 * knew of, the last epoch of each of its warps.
 */
final class Turns {

    private record Place(DeviceArray array, int index) {}

    private final Map<Place, Map<Integer, int[]>> known = new ConcurrentHashMap<>();
    private final AtomicLong passed = new AtomicLong();
    private volatile long lastPassed = System.nanoTime();

    /** Notes that a warp passes a turn, which {@code write} then writes. */
    void pass(DeviceArray array, int index, Warp warp, int part, int warps, Runnable write) {
        note(array, index, warp, part, warps);
        write.run();
        passed.incrementAndGet();
    }

    private synchronized void note(DeviceArray array, int index, Warp warp, int part, int warps) {
        Map<Integer, int[]> before = new HashMap<>(warp.knownOfOthers());
        int[] own = new int[warps];
        for (int w = 0; w < warps; w++) {
            own[w] = warp.known(w);
        }
        before.put(part, own);
        known.put(new Place(array, index), Map.copyOf(before));
        lastPassed = System.nanoTime();
    }

    /** Counts a warp, which learns what came before those that were counted; from 0 again after {@code last}. */
    synchronized int arrive(DeviceArray array, int index, int last, Warp warp, int part, int warps) {
        warp.learnOfOthers(before(array, index));
        note(array, index, warp, part, warps);
        int[] counts = (int[]) array.storage();
        int before = counts[index];
        counts[index] = before >= last ? 0 : before + 1;
        passed.incrementAndGet();
        return before;
    }

    /** How many turns were passed: where it has not changed, nobody's turn has come. */
    long passed() {
        return passed.get();
    }

    /** What came before the turn that was passed last. */
    Map<Integer, int[]> before(DeviceArray array, int index) {
        return known.getOrDefault(new Place(array, index), Map.of());
    }

    /** When any turn was passed last. */
    long lastPassed() {
        return lastPassed;
    }
}
