package uk.ac.manchester.tornado.api.enums;

/** What happens with the profile of an execution. */
public enum ProfilerMode {
    /** Printed after each execution. */
    CONSOLE,
    /** Kept for the program to ask for. */
    SILENT
}
