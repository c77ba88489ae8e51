package uk.ac.manchester.tornado.api.exceptions;

import java.io.Serial;

/** A defect of the runtime, or code that it cannot handle. An {@link Error}, not an exception. */
public class TornadoInternalError extends Error {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Creates it from a format string. */
    public TornadoInternalError(String msg, Object... args) {
        super(args.length == 0 ? msg : String.format(msg, args));
    }

    /** Creates it around its cause. */
    public TornadoInternalError(Throwable cause) {
        super(cause);
    }

    /** Throws for what is not implemented. */
    public static RuntimeException unimplemented() {
        throw new TornadoInternalError("unimplemented");
    }

    /** Throws for what is not implemented. */
    public static RuntimeException unimplemented(String msg) {
        throw new TornadoInternalError("unimplemented: " + msg);
    }

    /** Throws for what is not implemented. */
    public static RuntimeException unimplemented(String msg, Object... args) {
        throw new TornadoInternalError("unimplemented: " + msg, args);
    }

    /** Throws for a place that must not be reached. */
    public static RuntimeException shouldNotReachHere() {
        throw new TornadoInternalError("should not reach here");
    }

    /** Throws for a place that must not be reached. */
    public static RuntimeException shouldNotReachHere(String msg) {
        throw new TornadoInternalError("should not reach here: " + msg);
    }

    /** Throws for a place that must not be reached. */
    public static RuntimeException shouldNotReachHere(String msg, Object... args) {
        throw new TornadoInternalError("should not reach here: " + msg, args);
    }

    /** Throws for a place that must not be reached. */
    public static RuntimeException shouldNotReachHere(Throwable cause) {
        throw new TornadoInternalError(cause);
    }

    /** Throws unless {@code condition} holds. */
    public static void guarantee(boolean condition, String msg, Object... args) {
        if (!condition) {
            throw new TornadoInternalError("failed guarantee: " + msg, args);
        }
    }
}
