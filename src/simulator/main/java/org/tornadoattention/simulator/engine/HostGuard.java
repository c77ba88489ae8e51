package org.tornadoattention.simulator.engine;

/** Stands before a host array while the newest content is on the device. */
public interface HostGuard {

    /** Is called before the host reads an element. */
    void beforeHostRead();

    /** Is called before the host writes an element. */
    void beforeHostWrite();
}
