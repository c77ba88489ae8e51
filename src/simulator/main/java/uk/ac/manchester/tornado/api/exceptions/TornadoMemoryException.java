package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** Wrong use of device memory. */
public class TornadoMemoryException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoMemoryException(String message) {
        super(message);
    }
}
