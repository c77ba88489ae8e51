package org.tornadoattention.cuda;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.tornadoattention.cuda.Driver.Place;
import org.tornadoattention.device.Recording.Runs;

/**
 * Copies between memory of devices. All runs of a copy are one call of the driver: each call takes the host, and each
 * copy the device, some microseconds however few bytes it moves. The functions are looked up by whoever copies.
 */
final class DriverCopies {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private static final MethodHandle MEMCPY = Driver.function("cuMemcpyDtoDAsync_v2", LONG, LONG, LONG, POINTER);
    private static final MethodHandle MEMCPY_2D = Driver.function("cuMemcpy2DAsync_v2", POINTER, POINTER);

    private static final int MEMORY_OF_A_DEVICE = 2;
    private static final int MEMORY_BY_ADDRESS = 4;

    /** {@code CUDA_MEMCPY2D}: two ends of 56 bytes, a width and a height. */
    private static final long END = 56;

    private static final long BYTES = 2 * END + 16;

    /** What a row of a plane may have. */
    private static final long WIDEST = 1 << 30;

    /** The driver reads it before its function returns. */
    private final MemorySegment plane = Arena.ofAuto().allocate(BYTES, Long.BYTES);

    /** Within the memory of one device, whose context is the current one. */
    void onDevice(Place to, Place from, Runs runs, MemorySegment stream) {
        if (runs.count() > 1) {
            copyPlane(to, from, runs, MEMORY_OF_A_DEVICE, stream);
            return;
        }
        try {
            Driver.require(
                    "cuMemcpyDtoDAsync", (int) MEMCPY.invokeExact(to.address(), from.address(), runs.bytes(), stream));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    /**
     * From a device to another, whose contexts reach each other. The driver tells by the addresses which they are; its
     * functions that are told, {@code cuMemcpyPeerAsync} and {@code cuMemcpy3DPeerAsync}, no graph takes.
     */
    void toPeer(Place to, Place from, Runs runs, MemorySegment stream) {
        if (runs.count() > 1) {
            copyPlane(to, from, runs, MEMORY_BY_ADDRESS, stream);
            return;
        }
        for (long at = 0; at < runs.bytes(); at += WIDEST) {
            Runs part = Runs.one(Math.min(WIDEST, runs.bytes() - at));
            copyPlane(to.plus(at), from.plus(at), part, MEMORY_BY_ADDRESS, stream);
        }
    }

    private void copyPlane(Place to, Place from, Runs runs, int memory, MemorySegment stream) {
        describe(0, from, runs.fromStep(), memory);
        describe(END, to, runs.toStep(), memory);
        plane.set(LONG, 2 * END, runs.bytes());
        plane.set(LONG, 2 * END + 8, runs.count());
        try {
            Driver.require("cuMemcpy2DAsync", (int) MEMCPY_2D.invokeExact(plane, stream));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private void describe(long end, Place place, long pitch, int memory) {
        plane.set(INT, end + 16, memory);
        plane.set(LONG, end + 32, place.address());
        plane.set(LONG, end + 48, pitch);
    }
}
