package org.tornadoattention.simulator;

/** A kind of mistake that the simulator looks for. All are on unless {@link SimulatorSettings} says otherwise. */
public enum Check {
    /**
     * Two work-items touch the same element of local memory between two barriers, and one of them writes; or two
     * work-items between two barriers, two groups, or two iterations of parallel loops write different values to the
     * same element of device memory, or one reads what the other writes.
     */
    RACES,
    /** A barrier or warp collective that not all work-items reach. */
    BARRIERS,
    /** An index outside an array; without this check the plain Java exception is reported, unnamed. */
    BOUNDS,
    /** A read of local memory that no work-item has written, or of a private array before its element is written. */
    UNINITIALIZED,
    /**
     * A read of what is not there: on the device before a transfer, on the host before a transfer back, or on the
     * device what the host has changed since a transfer of the first execution only.
     */
    TRANSFERS,
    /**
     * What TornadoVM 5.2 was seen to refuse, or to take for something else: printing, exceptions, recursion, static
     * variables and arrays, arrays of a size that is only known when the kernel runs, lambdas, methods of the JDK, some
     * loops, negative numbers shifted by {@code >>>}. It compiles other things not either.
     */
    COMPILABLE
}
