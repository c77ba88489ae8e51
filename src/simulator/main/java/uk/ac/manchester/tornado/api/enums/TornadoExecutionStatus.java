package uk.ac.manchester.tornado.api.enums;

/** Where a command of a device queue stands. */
public enum TornadoExecutionStatus {
    /** Not known. */
    UNKNOWN,
    /** Done. */
    COMPLETE,
    /** On the device. */
    RUNNING,
    /** Handed to the device. */
    SUBMITTED,
    /** Waiting on the host. */
    QUEUED,
    /** Failed. */
    ERROR
}
