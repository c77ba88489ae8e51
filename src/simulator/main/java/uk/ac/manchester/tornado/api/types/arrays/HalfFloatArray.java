package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.tornadoattention.simulator.engine.DeviceArray;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/** An off-heap array of IEEE 754 half-precision floats (binary16). */
public final class HalfFloatArray extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Short.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public HalfFloatArray(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private HalfFloatArray(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private HalfFloatArray(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static HalfFloatArray fromArray(HalfFloat[] values) {
        HalfFloatArray array = new HalfFloatArray(values.length);
        for (int i = 0; i < values.length; i++) {
            array.set(i, values[i]);
        }
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static HalfFloatArray fromElements(HalfFloat... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static HalfFloatArray fromSegment(MemorySegment segment) {
        HalfFloatArray array = new HalfFloatArray(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static HalfFloatArray fromSegmentShallow(MemorySegment segment) {
        return new HalfFloatArray(segment);
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(HalfFloatArray array, HalfFloat value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static HalfFloatArray concat(HalfFloatArray... arrays) {
        HalfFloatArray joined = new HalfFloatArray(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns the elements as objects. */
    public HalfFloat[] toHeapArray() {
        HalfFloat[] values = new HalfFloat[size];
        for (int i = 0; i < size; i++) {
            values[i] = get(i);
        }
        return values;
    }

    /** Returns the bit patterns of the elements. */
    public short[] toShortArray() {
        return hostContent().toArray(ValueLayout.JAVA_SHORT);
    }

    /** Sets the element at {@code index}. */
    public void set(int index, HalfFloat value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_SHORT, offsetOf(index, ELEMENT_BYTES), value.getHalfFloatValue());
    }

    /** Returns the element at {@code index}. */
    public HalfFloat get(int index) {
        beforeRead();
        return new HalfFloat(memory.get(ValueLayout.JAVA_SHORT, offsetOf(index, ELEMENT_BYTES)));
    }

    /** Returns the elements at {@code index} and {@code index + 1} as a pair. */
    public Half2 getHalf2(int index) {
        return new Half2(get(index), get(index + 1));
    }

    /** Sets the elements at {@code index} and {@code index + 1}. */
    public void setHalf2(int index, Half2 value) {
        offsetOf(index + 1, ELEMENT_BYTES);
        set(index, value.getX());
        set(index + 1, value.getY());
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
    public void init(HalfFloat value) {
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
    public HalfFloatArray slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    HalfFloatArray onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new HalfFloatArray(heap, deviceArray);
    }
}
