package org.tornadoattention.function;

import java.util.List;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * A dense bias as {@link org.tornadoattention.kernel.parts.DenseBias} takes it: its elements, and the steps between
 * them.
 */
final class Bias {

    private Bias() {}

    static List<Class<?>> arrays(DType dtype) {
        return List.of(dtype == DType.F32 ? FloatArray.class : ShortArray.class, IntArray.class);
    }

    /** How raw bits are to be read. */
    static int features(DType dtype, boolean intrinsics) {
        return (dtype == DType.F16 ? Features.F16_BITS : 0) | (intrinsics ? Features.INTRINSICS : 0);
    }

    static List<TornadoNativeArray> of(Tensor bias) {
        int queryStep = bias.dimension(3);
        int headStep = queryStep * bias.dimension(2);
        IntArray steps = IntArray.fromElements(
                bias.dimension(0) == 1 ? 0 : headStep * bias.dimension(1),
                bias.dimension(1) == 1 ? 0 : headStep,
                queryStep);
        TornadoNativeArray elements = switch (bias.dtype()) {
            case F32 -> bias.floatArray();
            case F16 -> ShortArray.fromSegmentShallow(bias.halfFloatArray().getSegmentWithHeader());
            case BF16 -> bias.bfloat16Bits();
        };
        return List.of(elements, steps);
    }
}
