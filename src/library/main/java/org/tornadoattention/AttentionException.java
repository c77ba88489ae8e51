package org.tornadoattention;

/** Attention could not be computed, through no mistake in the call: a device, a driver or a compiler failed. */
public class AttentionException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** A failure that has no cause of its own, such as a result that was never written. */
    public AttentionException(String message) {
        super(message);
    }

    /** A failure that something below reported. */
    public AttentionException(String message, Throwable cause) {
        super(message, cause);
    }
}
