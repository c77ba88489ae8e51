package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Set;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.device.PinnedMemory;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** How a device's kernels see the elements of tensors: as their type, or as raw bits where its compiler has none. */
public final class DeviceStorage {

    private DeviceStorage() {}

    /**
     * A tensor's array as kernels take it.
     *
     * @param halfFloats whether the device's compiler takes 16-bit floats; without, F16 tensors are seen as raw bits
     * @throws IllegalArgumentException if it is a view
     */
    public static TornadoNativeArray seen(Tensor tensor, boolean halfFloats) {
        return seenInPlace(tensor.requireContiguous(), halfFloats);
    }

    /** Likewise the array of a tensor that may be a view, for kernels that know where its rows lie. */
    public static TornadoNativeArray seenInPlace(Tensor tensor, boolean halfFloats) {
        return tensor.dtype() == DType.F16 && !halfFloats
                ? ShortArray.fromSegmentShallow(tensor.halfFloatArray().getSegmentWithHeader())
                : tensor.array();
    }

    /** Elements of a tensor that follow each other from {@code first} on, as a tensor of this shape. */
    static Tensor part(Tensor tensor, int first, int... shape) {
        int[] strides = new int[shape.length];
        int step = 1;
        for (int axis = shape.length - 1; axis >= 0; axis--) {
            strides[axis] = step;
            step *= shape[axis];
        }
        return switch (tensor.dtype()) {
            case F32 -> Tensor.view(tensor.floatArray(), first, shape, strides);
            case F16 -> Tensor.view(tensor.halfFloatArray(), first, shape, strides);
            case BF16 -> Tensor.view((ShortArray) tensor.array(), first, shape, strides);
        };
    }

    /** A tensor of zeros in memory that the device reads and writes itself, where that can be had. */
    static Tensor pinned(ComputeDevice device, DType dtype, int... shape) {
        return PinnedMemory.allocate(device, TornadoNativeArray.ARRAY_HEADER + bytes(dtype, shape))
                .map(memory -> over(memory, dtype, shape))
                .orElseGet(() -> Tensor.allocate(dtype, shape));
    }

    /** Bytes of the elements of a tensor. */
    static long bytes(DType dtype, int... shape) {
        return Arrays.stream(shape).asLongStream().reduce(dtype.byteSize(), (one, other) -> one * other);
    }

    /** A tensor over memory that has room for the header of an array and the elements, as they are. */
    static Tensor over(MemorySegment memory, DType dtype, int... shape) {
        return switch (dtype) {
            case F32 -> Tensor.wrap(FloatArray.fromSegmentShallow(memory), shape);
            case F16 -> Tensor.wrap(HalfFloatArray.fromSegmentShallow(memory), shape);
            case BF16 -> Tensor.wrapBFloat16(ShortArray.fromSegmentShallow(memory), shape);
        };
    }

    /**
     * How the kernels of tensors of several types are to understand ShortArrays: as BF16 where there is any, since F16
     * is raw bits only on devices that take no tensors of several types.
     */
    public static int features(Set<DType> types, ComputeDevice device) {
        boolean bf16 = types.contains(DType.BF16);
        return features(bf16 || types.size() > 1 ? DType.BF16 : types.iterator().next(), device);
    }

    /** How the kernels that read ShortArrays are to understand their bits; others ignore it. */
    public static int features(DType dtype, ComputeDevice device) {
        if (dtype == DType.F16) {
            return Features.F16_BITS;
        }
        if (dtype != DType.BF16) {
            return 0;
        }
        return (device.backend().hasBFloat16() ? Features.NATIVE_BF16 : 0)
                | (device.extension().level().include(Intrinsics.REINTERPRET) ? Features.REINTERPRET : 0);
    }
}
