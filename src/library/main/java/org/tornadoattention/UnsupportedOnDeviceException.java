package org.tornadoattention;

/** A device lacks what a kernel needs; nothing was compiled or launched. */
public final class UnsupportedOnDeviceException extends AttentionException {
    private static final long serialVersionUID = 1L;

    /** The name of the device. */
    private final String device;

    /** What the device lacks. */
    private final String missingCapability;

    /**
     * The message is put together from the three parts.
     *
     * @param device            the device's name, such as {@code OpenCL 0:0 pthread-skylake}
     * @param missingCapability what the kernel needs and the device has not, such as {@code 48 KB of local memory (it has 32 KB)}
     * @param advice            what the caller can do instead, as a sentence without its full stop
     */
    public UnsupportedOnDeviceException(String device, String missingCapability, String advice) {
        super("%s lacks %s: %s.".formatted(device, missingCapability, advice));
        this.device = device;
        this.missingCapability = missingCapability;
    }

    /** The name of the device. */
    public String device() {
        return device;
    }

    /** What the device lacks. */
    public String missingCapability() {
        return missingCapability;
    }
}
