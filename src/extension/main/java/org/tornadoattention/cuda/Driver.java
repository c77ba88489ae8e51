package org.tornadoattention.cuda;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The functions of CUDA's driver that this extension calls itself. Names are the driver's, without their version.
 *
 * <p>A status that is not success comes as an {@link IllegalStateException} that names the function and the error.
 */
final class Driver {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private static final int PEER_ACCESS_UNSUPPORTED = 217;
    private static final int PEER_ACCESS_ALREADY_ENABLED = 704;

    private static final SymbolLookup LIBRARY = library();

    private static final MethodHandle CTX_SET_CURRENT = function("cuCtxSetCurrent", POINTER);
    private static final MethodHandle STREAM_SYNCHRONIZE = function("cuStreamSynchronize", POINTER);
    private static final MethodHandle LAUNCH_KERNEL =
            function("cuLaunchKernel", POINTER, INT, INT, INT, INT, INT, INT, INT, POINTER, POINTER, POINTER);
    private static final MethodHandle GRAPH_LAUNCH = function("cuGraphLaunch", POINTER, POINTER);
    private static final MethodHandle MEMCPY_TO_DEVICE = function("cuMemcpyHtoDAsync_v2", LONG, POINTER, LONG, POINTER);
    private static final MethodHandle MEMCPY_TO_HOST = function("cuMemcpyDtoHAsync_v2", POINTER, LONG, LONG, POINTER);
    private static final MethodHandle MEM_ALLOC = function("cuMemAlloc_v2", POINTER, LONG);
    private static final MethodHandle MEM_FREE = function("cuMemFree_v2", LONG);
    private static final MethodHandle DRIVER_GET_VERSION = function("cuDriverGetVersion", POINTER);
    private static final MethodHandle GET_ERROR_NAME = function("cuGetErrorName", INT, POINTER);

    /** Looked up by whoever has several devices. */
    private static final class Peers {

        private static final MethodHandle ENABLE_PEER_ACCESS = function("cuCtxEnablePeerAccess", POINTER, INT);
    }

    private Driver() {}

    @SuppressWarnings("restricted") // calling the driver is the point
    private static SymbolLookup library() {
        boolean windows = System.getProperty("os.name").startsWith("Windows");
        return SymbolLookup.libraryLookup(windows ? "nvcuda" : "libcuda.so.1", Arena.global());
    }

    @SuppressWarnings("restricted")
    static MethodHandle function(String name, MemoryLayout... parameters) {
        return Linker.nativeLinker().downcallHandle(LIBRARY.findOrThrow(name), FunctionDescriptor.of(INT, parameters));
    }

    /** The newest version of CUDA that the driver knows, 13010 for 13.1. */
    static int version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment version = arena.allocate(INT);
            require("cuDriverGetVersion", (int) DRIVER_GET_VERSION.invokeExact(version));
            return version.get(INT, 0);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Makes a context that of this thread. */
    static void setContext(MemorySegment context) {
        try {
            require("cuCtxSetCurrent", (int) CTX_SET_CURRENT.invokeExact(context));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Waits for all that a stream was given. */
    static void synchronize(MemorySegment stream) {
        try {
            require("cuStreamSynchronize", (int) STREAM_SYNCHRONIZE.invokeExact(stream));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /**
     * Launches a kernel.
     *
     * @param grid groups along x, y and z
     * @param block work-items of a group, likewise
     * @param parameters an address for each of the kernel's parameters
     */
    static void launch(
            MemorySegment kernel, Extent grid, Extent block, MemorySegment stream, MemorySegment parameters) {
        try {
            require("cuLaunchKernel", (int) LAUNCH_KERNEL.invokeExact(
                    kernel,
                    grid.x(),
                    grid.y(),
                    grid.z(),
                    block.x(),
                    block.y(),
                    block.z(),
                    0,
                    stream,
                    parameters,
                    MemorySegment.NULL));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Launches a CUDA graph. */
    static void launchGraph(MemorySegment graph, MemorySegment stream) {
        try {
            require("cuGraphLaunch", (int) GRAPH_LAUNCH.invokeExact(graph, stream));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    static void copyToDevice(long device, MemorySegment host, long bytes, MemorySegment stream) {
        try {
            require("cuMemcpyHtoDAsync", (int) MEMCPY_TO_DEVICE.invokeExact(device, host, bytes, stream));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    static void copyToHost(MemorySegment host, long device, long bytes, MemorySegment stream) {
        try {
            require("cuMemcpyDtoHAsync", (int) MEMCPY_TO_HOST.invokeExact(host, device, bytes, stream));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** The address of memory of the current context's device. */
    static long allocate(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(LONG);
            require("cuMemAlloc", (int) MEM_ALLOC.invokeExact(address, bytes));
            return address.get(LONG, 0);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Frees memory of the current context's device. */
    static void free(long address) {
        try {
            require("cuMemFree", (int) MEM_FREE.invokeExact(address));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** An address of the memory of a context's device. */
    record Place(MemorySegment context, long address) {

        /** So many bytes further on. */
        Place plus(long bytes) {
            return new Place(context, address + bytes);
        }
    }

    /** Lets the current context reach another's memory, where the hardware can; copies take longer ways where not. */
    static void reach(MemorySegment other) {
        try {
            int status = (int) Peers.ENABLE_PEER_ACCESS.invokeExact(other, 0);
            if (status != PEER_ACCESS_ALREADY_ENABLED && status != PEER_ACCESS_UNSUPPORTED) {
                require("cuCtxEnablePeerAccess", status);
            }
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Three sizes, as grids and groups have them. */
    record Extent(int x, int y, int z) {}

    static void require(String function, int status) {
        if (status != 0) {
            throw new IllegalStateException("%s returned %d, %s".formatted(function, status, name(status)));
        }
    }

    @SuppressWarnings("restricted") // the name is the driver's own memory
    private static String name(int status) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(POINTER);
            if ((int) GET_ERROR_NAME.invokeExact(status, name) != 0) {
                return "an error without a name";
            }
            return name.get(POINTER, 0).reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    static RuntimeException unchecked(Throwable failure) {
        if (failure instanceof Error error) {
            throw error;
        }
        return failure instanceof RuntimeException known ? known : new IllegalStateException(failure);
    }
}
