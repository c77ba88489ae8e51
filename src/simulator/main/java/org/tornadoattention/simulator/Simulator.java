package org.tornadoattention.simulator;

import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.tornadoattention.simulator.engine.StatisticsLog;

/** The switchboard of the simulator: its settings, and what the last kernels did. */
public final class Simulator {

    private static volatile SimulatorSettings settings = SimulatorSettings.fromSystemProperties();

    private Simulator() {}

    /** Returns the settings in force. */
    public static SimulatorSettings settings() {
        return settings;
    }

    /**
     * Changes the settings for the launches that begin from now on.
     *
     * @return a handle that brings the present settings back when closed
     */
    public static Restore configure(SimulatorSettings newSettings) {
        SimulatorSettings before = settings;
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
