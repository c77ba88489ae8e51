package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A call that the API does not allow. */
public class TornadoAPIException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong and why. */
    public TornadoAPIException(String message, Exception cause) {
        super(message, cause);
    }

    /** Creates it with what went wrong. */
    public TornadoAPIException(String message) {
        super(message);
    }
}
