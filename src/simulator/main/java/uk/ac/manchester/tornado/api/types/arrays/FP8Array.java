package uk.ac.manchester.tornado.api.types.arrays;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.tornadoattention.simulator.engine.DeviceArray;
import uk.ac.manchester.tornado.api.types.FP8;

/** An off-heap array of 8-bit floats, kept as bit patterns; the reader chooses E4M3 or E5M2. */
public final class FP8Array extends TornadoNativeArray {

    private static final int ELEMENT_BYTES = Byte.BYTES;

    /** Allocates an off-heap array of {@code numberOfElements} elements, all zero. */
    public FP8Array(int numberOfElements) {
        super(numberOfElements, ELEMENT_BYTES);
    }

    private FP8Array(MemorySegment segmentWithHeader) {
        super(segmentWithHeader, ELEMENT_BYTES);
    }

    private FP8Array(MemorySegment heap, DeviceArray deviceArray) {
        super(heap, deviceArray, ELEMENT_BYTES);
    }

    /** Wraps {@code segment} without a copy; its first {@link #ARRAY_HEADER} bytes are the header. */
    public static FP8Array fromSegmentShallow(MemorySegment segment) {
        return new FP8Array(segment);
    }

    /** Creates an array of E4M3 values from floats. */
    public static FP8Array fromFloatsE4M3(float... values) {
        FP8Array array = new FP8Array(values.length);
        for (int i = 0; i < values.length; i++) {
            array.setE4M3(i, values[i]);
        }
        return array;
    }

    /** Creates an array of E5M2 values from floats. */
    public static FP8Array fromFloatsE5M2(float... values) {
        FP8Array array = new FP8Array(values.length);
        for (int i = 0; i < values.length; i++) {
            array.setE5M2(i, values[i]);
        }
        return array;
    }

    /** Sets the bit pattern at {@code index}. */
    public void set(int index, byte value) {
        beforeWrite();
        memory.set(ValueLayout.JAVA_BYTE, offsetOf(index, ELEMENT_BYTES), value);
    }

    /** Returns the bit pattern at {@code index}. */
    public byte get(int index) {
        beforeRead();
        return memory.get(ValueLayout.JAVA_BYTE, offsetOf(index, ELEMENT_BYTES));
    }

    /** Reads the element at {@code index} as E4M3. */
    public float getE4M3(int index) {
        return FP8.e4m3ToFloat(get(index));
    }

    /** Rounds {@code value} to E4M3 and stores it at {@code index}. */
    public void setE4M3(int index, float value) {
        set(index, FP8.e4m3FromFloat(value));
    }

    /** Reads the element at {@code index} as E5M2. */
    public float getE5M2(int index) {
        return FP8.e5m2ToFloat(get(index));
    }

    /** Rounds {@code value} to E5M2 and stores it at {@code index}. */
    public void setE5M2(int index, float value) {
        set(index, FP8.e5m2FromFloat(value));
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

    @Override
    FP8Array onDevice(MemorySegment heap, DeviceArray deviceArray) {
        return new FP8Array(heap, deviceArray);
    }
}
