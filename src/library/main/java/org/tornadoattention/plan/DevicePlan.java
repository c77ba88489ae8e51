package org.tornadoattention.plan;

/** What holds memory on a device until it is closed. */
public interface DevicePlan extends AutoCloseable {

    /** Frees the device's memory. */
    @Override
    void close();
}
