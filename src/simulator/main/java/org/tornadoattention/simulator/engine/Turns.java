package org.tornadoattention.simulator.engine;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The turns that groups of a launch have passed to each other, with what came before: of each group that who passed knew
 * of, the last epoch of each of its warps.
 */
final class Turns {

    private record Place(DeviceArray array, int index) {}

    private final Map<Place, Map<Integer, int[]>> known = new ConcurrentHashMap<>();
    private volatile long lastPassed = System.nanoTime();

    /** Notes that a warp passes a turn. */
    void pass(DeviceArray array, int index, Warp warp, int part, int warps) {
        Map<Integer, int[]> before = new HashMap<>(warp.knownOfOthers());
        int[] own = new int[warps];
        for (int w = 0; w < warps; w++) {
            own[w] = warp.known(w);
        }
        before.put(part, own);
        known.put(new Place(array, index), Map.copyOf(before));
        lastPassed = System.nanoTime();
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
