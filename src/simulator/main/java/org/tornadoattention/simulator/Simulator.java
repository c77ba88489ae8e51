package org.tornadoattention.simulator;

import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.tornadoattention.simulator.engine.StatisticsLog;

/** The switchboard of the simulator: its settings, and what the last kernels did. */
public final class Simulator {

    /** Null until they are asked for: a property with a wrong value is then told by whoever asks, each time. */
    private static volatile SimulatorSettings settings;

    private Simulator() {}

    /**
     * Returns the settings in force.
     *
     * @throws IllegalArgumentException if they are those of the system properties and these are wrong
     */
    public static SimulatorSettings settings() {
        SimulatorSettings known = settings;
        if (known == null) {
            known = SimulatorSettings.fromSystemProperties();
            settings = known;
        }
        return known;
    }

    /**
     * Changes the settings for the launches that begin from now on.
     *
     * @return a handle that brings the present settings back when closed
     */
    public static Restore configure(SimulatorSettings newSettings) {
        SimulatorSettings before = settings();
        settings = Objects.requireNonNull(newSettings, "newSettings");
        return () -> settings = before;
    }

    /** Returns the statistics of the last execution of a plan in this JVM: one entry for each task, in order. */
    public static List<KernelStatistics> lastStatistics() {
        return StatisticsLog.last();
    }

    /**
     * Calls {@code listener} after each kernel launch.
     *
     * @return a handle that ends it when closed
     */
    public static Restore listen(Consumer<? super KernelStatistics> listener) {
        StatisticsLog.add(Objects.requireNonNull(listener, "listener"));
        return () -> StatisticsLog.remove(listener);
    }

    /** Undoes a change when closed. */
    @FunctionalInterface
    public interface Restore extends AutoCloseable {

        @Override
        void close();
    }
}
