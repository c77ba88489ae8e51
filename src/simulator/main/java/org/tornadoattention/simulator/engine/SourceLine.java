package org.tornadoattention.simulator.engine;

import java.util.stream.Stream;

/** Finds the line of a kernel in a stack: the first frame that is not of the simulator, the intrinsics or the JDK. */
final class SourceLine {

    private static final String ENGINE = SourceLine.class.getPackageName() + ".";
    private static final String INTRINSICS = "org.tornadoattention.intrinsic.";
    private static final String API = "uk.ac.manchester.tornado.api.";

    private SourceLine() {}

    static String current() {
        return StackWalker.getInstance()
                .walk(frames -> frames.map(StackWalker.StackFrame::toStackTraceElement)
                        .filter(SourceLine::isKernel)
                        .findFirst())
                .map(SourceLine::format)
                .orElse("unknown line");
    }

    /** Returns that line of the file that the current one is in. */
    static String inFileOfCurrent(int line) {
        String current = current();
        return current.substring(0, current.lastIndexOf(':') + 1) + line;
    }

    static String of(Strand strand) {
        return strand == null ? "unknown line" : of(strand.stackTrace());
    }

    static String of(StackTraceElement... trace) {
        return Stream.of(trace)
                .filter(SourceLine::isKernel)
                .findFirst()
                .map(SourceLine::format)
                .orElse("unknown line");
    }

    static boolean isKernel(StackTraceElement frame) {
        String name = frame.getClassName();
        return !name.startsWith(ENGINE)
                && !name.startsWith(INTRINSICS)
                && !name.startsWith(API)
                && !name.startsWith("java.")
                && !name.startsWith("jdk.");
    }

    private static String format(StackTraceElement frame) {
        return frame.getFileName() + ":" + frame.getLineNumber();
    }
}
