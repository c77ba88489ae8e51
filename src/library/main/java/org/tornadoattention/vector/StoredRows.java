package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.tornadoattention.tensor.DType;

/**
 * Rows of numbers as they lie in memory.
 *
 * @param stride elements from one row to the next
 * @param width elements of a row
 */
record StoredRows(MemorySegment memory, DType dtype, long stride, int width) {

    /**
     * Widens rows to F32.
     *
     * @param from the element that the first begins with
     * @param targetStride elements from one row of {@code target} to the next; those behind a row become 0
     * @param bits room for {@code count} rows, where elements have 16 bits
     */
    void read(long from, int count, float[] target, int at, int targetStride, short[] bits, Lanes lanes) {
        if (stride == width && width == targetStride) {
            widen(from, count * width, target, at, bits, 0, lanes);
            return;
        }
        if (dtype == DType.F32 && width == targetStride && width % lanes.length() == 0) {
            lanes.copyRows(memory, Float.BYTES * from, Float.BYTES * stride, count, width, target, at, targetStride);
            return;
        }
        for (int i = 0; i < count; i++) {
            widen(from + i * stride, width, target, at + i * targetStride, bits, i * width, lanes);
            Arrays.fill(target, at + i * targetStride + width, at + (i + 1) * targetStride, 0);
        }
    }

    /** Widens elements that lie side by side. */
    void widen(long from, int count, float[] target, int at, short[] bits, int bitsAt, Lanes lanes) {
        if (dtype == DType.F32) {
            MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 4 * from, target, at, count);
        } else {
            MemorySegment.copy(memory, ValueLayout.JAVA_SHORT, 2 * from, bits, bitsAt, count);
            lanes.widen(dtype, bits, bitsAt, count, target, at);
        }
    }

    /**
     * Rounds rows from F32 and stores them from element {@code to} on.
     *
     * @param sourceStride elements from one row of {@code source} to the next
     * @param bits room for {@code count} rows, where elements have 16 bits
     */
    void write(long to, int count, float[] source, int at, int sourceStride, short[] bits, Lanes lanes) {
        if (stride == width && width == sourceStride) {
            narrow(to, count * width, source, at, bits, lanes);
            return;
        }
        for (int i = 0; i < count; i++) {
            narrow(to + i * stride, width, source, at + i * sourceStride, bits, lanes);
        }
    }

    /** Rounds elements that lie side by side. */
    private void narrow(long to, int count, float[] source, int at, short[] bits, Lanes lanes) {
        switch (dtype) {
            case F32 -> MemorySegment.copy(source, at, memory, ValueLayout.JAVA_FLOAT, 4 * to, count);
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    bits[i] = Float.floatToFloat16(source[at + i]);
                }
                MemorySegment.copy(bits, 0, memory, ValueLayout.JAVA_SHORT, 2 * to, count);
            }
            case BF16 -> {
                lanes.narrowToBf16(source, at, count, bits);
                MemorySegment.copy(bits, 0, memory, ValueLayout.JAVA_SHORT, 2 * to, count);
            }
        }
    }
}
