package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A device without double-precision arithmetic. */
public class TornadoDeviceFP64NotSupported extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoDeviceFP64NotSupported(String message) {
        super(message);
    }
}
