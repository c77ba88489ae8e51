package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** An execution plan that could not be closed. */
public class TornadoExecutionPlanException extends Exception {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoExecutionPlanException(String message) {
        super(message);
    }

    /** Creates it with what went wrong and why. */
    public TornadoExecutionPlanException(String message, Throwable cause) {
        super(message, cause);
    }
}
