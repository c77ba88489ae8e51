package org.tornadoattention.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.stream.IntStream;

/**
 * Bulk conversion between {@code float} values and stored elements in native byte order.
 *
 * <p>16-bit elements pass through small heap arrays: loops over heap arrays are the ones that the JIT turns into vector
 * conversions. Large copies are shared out over the cores.
 */
final class ElementCodec {
    private static final int CHUNK = 1 << 13;
    private static final int PARALLEL_FROM = 1 << 18;

    private ElementCodec() {}

    /** Rounds {@code count} values from {@code values[from]} on to {@code dtype} and stores them in {@code target}. */
    static void encode(float[] values, int from, DType dtype, MemorySegment target, long targetIndex, int count) {
        if (dtype == DType.F32) {
            MemorySegment.copy(values, from, target, ValueLayout.JAVA_FLOAT, 4 * targetIndex, count);
            return;
        }
        forEachChunk(count, (start, length) -> {
            short[] bits = new short[length];
            int first = from + start;
            if (dtype == DType.F16) {
                for (int i = 0; i < length; i++) {
                    bits[i] = Float.floatToFloat16(values[first + i]);
                }
            } else {
                for (int i = 0; i < length; i++) {
                    bits[i] = DType.floatToBFloat16(values[first + i]);
                }
            }
            MemorySegment.copy(bits, 0, target, ValueLayout.JAVA_SHORT, 2 * (targetIndex + start), length);
        });
    }

    /** Widens {@code count} elements of {@code source} from {@code sourceIndex} on into {@code values[to]} on. */
    static void decode(MemorySegment source, DType dtype, long sourceIndex, float[] values, int to, int count) {
        if (dtype == DType.F32) {
            MemorySegment.copy(source, ValueLayout.JAVA_FLOAT, 4 * sourceIndex, values, to, count);
            return;
        }
        forEachChunk(count, (start, length) -> {
            short[] bits = new short[length];
            MemorySegment.copy(source, ValueLayout.JAVA_SHORT, 2 * (sourceIndex + start), bits, 0, length);
            int first = to + start;
            if (dtype == DType.F16) {
                for (int i = 0; i < length; i++) {
                    values[first + i] = Float.float16ToFloat(bits[i]);
                }
            } else {
                for (int i = 0; i < length; i++) {
                    values[first + i] = DType.bfloat16ToFloat(bits[i]);
                }
            }
        });
    }

    /** Converts {@code count} elements from one stored type to another. */
    static void convert(MemorySegment source, DType from, MemorySegment target, DType to, int count) {
        forEachChunk(count, (start, length) -> {
            float[] values = new float[length];
            decode(source, from, start, values, 0, length);
            encode(values, 0, to, target, start, length);
        });
    }

    /** Calls {@code body} for consecutive ranges that cover {@code [0, count)}, in parallel where that pays. */
    static void forEachChunk(int count, ChunkBody body) {
        int chunks = Math.ceilDiv(count, CHUNK);
        IntStream indices = IntStream.range(0, chunks);
        (count < PARALLEL_FROM ? indices : indices.parallel()).forEach(chunk -> {
            int start = chunk * CHUNK;
            body.accept(start, Math.min(CHUNK, count - start));
        });
    }

    /** What is done to the elements {@code [start, start + length)}. */
    @FunctionalInterface
    interface ChunkBody {
        void accept(int start, int length);
    }
}
