package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A failure of the runtime. */
public class TornadoFailureException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoFailureException(String message) {
        super(message);
    }

    /** Creates it around its cause. */
    public TornadoFailureException(Exception cause) {
        super(cause);
    }
}
