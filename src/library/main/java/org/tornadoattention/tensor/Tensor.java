package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * A dense, contiguous, row-major tensor over one of TornadoVM's off-heap arrays, ready to be a task's argument.
 *
 * <p>Queries, keys, values and outputs of attention are {@code [batch, heads, seq, headDim]}; log-sum-exps are
 * {@code [batch, heads, seq]}. Shape and type never change, the elements may. F32 lives in a {@link FloatArray}, F16
 * in a {@link HalfFloatArray} and BF16, as raw bits, in a {@link ShortArray}: the bfloat16 array of TornadoVM exists
 * on one of its backends only, arrays of shorts on all.
 *
 * <p>A tensor holds at most {@link #MAX_ELEMENTS} elements. A tensor with a dimension of 0 is allowed; TornadoVM has
 * no device buffers of size 0, so its {@link #array()} has one element, which belongs to nobody.
 *
 * <p>A tensor is not synchronised: threads that share one must not write it at the same time.
 */
public final class Tensor {
    /** The most elements that a tensor holds: TornadoVM indexes with ints and puts a header before the elements. */
    public static final int MAX_ELEMENTS = Integer.MAX_VALUE - 16;

    private final DType dtype;
    private final int[] shape;
    private final int numberOfElements;
    private final TornadoNativeArray array;

    private Tensor(DType dtype, int[] shape, int numberOfElements, TornadoNativeArray array) {
        this.dtype = dtype;
        this.shape = shape;
        this.numberOfElements = numberOfElements;
        this.array = array;
    }

    /**
     * A new F32 tensor with a copy of {@code values} in row-major order.
     *
     * @param values elements in row-major order
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor with a copy of the values
     * @throws IllegalArgumentException if the shape does not have as many elements as {@code values}
     */
    public static Tensor of(float[] values, int... shape) {
        return of(DType.F32, values, shape);
    }

    /**
     * A new tensor with {@code values}, in row-major order, each rounded to {@code dtype}.
     *
     * @param dtype type of the elements
     * @param values elements in row-major order
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor with a copy of the values
     * @throws IllegalArgumentException if the shape does not have as many elements as {@code values}
     */
    public static Tensor of(DType dtype, float[] values, int... shape) {
        required(dtype, "dtype", "choose F32, F16 or BF16");
        required(values, "values");
        requireSize(values.length, "the given array", shape);
        return allocate(dtype, shape).copyFrom(values);
    }

    /**
     * A new tensor of zeros.
     *
     * @param dtype type of the elements
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor of zeros
     * @throws IllegalArgumentException if a dimension is negative or the shape has too many elements
     */
    public static Tensor allocate(DType dtype, int... shape) {
        required(dtype, "dtype", "choose F32, F16 or BF16");
        int size = elementsOf(shape);
        int stored = Math.max(size, 1);
        TornadoNativeArray array = switch (dtype) {
            case F32 -> new FloatArray(stored);
            case F16 -> new HalfFloatArray(stored);
            case BF16 -> new ShortArray(stored);
        };
        return new Tensor(dtype, shape.clone(), size, array);
    }

    /**
     * A new tensor of independent standard normal numbers, rounded to {@code dtype}.
     *
     * <p>The numbers depend on the seed, the number of elements before them and nothing else: each run of 8192
     * elements comes from an {@code L64X128MixRandom} of its own, seeded from {@code seed} and the run's index.
     *
     * @param dtype type of the elements
     * @param seed equal seeds give equal numbers
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor with these numbers
     */
    public static Tensor random(DType dtype, long seed, int... shape) {
        Tensor tensor = allocate(dtype, shape);
        MemorySegment target = tensor.array.getSegment();
        RandomGeneratorFactory<RandomGenerator> generators = RandomGeneratorFactory.of("L64X128MixRandom");
        ElementCodec.forEachChunk(tensor.numberOfElements, (start, length) -> {
            RandomGenerator generator = generators.create(seed + 0x9E3779B97F4A7C15L * (1L + start));
            float[] values = new float[length];
            for (int i = 0; i < length; i++) {
                values[i] = (float) generator.nextGaussian();
            }
            ElementCodec.encode(values, 0, dtype, target, start, length);
        });
        return tensor;
    }

    /**
     * An F32 tensor over {@code array} itself: no copy is made, and writes go both ways.
     *
     * @param array the elements in row-major order; at least as many as the shape has
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor that reads and writes the array itself
     * @throws IllegalArgumentException if the shape does not have as many elements as the array
     */
    public static Tensor wrap(FloatArray array, int... shape) {
        return wrap(DType.F32, "array", array, shape);
    }

    /**
     * An F16 tensor over {@code array} itself: no copy is made, and writes go both ways.
     *
     * @param array the elements in row-major order; at least as many as the shape has
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor that reads and writes the array itself
     * @throws IllegalArgumentException if the shape does not have as many elements as the array
     */
    public static Tensor wrap(HalfFloatArray array, int... shape) {
        return wrap(DType.F16, "array", array, shape);
    }

    /**
     * A BF16 tensor over {@code bits} itself, the upper halves of F32 bit patterns: no copy is made.
     *
     * @param bits the elements as raw bits in row-major order; at least as many as the shape has
     * @param shape dimensions, outermost first, each 0 or more; none for a single number
     * @return a tensor that reads and writes the array itself
     * @throws IllegalArgumentException if the shape does not have as many elements as the array
     */
    public static Tensor wrapBFloat16(ShortArray bits, int... shape) {
        return wrap(DType.BF16, "bits", bits, shape);
    }

    private static Tensor wrap(DType dtype, String name, TornadoNativeArray array, int[] shape) {
        required(array, name);
        // An empty tensor's array is never looked at, and TornadoVM wants it to have at least one element.
        int size = elementsOf(shape);
        if (size != 0) {
            requireSize(array.getSize(), "the given " + array.getClass().getSimpleName(), shape);
        }
        return new Tensor(dtype, shape.clone(), size, array);
    }

    /** {@return the type of the elements} */
    public DType dtype() {
        return dtype;
    }

    /** {@return a copy of the dimensions, outermost first} */
    public int[] shape() {
        return shape.clone();
    }

    /** {@return the number of dimensions} */
    public int rank() {
        return shape.length;
    }

    /**
     * The length of one axis, the outermost being 0.
     *
     * @param axis from 0, the outermost
     * @return how many there are along it
     * @throws IllegalArgumentException if the tensor has no such axis
     */
    public int dimension(int axis) {
        if (axis < 0 || axis >= shape.length) {
            throw new IllegalArgumentException(
                    "Axis %d does not exist: %s has axes 0 to %d.".formatted(axis, this, shape.length - 1));
        }
        return shape[axis];
    }

    /** {@return the number of sequences of a {@code [batch, heads, seq, headDim]} tensor} */
    public int batch() {
        return rank4("batch")[0];
    }

    /** {@return the number of heads of a {@code [batch, heads, seq, headDim]} tensor} */
    public int heads() {
        return rank4("heads")[1];
    }

    /** {@return the sequence length of a {@code [batch, heads, seq, headDim]} tensor} */
    public int seqLength() {
        return rank4("sequence length")[2];
    }

    /** {@return the elements per head of a {@code [batch, heads, seq, headDim]} tensor} */
    public int headDim() {
        return rank4("head dimension")[3];
    }

    private int[] rank4(String what) {
        if (shape.length != 4) {
            throw new IllegalArgumentException(
                    "%s has no %s: only tensors of rank 4, [batch, heads, seq, headDim], do.".formatted(this, what));
        }
        return shape;
    }

    /** {@return the number of elements, from 0 to {@link #MAX_ELEMENTS}} */
    public int numberOfElements() {
        return numberOfElements;
    }

    /** {@return the bytes that the elements take} */
    public long byteSize() {
        return (long) numberOfElements * dtype.byteSize();
    }

    /** {@return the TornadoVM array that holds the elements: the argument to give to a task} */
    public TornadoNativeArray array() {
        return array;
    }

    /**
     * The array of an F32 tensor.
     *
     * @return the tensor's own array
     * @throws IllegalStateException if the tensor is of another type
     */
    public FloatArray floatArray() {
        requireType(DType.F32);
        return (FloatArray) array;
    }

    /**
     * The array of an F16 tensor.
     *
     * @return the tensor's own array
     * @throws IllegalStateException if the tensor is of another type
     */
    public HalfFloatArray halfFloatArray() {
        requireType(DType.F16);
        return (HalfFloatArray) array;
    }

    /**
     * The array of a BF16 tensor: raw bits.
     *
     * @return the tensor's own array
     * @throws IllegalStateException if the tensor is of another type
     */
    public ShortArray bfloat16Bits() {
        requireType(DType.BF16);
        return (ShortArray) array;
    }

    private void requireType(DType wanted) {
        if (dtype != wanted) {
            throw new IllegalStateException("%s is not %s: use as(DType.%s).".formatted(this, wanted, wanted));
        }
    }

    /**
     * The element at a row-major position.
     *
     * @param position from 0 to {@link #numberOfElements()} − 1
     * @return its value, exactly
     * @throws IndexOutOfBoundsException if {@code position} is not in {@code [0, numberOfElements)}
     */
    public float getFlat(int position) {
        Objects.checkIndex(position, numberOfElements);
        return switch (dtype) {
            case F32 -> floatArray().get(position);
            case F16 -> DType.F16.decode(halfFloatArray().get(position).getHalfFloatValue());
            case BF16 -> DType.bfloat16ToFloat(bfloat16Bits().get(position));
        };
    }

    /**
     * Rounds {@code value} to this tensor's type and stores it at a row-major position.
     *
     * @param position from 0 to {@link #numberOfElements()} − 1
     * @param value the new value
     * @throws IndexOutOfBoundsException if {@code position} is not in {@code [0, numberOfElements)}
     */
    public void setFlat(int position, float value) {
        Objects.checkIndex(position, numberOfElements);
        switch (dtype) {
            case F32 -> floatArray().set(position, value);
            case F16 -> halfFloatArray().set(position, new HalfFloat(Float.floatToFloat16(value)));
            case BF16 -> bfloat16Bits().set(position, DType.floatToBFloat16(value));
        }
    }

    /**
     * The element at an index, one number per dimension.
     *
     * @param index one number per dimension, each from 0
     * @return its value, exactly
     * @throws IllegalArgumentException  if there are more or fewer numbers than dimensions
     * @throws IndexOutOfBoundsException if one is outside its dimension
     */
    public float get(int... index) {
        return getFlat(positionOf(index));
    }

    /**
     * Rounds {@code value} to this tensor's type and stores it at an index, one number per dimension.
     *
     * @param value the new value
     * @param index one number per dimension, each from 0
     * @throws IllegalArgumentException  if there are more or fewer numbers than dimensions
     * @throws IndexOutOfBoundsException if one is outside its dimension
     */
    public void set(float value, int... index) {
        setFlat(positionOf(index), value);
    }

    private int positionOf(int[] index) {
        required(index, "index");
        if (index.length != shape.length) {
            throw new IllegalArgumentException("Index %s has %d numbers, but %s has %d dimensions."
                    .formatted(Arrays.toString(index), index.length, this, shape.length));
        }
        int position = 0;
        for (int axis = 0; axis < index.length; axis++) {
            if (index[axis] < 0 || index[axis] >= shape[axis]) {
                throw new IndexOutOfBoundsException("Index %s is outside %s: axis %d goes from 0 to %d."
                        .formatted(Arrays.toString(index), this, axis, shape[axis] - 1));
            }
            position = position * shape[axis] + index[axis];
        }
        return position;
    }

    /** {@return a new array with all elements in row-major order, widened exactly} */
    public float[] toFloatArray() {
        float[] values = new float[numberOfElements];
        ElementCodec.decode(array.getSegment(), dtype, 0, values, 0, numberOfElements);
        return values;
    }

    /**
     * Overwrites all elements with {@code values}, in row-major order, rounded to this tensor's type.
     *
     * @param values elements in row-major order
     * @return this tensor
     * @throws IllegalArgumentException if there are more or fewer values than elements
     */
    public Tensor copyFrom(float[] values) {
        required(values, "values");
        requireSize(values.length, "the given array", shape);
        ElementCodec.encode(values, 0, dtype, array.getSegment(), 0, numberOfElements);
        return this;
    }

    /**
     * Overwrites all elements with those of {@code source}, rounded to this tensor's type.
     *
     * @param source a tensor of the same shape and of any type
     * @return this tensor
     * @throws IllegalArgumentException if the shapes differ
     */
    public Tensor copyFrom(Tensor source) {
        required(source, "source");
        if (!Arrays.equals(shape, source.shape)) {
            throw new IllegalArgumentException(
                    "Cannot copy %s into %s: the shapes must be equal.".formatted(source, this));
        }
        if (dtype == source.dtype) {
            MemorySegment.copy(source.array.getSegment(), 0, array.getSegment(), 0, byteSize());
        } else {
            ElementCodec.convert(source.array.getSegment(), source.dtype, array.getSegment(), dtype, numberOfElements);
        }
        return this;
    }

    /**
     * Stores {@code value}, rounded to this tensor's type, in every element.
     *
     * @param value the new value
     */
    public void fill(float value) {
        float[] values = new float[Math.min(numberOfElements, 1 << 13)];
        Arrays.fill(values, value);
        MemorySegment target = array.getSegment();
        for (long start = 0; start < numberOfElements; start += values.length) {
            int count = (int) Math.min(values.length, numberOfElements - start);
            ElementCodec.encode(values, 0, dtype, target, start, count);
        }
    }

    /**
     * {@return this tensor itself if it is of type {@code target}, otherwise a new tensor with its elements rounded
     * to it}
     *
     * @param target the type that is wanted
     */
    public Tensor as(DType target) {
        required(target, "target", "choose F32, F16 or BF16");
        return target == dtype ? this : allocate(target, shape).copyFrom(this);
    }

    /** {@return a new tensor with the same type, shape and elements} */
    public Tensor copy() {
        return allocate(dtype, shape).copyFrom(this);
    }

    /** The type and shape, such as {@code F16[2, 8, 1024, 64]}. */
    @Override
    public String toString() {
        return dtype + Arrays.toString(shape);
    }

    private static void requireSize(int given, String what, int[] shape) {
        int size = elementsOf(shape);
        if (given != size) {
            throw new IllegalArgumentException(("Shape %s has %d elements, but %s has %d: give an array of the shape's"
                            + " size, or the shape of the array.")
                    .formatted(Arrays.toString(shape), size, what, given));
        }
    }

    private static int elementsOf(int[] shape) {
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
            if (size > MAX_ELEMENTS) {
                throw new IllegalArgumentException(("Shape %s has more than %,d elements, the most that one tensor"
                                + " holds: split the batch or the heads over several calls.")
                        .formatted(Arrays.toString(shape), MAX_ELEMENTS));
            }
        }
        return (int) size;
    }
}
