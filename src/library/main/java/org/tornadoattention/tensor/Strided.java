package org.tornadoattention.tensor;

import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Elements of one of TornadoVM's arrays, of which a shape, an offset and strides say where they lie. */
public sealed interface Strided permits Tensor, ByteTensor {

    /** {@return the array that holds the elements: the argument to give to a task} */
    TornadoNativeArray array();

    /** {@return a copy of the dimensions, outermost first} */
    int[] shape();

    /**
     * The length of an axis.
     *
     * @param axis from 0, the outermost
     * @return its length
     * @throws IllegalArgumentException if there is no such axis
     */
    int dimension(int axis);

    /** {@return the element of the array that the first one is} */
    int offset();

    /**
     * How far apart neighbours along an axis are.
     *
     * @param axis from 0, the outermost
     * @return elements of the array from one index of the axis to the next
     * @throws IllegalArgumentException if there is no such axis
     */
    int stride(int axis);
}
