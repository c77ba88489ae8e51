package uk.ac.manchester.tornado.api.enums;

/** Kinds of devices. */
public enum TornadoDeviceType {
    /** Not known. */
    UNKNOWN,
    /** The platform's default. */
    DEFAULT,
    /** A processor; the simulated device is one. */
    CPU,
    /** A graphics processor. */
    GPU,
    /** A field-programmable gate array. */
    FPGA,
    /** Another accelerator. */
    ACCELERATOR,
    /** A custom device. */
    CUSTOM,
    /** All of them, for queries. */
    ALL
}
