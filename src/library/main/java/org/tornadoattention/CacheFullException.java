package org.tornadoattention;

/** A cache has no room for new tokens; nothing was appended to any sequence. */
public final class CacheFullException extends AttentionException {
    private static final long serialVersionUID = 1L;

    /**
     * A cache that is full.
     *
     * @param message what was asked for, what there is, and what to do
     */
    public CacheFullException(String message) {
        super(message);
    }
}
