package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import org.tornadoattention.device.ComputeDevice;

/** A device lacks what a kernel needs; nothing was compiled or launched. */
public final class UnsupportedOnDeviceException extends AttentionException {
    private static final long serialVersionUID = 1L;

    /** The device; not part of a serialised exception, whose message names it. */
    private final transient ComputeDevice device;

    /** What the device lacks. */
    private final String missingCapability;

    /**
     * The message is put together from the three parts.
     *
     * @param device the device
     * @param missingCapability what the kernel needs and the device lacks, such as {@code 48 KB of local memory (it has
     *     32 KB)}
     * @param advice what the caller can do instead, as a sentence without its full stop
     */
    public UnsupportedOnDeviceException(ComputeDevice device, String missingCapability, String advice) {
        super("%s lacks %s: %s.".formatted(required(device, "device"), missingCapability, advice));
        this.device = device;
        this.missingCapability = required(missingCapability, "missingCapability");
    }

    /**
     * The device.
     *
     * @return null only where this exception was read from a stream
     */
    public ComputeDevice device() {
        return device;
    }

    /**
     * What the device lacks.
     *
     * @return the capability, with what the device has instead where that is a number
     */
    public String missingCapability() {
        return missingCapability;
    }
}
