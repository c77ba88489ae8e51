package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.tornadoattention.simulator.engine.DeviceArray;
import uk.ac.manchester.tornado.api.types.BFloat16;

/** An off-heap array of bfloat16 values, kept as bit patterns. */
public final class BFloat16Array extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Short.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public BFloat16Array(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private BFloat16Array(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private BFloat16Array(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array from bit patterns. */
    public static BFloat16Array fromShorts(short... bits) {
        BFloat16Array array = new BFloat16Array(bits.length);
        array.overwrite(MemorySegment.ofArray(bits));
        return array;
    }

    /** Creates an array from floats, each rounded as {@link BFloat16#bf16FromFloat} does. */
    public static BFloat16Array fromFloats(float... values) {
        BFloat16Array array = new BFloat16Array(values.length);
        for (int i = 0; i < values.length; i++) {
            array.setFloat(i, values[i]);
        }
        return array;
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static BFloat16Array fromSegment(MemorySegment segment) {
        BFloat16Array array = new BFloat16Array(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static BFloat16Array fromSegmentShallow(MemorySegment segment) {
        return new BFloat16Array(segment);
    }

    /** Sets every element of {@code array} to the bit pattern {@code value}. */
    public static void initialize(BFloat16Array array, short value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static BFloat16Array concat(BFloat16Array... arrays) {
        BFloat16Array joined = new BFloat16Array(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns the bit patterns of the elements. */
    public short[] toShortArray() {
        return hostContent().toArray(ValueLayout.JAVA_SHORT);
    }

    /** Sets the bit pattern at {@code index}. */
    public void set(int index, short value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_SHORT, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the bit pattern at {@code index}. */
    public short get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_SHORT, offsetOf(index, ELEMENT_BYTES));
    }

    /** Rounds {@code value} to bfloat16 and stores it at {@code index}. */
    public void setFloat(int index, float value) {
        set(index, BFloat16.bf16FromFloat(value));
    }

    /** Returns the element at {@code index} as a float. */
    public float getFloat(int index) {
        return BFloat16.bf16ToFloat(get(index));
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

    /** Sets every element to the bit pattern {@code value}. */
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
    public BFloat16Array slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    BFloat16Array onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new BFloat16Array(heap, deviceArray);
    }
}
