package org.tornadoattention.decode;

import java.lang.foreign.MemorySegment;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.ByteCoding;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The arrays that hold a cache's keys and values: pages {@code [pages, kvHeads, pageSize, rowStride]}. */
final class CacheArrays {

    private CacheArrays() {}

    /** Keys or values: floats, halves, or pairs of raw 16-bit floats where the compiler has no type for them. */
    static TornadoNativeArray allocate(DType dtype, CacheType type, int elements, ComputeDevice device) {
        if (type.isQuantized()) {
            return new ShortArray(elements / 2);
        }
        return switch (dtype) {
            case F32 -> new FloatArray(elements);
            case F16 -> device.halfFloats() ? new HalfFloatArray(elements) : new IntArray(elements / 2);
            case BF16 -> new IntArray(elements / 2);
        };
    }

    /** Puts packed rows {@code [tokens, kvHeads, headDim]} where kernels read them, a row stride apart. */
    static void scatter(Tensor rows, TornadoNativeArray array) {
        MemorySegment source = rows.memory();
        MemorySegment target = array.getSegment();
        int headDim = rows.dimension(2);
        int rowStride = SplitKeyAttention.rowStride(headDim);
        if (rowStride == headDim) {
            MemorySegment.copy(source, 0, target, 0, rows.byteSize());
            return;
        }
        long rowBytes = (long) headDim * rows.dtype().byteSize();
        long stride = (long) rowStride * rows.dtype().byteSize();
        for (long row = 0; row * headDim < rows.numberOfElements(); row++) {
            MemorySegment.copy(source, row * rowBytes, target, row * stride, rowBytes);
        }
    }

    /** Scales of all pages, one number where there are none. */
    static FloatArray scales(CacheShape shape) {
        return new FloatArray(
                shape.type().isQuantized()
                        ? Math.multiplyExact(Math.multiplyExact(shape.pages(), shape.kvHeads()), 2)
                        : 1);
    }

    /**
     * One sequence's rows, from its pages.
     *
     * @param which 0 for the scales of keys, 1 for those of values
     * @return {@code [1, kvHeads, length, headDim]}, F32 for a quantised cache
     */
    static Tensor gather(
            CacheShape shape, TornadoNativeArray array, FloatArray scales, int which, int[] pages, int length) {
        return shape.type().isQuantized()
                ? gatherBytes(shape, (ShortArray) array, scales, which, pages, length)
                : gather(shape, array, pages, length);
    }

    private static Tensor gather(CacheShape shape, TornadoNativeArray array, int[] pages, int length) {
        Tensor gathered = Tensor.allocate(shape.dtype(), 1, shape.kvHeads(), length, shape.headDim());
        MemorySegment source = array.getSegment();
        MemorySegment target = gathered.memory();
        int elementBytes = shape.dtype().byteSize();
        long stride = (long) SplitKeyAttention.rowStride(shape.headDim()) * elementBytes;
        long rowBytes = (long) shape.headDim() * elementBytes;
        for (int head = 0; head < shape.kvHeads(); head++) {
            for (int token = 0; token < length; token++) {
                long page = pages[token / shape.pageSize()];
                long row = (page * shape.kvHeads() + head) * shape.pageSize() + token % shape.pageSize();
                MemorySegment.copy(source, row * stride, target, ((long) head * length + token) * rowBytes, rowBytes);
            }
        }
        return gathered;
    }

    private static Tensor gatherBytes(
            CacheShape shape, ShortArray array, FloatArray scales, int which, int[] pages, int length) {
        ByteCoding coding = ByteCoding.of(shape.type());
        Tensor gathered = Tensor.allocate(DType.F32, 1, shape.kvHeads(), length, shape.headDim());
        int stride = SplitKeyAttention.rowStride(shape.headDim());
        for (int head = 0; head < shape.kvHeads(); head++) {
            for (int token = 0; token < length; token++) {
                int pageHead = pages[token / shape.pageSize()] * shape.kvHeads() + head;
                int row = pageHead * shape.pageSize() + token % shape.pageSize();
                float scale = scales.get(pageHead * 2 + which);
                for (int x = 0; x < shape.headDim(); x++) {
                    int at = row * stride + x;
                    int bits = array.get(at / 2) >> (at % 2 * 8) & 0xff;
                    gathered.setFlat((head * length + token) * shape.headDim() + x, scale * coding.decode(bits));
                }
            }
        }
        return gathered;
    }
}
