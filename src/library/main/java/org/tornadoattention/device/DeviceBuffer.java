package org.tornadoattention.device;

/**
 * Bytes on a device, without the header that TornadoVM's arrays begin with: memory of its own, or that of an array of a
 * plan.
 */
public interface DeviceBuffer extends AutoCloseable {

    /** {@return how many there are} */
    long bytes();

    /** Frees memory of its own; that of a plan's array stays the plan's. Nothing may be at work with it. */
    @Override
    void close();
}
