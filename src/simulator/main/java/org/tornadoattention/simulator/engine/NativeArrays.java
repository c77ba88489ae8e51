package org.tornadoattention.simulator.engine;

import java.lang.foreign.MemorySegment;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The engine's way into native arrays, past their public methods. */
public final class NativeArrays {

    private static Bridge bridge;

    private NativeArrays() {}

    /** Is called once, by the class of native arrays. */
    public static void install(Bridge implementation) {
        bridge = implementation;
    }

    static TornadoNativeArray twin(TornadoNativeArray host, MemorySegment heap, DeviceArray deviceArray) {
        return bridge.twin(host, heap, deviceArray);
    }

    static DeviceArray deviceArray(TornadoNativeArray array) {
        return bridge.deviceArray(array);
    }

    static MemorySegment content(TornadoNativeArray array) {
        return bridge.content(array);
    }

    static void guard(TornadoNativeArray host, HostGuard guard) {
        bridge.guard(host, guard);
    }

    static HostGuard guard(TornadoNativeArray host) {
        return bridge.guard(host);
    }

    /** What native arrays show to the engine only. */
    public interface Bridge {

        /** Creates the array of the same type that stands for the copy in device memory. */
        TornadoNativeArray twin(TornadoNativeArray host, MemorySegment heap, DeviceArray deviceArray);

        /** Returns what {@code twin} stands for, or null for an array of the host. */
        DeviceArray deviceArray(TornadoNativeArray twin);

        /** Returns the elements, whatever the guard says. */
        MemorySegment content(TornadoNativeArray array);

        /** Returns the guard of a host array, or null. */
        HostGuard guard(TornadoNativeArray host);

        /** Sets the guard of a host array; null means none. */
        void guard(TornadoNativeArray host, HostGuard guard);
    }
}
