package org.tornadoattention.simulator.engine;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.tornadoattention.simulator.SimulatorFaultException;

/** Tells who wants to know of the faults that are found, for whoever runs the plan may catch them. */
public final class FaultLog {

    private static final List<Consumer<? super SimulatorFaultException>> LISTENERS = new CopyOnWriteArrayList<>();

    private FaultLog() {}

    /** Has {@code listener} called for each fault. */
    public static void add(Consumer<? super SimulatorFaultException> listener) {
        LISTENERS.add(listener);
    }

    /** Ends what {@link #add} began. */
    public static void remove(Consumer<? super SimulatorFaultException> listener) {
        LISTENERS.remove(listener);
    }

    /** Tells of a fault, and returns it. */
    static SimulatorFaultException tell(SimulatorFaultException fault) {
        LISTENERS.forEach(listener -> listener.accept(fault));
        return fault;
    }
}
