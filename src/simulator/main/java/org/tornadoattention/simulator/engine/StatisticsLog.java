package org.tornadoattention.simulator.engine;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.tornadoattention.simulator.KernelStatistics;

/** Where launches leave their statistics. */
public final class StatisticsLog {

    private static final List<Consumer<? super KernelStatistics>> LISTENERS = new CopyOnWriteArrayList<>();

    private static volatile List<KernelStatistics> last = List.of();

    private StatisticsLog() {}

    /** Returns the statistics of the last execution. */
    public static List<KernelStatistics> last() {
        return last;
    }

    /** Has {@code listener} called after each launch. */
    public static void add(Consumer<? super KernelStatistics> listener) {
        LISTENERS.add(listener);
    }

    /** Ends what {@link #add} began. */
    public static void remove(Consumer<? super KernelStatistics> listener) {
        LISTENERS.remove(listener);
    }

    static void launched(KernelStatistics statistics) {
        LISTENERS.forEach(listener -> listener.accept(statistics));
    }

    static void executed(List<KernelStatistics> statistics) {
        last = List.copyOf(statistics);
    }
}
