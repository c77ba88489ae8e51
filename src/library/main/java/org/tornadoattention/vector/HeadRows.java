package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The rows of heads of sequences, as they lie in a tensor's memory. */
final class HeadRows implements RowSource {

    private final StoredRows rows;
    private final long[] sequences;
    private final long headStride;

    /** @param sequences the element that each sequence begins with */
    private HeadRows(
            Tensor tensor, MemorySegment memory, long[] sequences, long headStride, long rowStride, int width) {
        this.rows = new StoredRows(memory, tensor.dtype(), rowStride, width);
        this.sequences = sequences;
        this.headStride = headStride;
    }

    /**
     * Of a tensor {@code [batch, heads, seq, width]}, which may be a view; elements of a row that are apart are copied.
     */
    static HeadRows of(Tensor given) {
        Tensor tensor = given.stride(3) == 1 ? given : given.contiguous();
        long[] sequences = new long[tensor.batch()];
        Arrays.setAll(sequences, entry -> tensor.offset() + (long) entry * tensor.stride(0));
        return new HeadRows(
                tensor, tensor.array().getSegment(), sequences, tensor.stride(1), tensor.stride(2), tensor.headDim());
    }

    /** Of a tensor {@code [batch, heads, seq]}, whose rows have one element. */
    static HeadRows ofScalars(Tensor tensor) {
        long[] sequences = new long[tensor.dimension(0)];
        Arrays.setAll(sequences, entry -> (long) entry * tensor.dimension(1) * tensor.dimension(2));
        return new HeadRows(tensor, tensor.memory(), sequences, tensor.dimension(2), 1, 1);
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
        return new HeadRows(tensor, tensor.memory(), sequences, width, (long) heads * width, width);
    }

    /** Elements of a row. */
    int width() {
        return rows.width();
    }

    /** Whether sums of F32 lose nothing here. */
    boolean areF32() {
        return rows.dtype() == DType.F32;
    }

    private long position(int sequence, int head, int row) {
        return sequences[sequence] + head * headStride + row * rows.stride();
    }

    @Override
    public void read(
            int sequence, int head, int row, int count, float[] target, int at, int stride, short[] bits, Lanes lanes) {
        rows.read(position(sequence, head, row), count, target, at, stride, bits, lanes);
    }

    @Override
    public Optional<StoredRows> stored() {
        return Optional.of(rows);
    }

    @Override
    public void places(int sequence, int head, int row, int count, long[] places) {
        long first = position(sequence, head, row) * rows.dtype().byteSize();
        long stride = rows.stride() * rows.dtype().byteSize();
        for (int i = 0; i < count; i++) {
            places[i] = first + i * stride;
        }
    }

    @Override
    public boolean lieEvenly(int sequence, int head, int row, int count) {
        return true;
    }

    /** Widens a part of a row, from its element {@code from} on. */
    void readPart(int sequence, int head, int row, int from, int count, float[] target, short[] bits, Lanes lanes) {
        rows.widen(position(sequence, head, row) + from, count, target, 0, bits, 0, lanes);
    }

    /** Stores a part of a row of F32. */
    void writePart(int sequence, int head, int row, int from, int count, float[] source) {
        long at = position(sequence, head, row) + from;
        MemorySegment.copy(source, 0, rows.memory(), ValueLayout.JAVA_FLOAT, 4 * at, count);
    }

    /** Rounds rows from F32 and stores them, those of {@code source} being {@code stride} apart. */
    void write(
            int sequence, int head, int row, int count, float[] source, int at, int stride, short[] bits, Lanes lanes) {
        rows.write(position(sequence, head, row), count, source, at, stride, bits, lanes);
    }

    /** The only element of a row. */
    float get(int sequence, int head, int row) {
        return rows.memory().get(ValueLayout.JAVA_FLOAT, 4 * position(sequence, head, row));
    }

    /** Sets the only element of a row. */
    void set(int sequence, int head, int row, float value) {
        rows.memory().set(ValueLayout.JAVA_FLOAT, 4 * position(sequence, head, row), value);
    }
}
