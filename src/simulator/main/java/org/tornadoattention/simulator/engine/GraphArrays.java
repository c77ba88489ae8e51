package org.tornadoattention.simulator.engine;

import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import uk.ac.manchester.tornado.api.exceptions.TornadoMemoryException;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The arrays that a graph has in device memory. */
final class GraphArrays {

    private DeviceMemory memory;
    private final Map<TornadoNativeArray, DeviceArray> arrays = new IdentityHashMap<>();
    private final Set<DeviceArray> borrowed = Collections.newSetFromMap(new IdentityHashMap<>());
    private long limit = Long.MAX_VALUE;

    GraphArrays(DeviceMemory memory) {
        this.memory = memory;
    }

    /** Has what is allocated from now on in the memory of another device; what there is, is freed. */
    void moveTo(DeviceMemory other) {
        free();
        memory = other;
    }

    void limit(long bytes) {
        limit = bytes;
    }

    /** Returns the copy of {@code host}, or null. */
    DeviceArray find(TornadoNativeArray host) {
        return arrays.get(host);
    }

    /** Returns the copy of {@code host}; its memory is allocated if there is none yet. */
    DeviceArray get(TornadoNativeArray host) {
        DeviceArray array = arrays.get(host);
        if (array == null) {
            array = allocate(host);
            arrays.put(host, array);
        }
        return array;
    }

    /** Shares the copy that another graph has. */
    void borrow(TornadoNativeArray host, DeviceArray array) {
        DeviceArray own = arrays.put(host, array);
        if (own != null && own != array && !borrowed.remove(own)) {
            memory.free(own.bytes());
        }
        if (own != array) {
            borrowed.add(array);
        }
    }

    /** Returns whether the copy of {@code host} is another graph's. */
    boolean isBorrowed(TornadoNativeArray host) {
        return borrowed.contains(arrays.get(host));
    }

    Collection<DeviceArray> all() {
        return arrays.values();
    }

    /** Returns the bytes of the copies that this graph owns. */
    long bytes() {
        return arrays.values().stream()
                .filter(array -> !borrowed.contains(array))
                .mapToLong(DeviceArray::bytes)
                .sum();
    }

    void free() {
        memory.free(bytes());
        arrays.clear();
        borrowed.clear();
    }

    private DeviceArray allocate(TornadoNativeArray host) {
        long bytes = host.getNumBytesOfSegmentWithHeader();
        if (bytes() + bytes > limit) {
            throw new TornadoMemoryException("The task graph holds " + bytes() + " bytes of device memory and needs "
                    + bytes + " more, past its limit of " + limit + "; raise withMemoryLimit");
        }
        memory.allocate(bytes);
        try {
            return new DeviceArray(host);
        } catch (RuntimeException e) {
            memory.free(bytes);
            throw e;
        }
    }
}
