package uk.ac.manchester.tornado.api.enums;

/** When a task graph copies an array between host and device. */
@SuppressWarnings("missing-explicit-ctor") // as in TornadoVM
public class DataTransferMode {

    /** Once, before the first execution of the graph. */
    public static final int FIRST_EXECUTION = 0;

    /** At each execution. */
    public static final int EVERY_EXECUTION = 1;

    /** Only when the program asks for it. */
    public static final int UNDER_DEMAND = 2;
}
