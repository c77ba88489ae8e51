package org.tornadoattention.choice;

import java.util.function.IntFunction;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Memory on the device that the launches of a pass hand each other, of 32-bit elements.
 *
 * @param name by which launches name it
 * @param elements its size
 * @param type makes the array
 */
public record Scratch(String name, long elements, IntFunction<TornadoNativeArray> type) {

    /** Floats. */
    static Scratch floats(String name, long elements) {
        return new Scratch(name, elements, FloatArray::new);
    }

    /** Ints. */
    static Scratch ints(String name, long elements) {
        return new Scratch(name, elements, IntArray::new);
    }

    /** {@return its size in bytes} */
    public long bytes() {
        return Math.multiplyExact(elements, (long) Integer.BYTES);
    }

    /**
     * A new array of this size.
     *
     * @return a new array
     * @throws ArithmeticException if no array is that large
     */
    public TornadoNativeArray allocate() {
        return type.apply(Math.toIntExact(elements));
    }
}
