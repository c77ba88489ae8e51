package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;

/**
 * Page-locked memory of the host: a device reads and writes it without a copy in between. It is freed when nothing
 * refers to it any more, so that it is never used after its end.
 */
public final class PinnedMemory {

    /** Where each one that is in use begins and ends. */
    private static final NavigableMap<Long, Long> IN_USE = new ConcurrentSkipListMap<>();

    private PinnedMemory() {}

    /**
     * New memory, all of it 0.
     *
     * @param device the device that will read and write it
     * @param bytes how many, 1 or more
     * @return memory, or none where the device's backend has none or too much is in use
     */
    public static Optional<MemorySegment> allocate(ComputeDevice device, long bytes) {
        required(device, "device");
        return CompilerExtension.pinned(device.backend(), device.handle(), bytes, IN_USE::remove)
                .map(memory -> {
                    IN_USE.put(memory.address(), memory.address() + memory.byteSize());
                    return memory;
                });
    }

    /**
     * Whether memory is page-locked by this class.
     *
     * @param memory memory of the host, any
     * @return true if all of it is
     */
    public static boolean holds(MemorySegment memory) {
        required(memory, "memory");
        if (IN_USE.isEmpty()) {
            return false;
        }
        Map.Entry<Long, Long> block = IN_USE.floorEntry(memory.address());
        return block != null && memory.address() + memory.byteSize() <= block.getValue();
    }
}
