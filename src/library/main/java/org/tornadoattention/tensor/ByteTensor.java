package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;

/**
 * Bytes of an array of the caller's, whose meaning a {@link CacheType} says: quantised keys or values. Shape, offset
 * and strides are as those of a {@link Tensor#view view}. Immutable; the bytes may change.
 */
public final class ByteTensor implements Strided {

    private final ByteArray array;
    private final int[] shape;
    private final int offset;
    private final int[] strides;

    private ByteTensor(ByteArray array, int[] shape, int offset, int[] strides) {
        this.array = array;
        this.shape = shape;
        this.offset = offset;
        this.strides = strides;
    }

    /**
     * A view of a part of {@code array}: element {@code [i, j, …]} is byte {@code offset + i * strides[0] + j *
     * strides[1] + …}.
     *
     * @param array an array of the caller's
     * @param offset the byte that the view begins with, from 0
     * @param shape dimensions, outermost first, each 0 or more
     * @param strides for each dimension, the bytes from one index to the next, 1 or more; of a dimension of length 1 it
     *     does not matter
     * @return a view of the array itself
     * @throws IllegalArgumentException if the view reaches outside the array, or two of its elements are the same of
     *     the array
     */
    public static ByteTensor view(ByteArray array, int offset, int[] shape, int[] strides) {
        required(array, "array");
        Places.elementsOf(shape);
        ByteTensor view = new ByteTensor(array, shape.clone(), offset, Places.effective(strides, shape));
        Places.require(view, view.strides);
        return view;
    }

    @Override
    public ByteArray array() {
        return array;
    }

    @Override
    public int[] shape() {
        return shape.clone();
    }

    @Override
    public int dimension(int axis) {
        if (axis < 0 || axis >= shape.length) {
            throw new IllegalArgumentException(
                    "Axis %d does not exist: %s has axes 0 to %d.".formatted(axis, this, shape.length - 1));
        }
        return shape[axis];
    }

    @Override
    public int offset() {
        return offset;
    }

    @Override
    public int stride(int axis) {
        dimension(axis);
        return strides[axis];
    }

    /** The shape, such as {@code bytes[4, 2, 16, 64]}. */
    @Override
    public String toString() {
        return "bytes" + Arrays.toString(shape);
    }
}
