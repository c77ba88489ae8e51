package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A backend that is not installed. */
public class TornadoBackendNotFound extends TornadoRuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoBackendNotFound(String message) {
        super(message);
    }
}
