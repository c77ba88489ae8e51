package org.tornadoattention.inference;

/** A cache has no room for new tokens; nothing was appended to any sequence. */
public final class CacheFullException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    /** With what was asked for, what there is, and what to do. */
    public CacheFullException(String message) {
        super(message);
    }
}
