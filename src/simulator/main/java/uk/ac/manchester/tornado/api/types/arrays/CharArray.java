package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.CharBuffer;
import org.tornadoattention.simulator.engine.DeviceArray;

/** An off-heap array of UTF-16 code units that kernels read and write and that is copied to and from a device. */
public final class CharArray extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Character.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public CharArray(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private CharArray(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private CharArray(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static CharArray fromArray(char[] values) {
        CharArray array = new CharArray(values.length);
        array.overwrite(MemorySegment.ofArray(values));
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static CharArray fromElements(char... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static CharArray fromSegment(MemorySegment segment) {
        CharArray array = new CharArray(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static CharArray fromSegmentShallow(MemorySegment segment) {
        return new CharArray(segment);
    }

    /** Creates an array with a copy of what remains in {@code buffer}. */
    public static CharArray fromCharBuffer(CharBuffer buffer) {
        return fromSegment(MemorySegment.ofBuffer(buffer));
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(CharArray array, char value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static CharArray concat(CharArray... arrays) {
        CharArray joined = new CharArray(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns a copy of the elements on the Java heap. */
    public char[] toHeapArray() {
        return hostContent().toArray(ValueLayout.JAVA_CHAR);
    }

    /** Sets the element at {@code index}. */
    public void set(int index, char value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_CHAR, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the element at {@code index}. */
    public char get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_CHAR, offsetOf(index, ELEMENT_BYTES));
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
    public void init(char value) {
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
    public CharArray slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    CharArray onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new CharArray(heap, deviceArray);
    }
}
