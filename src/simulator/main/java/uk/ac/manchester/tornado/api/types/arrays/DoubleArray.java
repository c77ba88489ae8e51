package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.DoubleBuffer;
import org.tornadoattention.simulator.engine.DeviceArray;

/** An off-heap array of 64-bit floats that kernels read and write and that is copied to and from a device. */
public final class DoubleArray extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Double.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public DoubleArray(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private DoubleArray(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private DoubleArray(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Creates an array with a copy of {@code values}. */
    public static DoubleArray fromArray(double[] values) {
        DoubleArray array = new DoubleArray(values.length);
        array.overwrite(MemorySegment.ofArray(values));
        return array;
    }

    /** Creates an array that holds {@code values}. */
    public static DoubleArray fromElements(double... values) {
        return fromArray(values);
    }

    /** Creates an array with a copy of {@code segment}, which has no header. */
    public static DoubleArray fromSegment(MemorySegment segment) {
        DoubleArray array = new DoubleArray(elementsIn(segment, ELEMENT_BYTES));
        array.overwrite(segment);
        return array;
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static DoubleArray fromSegmentShallow(MemorySegment segment) {
        return new DoubleArray(segment);
    }

    /** Creates an array with a copy of what remains in {@code buffer}. */
    public static DoubleArray fromDoubleBuffer(DoubleBuffer buffer) {
        return fromSegment(MemorySegment.ofBuffer(buffer));
    }

    /** Sets every element of {@code array} to {@code value}. */
    public static void initialize(DoubleArray array, double value) {
        array.init(value);
    }

    /** Joins the arrays, in order, into a new one. */
    public static DoubleArray concat(DoubleArray... arrays) {
        DoubleArray joined = new DoubleArray(totalSize(arrays));
        joined.overwrite(arrays);
        return joined;
    }

    /** Returns a copy of the elements on the Java heap. */
    public double[] toHeapArray() {
        return hostContent().toArray(ValueLayout.JAVA_DOUBLE);
    }

    /** Sets the element at {@code index}. */
    public void set(int index, double value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_DOUBLE, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the element at {@code index}. */
    public double get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_DOUBLE, offsetOf(index, ELEMENT_BYTES));
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
    public void init(double value) {
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
    public DoubleArray slice(int offset, int length) {
        return fromSegment(hostSlice(offset, length));
    }

    @Override
    DoubleArray onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new DoubleArray(heap, deviceArray);
    }
}
