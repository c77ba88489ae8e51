package org.tornadoattention.simulator;

import java.io.Serial;

/**
 * A mistake that the simulator found. The message names kernel, source line, work-group, work-item, array and index, as
 * far as they apply, and says what to do.
 */
public final class SimulatorFaultException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    private final FaultKind kind;

    /** Creates it; {@code detail} continues the sentence that the kind begins. */
    public SimulatorFaultException(FaultKind kind, String detail) {
        super(kind.title() + ": " + detail);
        this.kind = kind;
    }

    /** Creates it with the exception that revealed the mistake. */
    public SimulatorFaultException(FaultKind kind, String detail, Throwable cause) {
        super(kind.title() + ": " + detail, cause);
        this.kind = kind;
    }

    /** Returns what kind of mistake it is. */
    public FaultKind kind() {
        return kind;
    }
}
