package org.tornadoattention.simulator;

/** What a line of a kernel does to an array. */
public enum MemoryAccess {
    /** Reads device memory. */
    GLOBAL_READ("global read"),
    /** Writes device memory. */
    GLOBAL_WRITE("global write"),
    /** Changes device memory atomically. */
    GLOBAL_ATOMIC("global atomic"),
    /** Reads local memory. */
    LOCAL_READ("local read"),
    /** Writes local memory. */
    LOCAL_WRITE("local write"),
    /** Changes local memory atomically. */
    LOCAL_ATOMIC("local atomic");

    private final String title;

    MemoryAccess(String title) {
        this.title = title;
    }

    /** Returns the access in words. */
    public String title() {
        return title;
    }

    /** Returns whether it is one of device memory. */
    public boolean isGlobal() {
        return this == GLOBAL_READ || this == GLOBAL_WRITE || this == GLOBAL_ATOMIC;
    }
}
