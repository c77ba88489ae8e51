package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.util.Set;
import org.tornadoattention.device.ComputeDevice;
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
        return dtype == DType.BF16 && device.backend().hasBFloat16() ? Features.NATIVE_BF16 : 0;
    }
}
