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
    private static final MethodHandle MEMCPY_PEER =
            Driver.function("cuMemcpyPeerAsync", LONG, POINTER, LONG, POINTER, LONG, POINTER);
    private static final MethodHandle MEMCPY_3D_PEER = Driver.function("cuMemcpy3DPeerAsync", POINTER, POINTER);

    private static final int MEMORY_OF_A_DEVICE = 2;

    /** {@code CUDA_MEMCPY2D}: two ends of 56 bytes, a width and a height. */
    private static final long END_2D = 56;

    private static final long BYTES_2D = 2 * END_2D + 16;

    /** {@code CUDA_MEMCPY3D_PEER}: two ends of 88 bytes, a width, a height and a depth. */
    private static final long END_3D = 88;

    private static final long BYTES_3D = 2 * END_3D + 24;

    /** The driver reads them before its function returns. */
    private final MemorySegment plane = Arena.ofAuto().allocate(BYTES_2D, Long.BYTES);

    private final MemorySegment box = Arena.ofAuto().allocate(BYTES_3D, Long.BYTES);

    /** Within the memory of one device, whose context is the current one. */
    void onDevice(Place to, Place from, Runs runs, MemorySegment stream) {
        try {
            if (runs.count() == 1) {
                Driver.require("cuMemcpyDtoDAsync", (int)
                        MEMCPY.invokeExact(to.address(), from.address(), runs.bytes(), stream));
                return;
            }
            describe(plane, 0, from, runs.fromStep());
            describe(plane, END_2D, to, runs.toStep());
            plane.set(LONG, 2 * END_2D, runs.bytes());
            plane.set(LONG, 2 * END_2D + 8, runs.count());
            Driver.require("cuMemcpy2DAsync", (int) MEMCPY_2D.invokeExact(plane, stream));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static void describe(MemorySegment plane, long end, Place place, long pitch) {
        plane.set(INT, end + 16, MEMORY_OF_A_DEVICE);
        plane.set(LONG, end + 32, place.address());
        plane.set(LONG, end + 48, pitch);
    }

    /** From a device to another. */
    void toPeer(Place to, Place from, Runs runs, MemorySegment stream) {
        try {
            if (runs.count() == 1) {
                Driver.require("cuMemcpyPeerAsync", (int) MEMCPY_PEER.invokeExact(
                        to.address(), to.context(), from.address(), from.context(), runs.bytes(), stream));
                return;
            }
            describe(box, 0, from, runs.fromStep(), runs.count());
            describe(box, END_3D, to, runs.toStep(), runs.count());
            box.set(LONG, 2 * END_3D, runs.bytes());
            box.set(LONG, 2 * END_3D + 8, runs.count());
            box.set(LONG, 2 * END_3D + 16, 1);
            Driver.require("cuMemcpy3DPeerAsync", (int) MEMCPY_3D_PEER.invokeExact(box, stream));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static void describe(MemorySegment box, long end, Place place, long pitch, long height) {
        box.set(INT, end + 32, MEMORY_OF_A_DEVICE);
        box.set(LONG, end + 48, place.address());
        box.set(POINTER, end + 64, place.context());
        box.set(LONG, end + 72, pitch);
        box.set(LONG, end + 80, height);
    }
}
