package org.tornadoattention.cuda;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.time.Duration;

/** A point in a stream, of the context that was current when the event was made. */
final class DriverEvent implements AutoCloseable {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private static final MethodHandle CREATE = Driver.function("cuEventCreate", POINTER, INT);
    private static final MethodHandle RECORD = Driver.function("cuEventRecord", POINTER, POINTER);
    private static final MethodHandle DESTROY = Driver.function("cuEventDestroy_v2", POINTER);

    private static final int WITH_TIMES = 0;
    private static final int WITHOUT_TIMES = 2;

    /** Looked up by whoever wants times. */
    private static final class Times {

        private static final MethodHandle ELAPSED = Driver.function("cuEventElapsedTime", POINTER, POINTER, POINTER);
        private static final MethodHandle SYNCHRONIZE = Driver.function("cuEventSynchronize", POINTER);
    }

    private final MemorySegment event;

    DriverEvent() {
        this(WITHOUT_TIMES);
    }

    private DriverEvent(int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment made = arena.allocate(POINTER);
            Driver.require("cuEventCreate", (int) CREATE.invokeExact(made, flags));
            event = made.get(POINTER, 0);
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    /** One that notes when it was reached. */
    static DriverEvent timed() {
        return new DriverEvent(WITH_TIMES);
    }

    /** What passed between this and a later one, both with times and both reached. */
    Duration until(DriverEvent later) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment milliseconds = arena.allocate(ValueLayout.JAVA_FLOAT);
            Driver.require("cuEventElapsedTime", (int) Times.ELAPSED.invokeExact(milliseconds, event, later.event));
            return Duration.ofNanos(Math.round(1e6 * milliseconds.get(ValueLayout.JAVA_FLOAT, 0)));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    /** Waits until it is reached, where it is one with times. */
    void await() {
        try {
            Driver.require("cuEventSynchronize", (int) Times.SYNCHRONIZE.invokeExact(event));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    /** The driver's own. */
    MemorySegment handle() {
        return event;
    }

    /** Puts it behind all that the stream was given. */
    void record(MemorySegment stream) {
        try {
            Driver.require("cuEventRecord", (int) RECORD.invokeExact(event, stream));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    @Override
    public void close() {
        try {
            Driver.require("cuEventDestroy", (int) DESTROY.invokeExact(event));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }
}
