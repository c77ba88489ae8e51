package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.tornadoattention.simulator.engine.DeviceArray;

/** An off-heap array of signed 8-bit integers that kernels read and write and that is copied to and from a device. */
public final class Int8Array extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Byte.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public Int8Array(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private Int8Array(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private Int8Array(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static Int8Array fromArray(byte[] values) {
        Int8Array array = new Int8Array(values.length);
        array.overwrite(MemorySegment.ofArray(values));
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static Int8Array fromElements(byte... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static Int8Array fromSegment(MemorySegment segment) {
        Int8Array array = new Int8Array(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static Int8Array fromSegmentShallow(MemorySegment segment) {
        return new Int8Array(segment);
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(Int8Array array, byte value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static Int8Array concat(Int8Array... arrays) {
        Int8Array joined = new Int8Array(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns a copy of the elements on the Java heap. */
    public byte[] toHeapArray() {
        return hostContent().toArray(ValueLayout.JAVA_BYTE);
    }

    /** Sets the element at {@code index}. */
    public void set(int index, byte value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_BYTE, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the element at {@code index}. */
    public byte get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_BYTE, offsetOf(index, ELEMENT_BYTES));
    }

    /** Sets every element to zero. */
    @Override
    public void clear() {
        zero();
    }

    @Override
    public int getElementSize() {
        return ELEMENT_BYTES;
    }

    /** Sets every element to {@code value}. */
    public void init(byte value) {
        for (int i = 0; i < size; i++) {
            set(i, value);
        }
    }

    @Override
    public int getSize() {
        return size;
    }

    @Override
    public MemorySegment getSegment() {
        return hostContent();
    }

    @Override
    public MemorySegment getSegmentWithHeader() {
        return hostContentWithHeader();
    }

    @Override
    public long getNumBytesOfSegmentWithHeader() {
        return memory.byteSize();
    }

    @Override
    public long getNumBytesOfSegment() {
        return contentBytes();
    }

    /** Returns a new array with a copy of {@code length} elements from {@code offset} on. */
    public Int8Array slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    Int8Array onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new Int8Array(heap, deviceArray);
    }
}
