package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A kernel that could not be compiled. */
public class TornadoCompilationException extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoCompilationException(String message) {
        super(message);
    }
}
