package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** Wrong use of plans and task graphs. */
public class TornadoRuntimeException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoRuntimeException(String message) {
        super(message);
    }

    /** Creates it around its cause. */
    public TornadoRuntimeException(Exception cause) {
        super(cause);
    }
}
