package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Where the elements of a view lie in its array. */
final class Places {

    private Places() {}

    static int elementsOf(int[] shape) {
        required(shape, "shape");
        boolean empty = false;
        for (int dimension : shape) {
            if (dimension < 0) {
                throw new IllegalArgumentException("Shape %s has a negative dimension: dimensions must be 0 or more."
                        .formatted(Arrays.toString(shape)));
            }
            empty |= dimension == 0;
        }
        if (empty) {
            return 0;
        }
        long size = 1;
        for (int dimension : shape) {
            // Both factors are below 2^31, so the product cannot wrap before it is compared.
            size *= dimension;
            if (size > Tensor.MAX_ELEMENTS) {
                throw new IllegalArgumentException(("Shape %s has more than %,d elements, the most that one tensor"
                                + " holds: split the batch or the heads over several calls.")
                        .formatted(Arrays.toString(shape), Tensor.MAX_ELEMENTS));
            }
        }
        return (int) size;
    }

    /** Strides in row-major order. */
    static int[] rowMajor(int... shape) {
        int[] strides = new int[shape.length];
        int stride = 1;
        for (int axis = shape.length - 1; axis >= 0; axis--) {
            strides[axis] = stride;
            stride *= Math.max(1, shape[axis]);
        }
        return strides;
    }

    /**
     * Strides with those of axes of length 1, which do not matter, as in row-major order.
     *
     * @throws IllegalArgumentException if they are not one for each axis
     */
    static int[] effective(int[] strides, int[] shape) {
        required(strides, "strides", "give one for each dimension");
        if (strides.length != shape.length) {
            throw new IllegalArgumentException("Strides %s are %d for the %d dimensions of shape %s: give one for each."
                    .formatted(Arrays.toString(strides), strides.length, shape.length, Arrays.toString(shape)));
        }
        int[] effective = strides.clone();
        int[] rowMajor = rowMajor(shape);
        for (int axis = 0; axis < shape.length; axis++) {
            if (shape[axis] == 1) {
                effective[axis] = rowMajor[axis];
            }
        }
        return effective;
    }

    /**
     * @throws IllegalArgumentException if a view reaches outside its array, or two of its elements are the same of the
     *     array
     */
    static void require(Strided view, int[] strides) {
        boolean empty = Arrays.stream(view.shape()).anyMatch(length -> length == 0);
        requireInside(view, strides, empty);
        if (!empty) {
            requireNoOverlap(view, strides);
        }
    }

    private static void requireInside(Strided view, int[] strides, boolean empty) {
        int[] shape = view.shape();
        int offset = view.offset();
        TornadoNativeArray array = view.array();
        long last = offset;
        for (int axis = 0; axis < shape.length; axis++) {
            if (shape[axis] > 1 && strides[axis] < 1) {
                throw new IllegalArgumentException(
                        "Stride %d of axis %d of %s: strides must be 1 or more.".formatted(strides[axis], axis, view));
            }
            last += (long) Math.max(0, shape[axis] - 1) * strides[axis];
        }
        if (offset < 0 || !empty && last >= array.getSize() || offset > array.getSize()) {
            throw new IllegalArgumentException(
                    "A view %s with offset %,d and strides %s goes from element %,d to %,d, and the %s has %,d: it must lie inside."
                            .formatted(
                                    view,
                                    offset,
                                    Arrays.toString(strides),
                                    offset,
                                    last,
                                    array.getClass().getSimpleName(),
                                    array.getSize()));
        }
    }

    /** Each axis must step over all that the axes with smaller strides reach. */
    private static void requireNoOverlap(Strided view, int[] strides) {
        int[] shape = view.shape();
        List<Integer> axes = IntStream.range(0, shape.length)
                .filter(axis -> shape[axis] > 1)
                .boxed()
                .sorted(Comparator.comparingInt(axis -> strides[axis]))
                .toList();
        long reach = 0;
        for (int axis : axes) {
            if (strides[axis] <= reach) {
                throw new IllegalArgumentException(
                        "A view %s with strides %s overlaps itself: axis %d steps %,d elements, and those inside it reach %,d; it must step over them."
                                .formatted(view, Arrays.toString(strides), axis, strides[axis], reach));
            }
            reach += (long) (shape[axis] - 1) * strides[axis];
        }
    }
}
