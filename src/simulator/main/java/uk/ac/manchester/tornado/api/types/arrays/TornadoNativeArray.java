package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import org.tornadoattention.simulator.engine.DeviceArray;
import org.tornadoattention.simulator.engine.HostGuard;
import org.tornadoattention.simulator.engine.NativeArrays;

/**
 * An array outside the Java heap: a header of {@link #ARRAY_HEADER} bytes, then the elements.
 *
 * <p>In the simulator a kernel never sees the caller's object: it gets a twin that stands for the copy in the memory of
 * the simulated device.
 */
public abstract sealed class TornadoNativeArray
        permits BFloat16Array,
                ByteArray,
                CharArray,
                DoubleArray,
                FP8Array,
                FloatArray,
                HalfFloatArray,
                Int8Array,
                IntArray,
                LongArray,
                ShortArray {

    /** Bytes before the first element (system property {@code tornado.panama.objectHeader}, 16 unless set). */
    public static final long ARRAY_HEADER = Long.getLong("tornado.panama.objectHeader", 16);

    static {
        NativeArrays.install(new Bridge());
    }

    final MemorySegment memory;
    final long base;
    final int size;

    private final DeviceArray deviceArray;
    private HostGuard guard;

    TornadoNativeArray(int size, int elementBytes) {
        this.size = size;
        this.base = ARRAY_HEADER;
        this.memory = Arena.ofAuto().allocate(ARRAY_HEADER + (long) size * elementBytes, Long.BYTES);
        this.memory.set(ValueLayout.JAVA_INT, 0, size);
        this.deviceArray = null;
    }

    TornadoNativeArray(MemorySegment segmentWithHeader, int elementBytes) {
        long content = segmentWithHeader.byteSize() - ARRAY_HEADER;
        if (content < 0) {
            throw new IllegalArgumentException("A segment of " + segmentWithHeader.byteSize()
                    + " bytes has no room for the header of " + ARRAY_HEADER + " bytes");
        }
        this.size = elements(content, elementBytes);
        this.base = ARRAY_HEADER;
        this.memory = segmentWithHeader;
        this.memory.set(ValueLayout.JAVA_INT, 0, size);
        this.deviceArray = null;
    }

    TornadoNativeArray(MemorySegment heap, DeviceArray deviceArray, int elementBytes) {
        this.size = elements(heap.byteSize(), elementBytes);
        this.base = 0;
        this.memory = heap;
        this.deviceArray = deviceArray;
    }

    /** Returns the number of elements. */
    public abstract int getSize();

    /** Returns the elements, without the header. */
    public abstract MemorySegment getSegment();

    /** Returns the header and the elements. */
    public abstract MemorySegment getSegmentWithHeader();

    /** Returns the length in bytes, header included. */
    public abstract long getNumBytesOfSegmentWithHeader();

    /** Returns the length of the elements in bytes. */
    public abstract long getNumBytesOfSegment();

    /** Sets every element to zero. */
    protected void clear() {
        zero();
    }

    /** Returns the bytes of one element. */
    public abstract int getElementSize();

    /** Creates the twin of this array that stands for its copy in device memory. */
    abstract TornadoNativeArray onDevice(MemorySegment heap, DeviceArray deviceArray);

    final long offsetOf(int index, int elementBytes) {
        return base + (long) Objects.checkIndex(index, size) * elementBytes;
    }

    final void beforeRead() {
        if (guard != null) {
            guard.beforeHostRead();
        }
    }

    final void beforeWrite() {
        if (guard != null) {
            guard.beforeHostWrite();
        }
    }

    final long contentBytes() {
        return memory.byteSize() - base;
    }

    final MemorySegment hostContent() {
        beforeRead();
        return memory.asSlice(base);
    }

    final MemorySegment hostContentWithHeader() {
        beforeRead();
        return memory;
    }

    final MemorySegment hostSlice(int offset, int length) {
        if (offset < 0 || length < 0 || offset > size - length) {
            throw new IllegalArgumentException(
                    "A slice of " + length + " elements from " + offset + " does not fit an array of " + size);
        }
        return hostContent().asSlice((long) offset * getElementSize(), (long) length * getElementSize());
    }

    final void overwrite(MemorySegment source) {
        beforeWrite();
        MemorySegment.copy(source, 0, memory, base, source.byteSize());
    }

    final void overwrite(TornadoNativeArray... parts) {
        beforeWrite();
        long offset = base;
        for (TornadoNativeArray part : parts) {
            MemorySegment content = part.hostContent();
            MemorySegment.copy(content, 0, memory, offset, content.byteSize());
            offset += content.byteSize();
        }
    }

    final void zero() {
        beforeWrite();
        memory.asSlice(base).fill((byte) 0);
    }

    static int elementsIn(MemorySegment content, int elementBytes) {
        return elements(content.byteSize(), elementBytes);
    }

    static int totalSize(TornadoNativeArray... parts) {
        int total = 0;
        for (TornadoNativeArray part : parts) {
            total = Math.addExact(total, part.size);
        }
        return total;
    }

    private static int elements(long bytes, int elementBytes) {
        if (bytes % elementBytes != 0) {
            throw new IllegalArgumentException(
                    "The segment's " + bytes + " bytes are not a multiple of the element size " + elementBytes);
        }
        return Math.toIntExact(bytes / elementBytes);
    }

    private static final class Bridge implements NativeArrays.Bridge {

        @Override
        public TornadoNativeArray twin(TornadoNativeArray host, MemorySegment heap, DeviceArray deviceArray) {
            return host.onDevice(heap, deviceArray);
        }

        @Override
        public DeviceArray deviceArray(TornadoNativeArray twin) {
            return twin.deviceArray;
        }

        @Override
        public MemorySegment content(TornadoNativeArray array) {
            return array.memory.asSlice(array.base);
        }

        @Override
        public HostGuard guard(TornadoNativeArray host) {
            return host.guard;
        }

        @Override
        public void guard(TornadoNativeArray host, HostGuard guard) {
            host.guard = guard;
        }
    }
}
