package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A device without tensor cores. */
public class TornadoDeviceMMANotSupported extends RuntimeException {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it with what went wrong. */
    public TornadoDeviceMMANotSupported(String message) {
        super(message);
    }
}
