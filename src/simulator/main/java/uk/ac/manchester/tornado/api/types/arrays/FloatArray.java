package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import org.tornadoattention.simulator.engine.DeviceArray;

/** An off-heap array of 32-bit floats that kernels read and write and that is copied to and from a device. */
public final class FloatArray extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Float.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public FloatArray(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private FloatArray(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private FloatArray(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static FloatArray fromArray(float[] values) {
        FloatArray array = new FloatArray(values.length);
        array.overwrite(MemorySegment.ofArray(values));
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static FloatArray fromElements(float... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static FloatArray fromSegment(MemorySegment segment) {
        FloatArray array = new FloatArray(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static FloatArray fromSegmentShallow(MemorySegment segment) {
        return new FloatArray(segment);
    }

    /** Creates an array with a copy of what remains in {@code buffer}. */
    public static FloatArray fromFloatBuffer(FloatBuffer buffer) {
        return fromSegment(MemorySegment.ofBuffer(buffer));
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(FloatArray array, float value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static FloatArray concat(FloatArray... arrays) {
        FloatArray joined = new FloatArray(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns a copy of the elements on the Java heap. */
    public float[] toHeapArray() {
        return hostContent().toArray(ValueLayout.JAVA_FLOAT);
    }

    /** Sets the element at {@code index}. */
    public void set(int index, float value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_FLOAT, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the element at {@code index}. */
    public float get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_FLOAT, offsetOf(index, ELEMENT_BYTES));
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
    public void init(float value) {
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
    public FloatArray slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    FloatArray onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new FloatArray(heap, deviceArray);
    }
}
