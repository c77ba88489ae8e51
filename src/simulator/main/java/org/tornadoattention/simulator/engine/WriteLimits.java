package org.tornadoattention.simulator.engine;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import org.tornadoattention.simulator.Simulator;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Which elements of which arrays kernels may write, where somebody has said so. */
public final class WriteLimits {

    private static final List<Limit> LIMITS = new CopyOnWriteArrayList<>();

    private WriteLimits() {}

    /** Adds a limit and returns what lifts it. */
    public static Simulator.Restore add(TornadoNativeArray array, int from, int to) {
        Limit limit = new Limit(array, from, to);
        LIMITS.add(limit);
        return () -> LIMITS.remove(limit);
    }

    static boolean any() {
        return !LIMITS.isEmpty();
    }

    /** Returns the limits of one array of the host. */
    static List<Limit> of(TornadoNativeArray array) {
        return LIMITS.stream().filter(limit -> limit.array == array).toList();
    }

    /** The elements of an array that may be written; each limit is one of its own, however alike they are. */
    static final class Limit {

        private final TornadoNativeArray array;
        private final int from;
        private final int to;

        Limit(TornadoNativeArray array, int from, int to) {
            this.array = Objects.requireNonNull(array, "array");
            Objects.checkFromToIndex(from, to, array.getSize());
            this.from = from;
            this.to = to;
        }

        boolean allows(int index) {
            return index >= from && index < to;
        }

        @Override
        public String toString() {
            return from == to ? "nothing of it" : "elements " + from + " to " + (to - 1);
        }
    }
}
