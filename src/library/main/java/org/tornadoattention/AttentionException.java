package org.tornadoattention;

import org.jspecify.annotations.Nullable;

/**
 * Attention could not be computed, through no mistake in the call's arguments: a device, a driver or a compiler failed,
 * lacks something or has no room left. A launch that failed never returns numbers.
 */
public sealed class AttentionException extends RuntimeException
        permits UnsupportedOnDeviceException, CacheFullException {
    private static final long serialVersionUID = 1L;

    /**
     * A failure that has no cause of its own, such as a result that was never written.
     *
     * @param message what failed, where, and what to do
     */
    public AttentionException(String message) {
        super(message);
    }

    /**
     * A failure that something below reported.
     *
     * @param message what failed, where, and what to do
     * @param cause what was reported, or null
     */
    public AttentionException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
