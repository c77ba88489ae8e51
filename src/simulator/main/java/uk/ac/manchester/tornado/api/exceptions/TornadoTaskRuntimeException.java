package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** Wrong use of a task. */
public class TornadoTaskRuntimeException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoTaskRuntimeException(String message) {
        super(message);
    }

    /** Creates it with what went wrong and why. */
    public TornadoTaskRuntimeException(String message, Exception cause) {
        super(message, cause);
    }
}
