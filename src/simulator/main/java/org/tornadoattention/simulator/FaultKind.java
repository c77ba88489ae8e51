package org.tornadoattention.simulator;

/** What went wrong in a kernel, or between kernel and host. */
public enum FaultKind {
    /** Two work-items touched the same element of local memory between two barriers, and one of them wrote. */
    LOCAL_RACE("data race on local memory"),
    /**
     * Different groups or iterations touched the same element of device memory in one launch, and one of them wrote.
     */
    GLOBAL_RACE("data race on global memory"),
    /** Not all work-items of a group reached a barrier. */
    DIVERGENT_BARRIER("divergent barrier"),
    /** Not all lanes of a warp reached a collective operation. */
    DIVERGENT_COLLECTIVE("divergent warp collective"),
    /**
     * There is no way out of a loop, or it does not count to a fixed number and took longer than
     * {@link SimulatorSettings#loopSeconds}; or a group passed more barriers than {@link SimulatorSettings#barriers}.
     */
    ENDLESS_LOOP("loop without an end"),
    /** A kernel called itself until the stack was full. */
    ENDLESS_RECURSION("recursion without an end"),
    /** An index was outside its array. */
    OUT_OF_BOUNDS("index out of bounds"),
    /** Local memory was read before it was written. */
    UNINITIALIZED_LOCAL("read of uninitialised local memory"),
    /** A work-item read an element of an array of its own before it wrote it. */
    UNINITIALIZED_PRIVATE("read of an uninitialised private array"),
    /** A kernel read an element that was neither transferred to the device nor written there. */
    NOT_ON_DEVICE("read of device memory that holds nothing"),
    /** A kernel wrote an element that {@link Simulator#allowWrites} leaves out. */
    WRITE_OUTSIDE("write outside what the task was given to write"),
    /** A kernel read an element that the host has changed since it was transferred once and for all. */
    STALE_ON_DEVICE("read of a stale copy on the device"),
    /** The host read an array whose newest content is on the device. */
    NOT_ON_HOST("read of a stale array on the host"),
    /** The work-items of a group did not allocate the same local arrays, or more than the device has. */
    LOCAL_ALLOCATION("wrong use of local memory"),
    /** A tensor-core or copy operation was used in a way that the hardware does not allow. */
    ILLEGAL_OPERATION("illegal operation"),
    /** The kernel does what TornadoVM does not compile. */
    NOT_COMPILABLE("not for a device"),
    /** A kernel made NaN of finite numbers; told only if {@link SimulatorSettings#numbers} asks for it. */
    NOT_A_NUMBER("NaN made of numbers"),
    /** A sum of halves stayed what it was; told only if {@link SimulatorSettings#numbers} asks for it. */
    LOST_ADDEND("addition without effect"),
    /** The kernel threw an exception. */
    KERNEL_EXCEPTION("exception in a kernel");

    private final String title;

    FaultKind(String title) {
        this.title = title;
    }

    /** Returns the kind in words, as messages begin. */
    public String title() {
        return title;
    }
}
