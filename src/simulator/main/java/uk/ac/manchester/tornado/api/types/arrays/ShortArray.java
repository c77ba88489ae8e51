package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ShortBuffer;
import org.tornadoattention.simulator.engine.DeviceArray;

/** An off-heap array of 16-bit integers that kernels read and write and that is copied to and from a device. */
public final class ShortArray extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Short.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public ShortArray(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private ShortArray(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private ShortArray(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static ShortArray fromArray(short[] values) {
        ShortArray array = new ShortArray(values.length);
        array.overwrite(MemorySegment.ofArray(values));
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static ShortArray fromElements(short... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static ShortArray fromSegment(MemorySegment segment) {
        ShortArray array = new ShortArray(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static ShortArray fromSegmentShallow(MemorySegment segment) {
        return new ShortArray(segment);
    }

    /** Creates an array with a copy of what remains in {@code buffer}. */
    public static ShortArray fromShortBuffer(ShortBuffer buffer) {
        return fromSegment(MemorySegment.ofBuffer(buffer));
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(ShortArray array, short value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static ShortArray concat(ShortArray... arrays) {
        ShortArray joined = new ShortArray(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns a copy of the elements on the Java heap. */
    public short[] toHeapArray() {
        return hostContent().toArray(ValueLayout.JAVA_SHORT);
    }

    /** Sets the element at {@code index}. */
    public void set(int index, short value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_SHORT, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the element at {@code index}. */
    public short get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_SHORT, offsetOf(index, ELEMENT_BYTES));
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
    public void init(short value) {
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
    public ShortArray slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    ShortArray onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new ShortArray(heap, deviceArray);
    }
}
