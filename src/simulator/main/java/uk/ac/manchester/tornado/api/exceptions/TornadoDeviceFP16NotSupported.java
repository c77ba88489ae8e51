package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A device without half-precision arithmetic. */
public class TornadoDeviceFP16NotSupported extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoDeviceFP16NotSupported(String message) {
        super(message);
    }
}
