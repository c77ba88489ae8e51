package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A task that could not be compiled or launched. */
public class TornadoBailoutRuntimeException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoBailoutRuntimeException(String message) {
        super(message);
    }

    /** Creates it with what went wrong and why. */
    public TornadoBailoutRuntimeException(String message, Exception cause) {
        super(message, cause);
    }
}
