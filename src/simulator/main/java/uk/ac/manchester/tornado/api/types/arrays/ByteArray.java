package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import org.tornadoattention.simulator.engine.DeviceArray;
import uk.ac.manchester.tornado.api.types.HalfFloat;

/** An off-heap array of bytes that kernels read and write and that is copied to and from a device. */
public final class ByteArray extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Byte.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public ByteArray(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private ByteArray(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private ByteArray(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static ByteArray fromArray(byte[] values) {
        ByteArray array = new ByteArray(values.length);
        array.overwrite(MemorySegment.ofArray(values));
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static ByteArray fromElements(byte... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static ByteArray fromSegment(MemorySegment segment) {
        ByteArray array = new ByteArray(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static ByteArray fromSegmentShallow(MemorySegment segment) {
        return new ByteArray(segment);
    }

    /** Creates an array with a copy of what remains in {@code buffer}. */
    public static ByteArray fromByteBuffer(ByteBuffer buffer) {
        return fromSegment(MemorySegment.ofBuffer(buffer));
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(ByteArray array, byte value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static ByteArray concat(ByteArray... arrays) {
        ByteArray joined = new ByteArray(totalSize(arrays));
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

    /**
     * Stores an IEEE half in the two bytes from {@code index} on, low byte first.
     *
     * @throws IllegalArgumentException if {@code index} is odd
     */
    public void setHalfFloat(int index, HalfFloat value) {
        requireEven(index);
        short bits = value.getHalfFloatValue();
        set(index, (byte) bits);
        set(index + 1, (byte) (bits >>> 8));
    }

    /**
     * Reads an IEEE half from the two bytes from {@code index} on, low byte first.
     *
     * @throws IllegalArgumentException if {@code index} is odd
     */
    public HalfFloat getHalfFloat(int index) {
        requireEven(index);
        return new HalfFloat((short) (get(index) & 0xFF | get(index + 1) << 8));
    }

    private static void requireEven(int index) {
        if (index % 2 != 0) {
            throw new IllegalArgumentException("A half begins at an even byte, not at byte " + index);
        }
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
    public ByteArray slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    ByteArray onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new ByteArray(heap, deviceArray);
    }
}
