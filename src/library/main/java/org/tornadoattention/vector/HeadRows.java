package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The rows of heads of sequences, as they lie in a tensor's memory. */
final class HeadRows implements RowSource {

    private final MemorySegment memory;
    private final DType dtype;
    private final long[] sequences;
    private final long headStride;
    private final long rowStride;
    private final int width;

    /** @param sequences the element that each sequence begins with */
    private HeadRows(Tensor tensor, long[] sequences, long headStride, long rowStride, int width) {
        this.memory = tensor.array().getSegment();
        this.dtype = tensor.dtype();
        this.sequences = sequences;
        this.headStride = headStride;
        this.rowStride = rowStride;
        this.width = width;
    }

    /** Of a tensor {@code [batch, heads, seq, width]}. */
    static HeadRows of(Tensor tensor) {
        long headStride = (long) tensor.seqLength() * tensor.headDim();
        long[] sequences = new long[tensor.batch()];
        Arrays.setAll(sequences, entry -> entry * tensor.heads() * headStride);
        return new HeadRows(tensor, sequences, headStride, tensor.headDim(), tensor.headDim());
    }

    /** Of a tensor {@code [batch, heads, seq]}, whose rows have one element. */
    static HeadRows ofScalars(Tensor tensor) {
        long[] sequences = new long[tensor.dimension(0)];
        Arrays.setAll(sequences, entry -> (long) entry * tensor.dimension(1) * tensor.dimension(2));
        return new HeadRows(tensor, sequences, tensor.dimension(2), 1, 1);
    }

    /**
     * Of packed sequences, {@code [tokens, heads, width]} or {@code [tokens, heads]}.
     *
     * @param offsets the token that each sequence begins with
     */
    static HeadRows packed(Tensor tensor, int[] offsets) {
        int heads = tensor.dimension(1);
        int width = tensor.rank() == 2 ? 1 : tensor.dimension(2);
        long[] sequences = new long[offsets.length];
        Arrays.setAll(sequences, sequence -> (long) offsets[sequence] * heads * width);
        return new HeadRows(tensor, sequences, width, (long) heads * width, width);
    }

    /** Elements of a row. */
    int width() {
        return width;
    }

    private long position(int sequence, int head, int row) {
        return sequences[sequence] + head * headStride + row * rowStride;
    }

    @Override
    public void read(
            int sequence, int head, int row, int count, float[] target, int at, int stride, short[] bits, Lanes lanes) {
        long from = position(sequence, head, row);
        boolean together = rowStride == width;
        if (dtype == DType.F32) {
            if (together && width == stride) {
                MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 4 * from, target, at, count * width);
                return;
            }
            for (int i = 0; i < count; i++) {
                MemorySegment.copy(
                        memory, ValueLayout.JAVA_FLOAT, 4 * (from + i * rowStride), target, at + i * stride, width);
            }
        } else {
            for (int i = 0; i < (together ? 1 : count); i++) {
                int elements = together ? count * width : width;
                MemorySegment.copy(
                        memory, ValueLayout.JAVA_SHORT, 2 * (from + i * rowStride), bits, i * width, elements);
            }
            for (int i = 0; i < (width == stride ? 1 : count); i++) {
                int elements = width == stride ? count * width : width;
                lanes.widen(dtype, bits, i * width, elements, target, at + i * stride);
            }
        }
        for (int i = 0; i < count && width < stride; i++) {
            Arrays.fill(target, at + i * stride + width, at + (i + 1) * stride, 0);
        }
    }

    /** Widens a part of a row, from its element {@code from} on. */
    void readPart(int sequence, int head, int row, int from, int count, float[] target, short[] bits, Lanes lanes) {
        long at = position(sequence, head, row) + from;
        if (dtype == DType.F32) {
            MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 4 * at, target, 0, count);
        } else {
            MemorySegment.copy(memory, ValueLayout.JAVA_SHORT, 2 * at, bits, 0, count);
            lanes.widen(dtype, bits, 0, count, target, 0);
        }
    }

    /** Stores a part of a row of F32. */
    void writePart(int sequence, int head, int row, int from, int count, float[] source) {
        long at = position(sequence, head, row) + from;
        MemorySegment.copy(source, 0, memory, ValueLayout.JAVA_FLOAT, 4 * at, count);
    }

    /** Rounds a row from F32 and stores it. */
    void write(int sequence, int head, int row, float[] source, int at, short[] bits) {
        long to = position(sequence, head, row);
        if (dtype == DType.F32) {
            MemorySegment.copy(source, at, memory, ValueLayout.JAVA_FLOAT, 4 * to, width);
            return;
        }
        if (dtype == DType.F16) {
            for (int i = 0; i < width; i++) {
                bits[i] = Float.floatToFloat16(source[at + i]);
            }
        } else {
            for (int i = 0; i < width; i++) {
                bits[i] = (short) DType.BF16.encode(source[at + i]);
            }
        }
        MemorySegment.copy(bits, 0, memory, ValueLayout.JAVA_SHORT, 2 * to, width);
    }

    /** The only element of a row. */
    float get(int sequence, int head, int row) {
        return memory.get(ValueLayout.JAVA_FLOAT, 4 * position(sequence, head, row));
    }

    /** Sets the only element of a row. */
    void set(int sequence, int head, int row, float value) {
        memory.set(ValueLayout.JAVA_FLOAT, 4 * position(sequence, head, row), value);
    }
}
