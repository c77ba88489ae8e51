package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** Device memory that is used up. */
public class TornadoOutOfMemoryException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoOutOfMemoryException(String message) {
        super(message);
    }
}
