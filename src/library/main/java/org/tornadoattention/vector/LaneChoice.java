package org.tornadoattention.vector;

import java.util.concurrent.atomic.AtomicBoolean;

/** Which {@link Lanes} there are in this JVM: the vectors where their module is, plain loops elsewhere. */
public final class LaneChoice {

    private static final String MODULE = "jdk.incubator.vector";
    private static final AtomicBoolean TOLD = new AtomicBoolean();

    private static final class Holder {
        private static final Lanes BEST = choose();

        private static Lanes choose() {
            if (!hasModule()) {
                return new ScalarLanes();
            }
            VectorLanes vectors = new VectorLanes();
            return vectors.length() % Lanes.ROWS == 0 ? vectors : new ScalarLanes();
        }
    }

    private LaneChoice() {}

    static boolean hasModule() {
        return ModuleLayer.boot().findModule(MODULE).isPresent();
    }

    static Lanes best() {
        return Holder.BEST;
    }

    /** What computes here, such as {@code 512-bit vectors}. */
    public static String description() {
        return best().description();
    }

    /** Says once, in the JVM's log, how this would be faster. */
    static void tellOnce() {
        if (!hasModule() && TOLD.compareAndSet(false, true)) {
            System.getLogger("org.tornadoattention")
                    .log(
                            System.Logger.Level.WARNING,
                            "Attention runs without the JVM's vector units: start Java with --add-modules " + MODULE
                                    + " to make it several times as fast.");
        }
    }
}
