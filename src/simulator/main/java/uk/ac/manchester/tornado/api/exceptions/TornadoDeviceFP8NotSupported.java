package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A device without 8-bit floats. */
public class TornadoDeviceFP8NotSupported extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoDeviceFP8NotSupported(String message) {
        super(message);
    }
}
