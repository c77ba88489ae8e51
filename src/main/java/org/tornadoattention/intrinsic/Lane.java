package org.tornadoattention.intrinsic;

import java.util.ServiceLoader;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What stands behind the Java bodies of {@link Warp}, {@link WarpGroup} and {@link WarpBarrier}: one lane of a simulated warp. A simulator of
 * work-groups provides a {@link Provider}; a GPU's compiler replaces the calls and never gets here.
 */
public interface Lane {

    /** {@link Warp#requireGroupSize}. */
    void requireGroupSize(int items);

    /** {@link Warp#shuffleXor}. */
    float shuffleXor(float value, int mask);

    /** {@link Warp#loadMatrices} and {@link Warp#loadMatricesTransposed}. */
    void loadMatrices(int[] registers, int at, int[] tile, int byteOffset, boolean transposed);

    /** {@link Warp#multiply}, for a type of {@link Warp}. */
    void multiply(int type, float[] c, int atC, int[] a, int atA, int[] b, int atB);

    /** {@link Warp#copyAsync}, with the array's elements as bytes. */
    void copyAsync(int[] tile, int byteOffset, TornadoNativeArray source, int index, int bytes);

    /** {@link Warp#awaitCopies}. */
    void awaitCopies(int pending);

    /** {@link Warp#copy}, with the array's elements as bits. */
    void copy(int[] tile, int byteOffset, TornadoNativeArray source, int index, int elements);

    /** {@link Warp#element}. */
    float element(int[] tile, int byteOffset);

    /** {@link Warp#store}. */
    void store(TornadoNativeArray target, int index, int packed, int elements);

    /** {@link Warp#store(FloatArray, int, float)}. */
    void store(FloatArray target, int index, float value);

    /** {@link WarpGroup#fenceLocalMemory}. */
    void fenceLocalMemory();

    /** {@link WarpGroup#multiply}, with A in local memory. */
    void multiplyTiles(int type, float[] c, int columns, int[] tile, int atA, int atB, int accumulate);

    /** {@link WarpGroup#multiply}, with A in registers. */
    void multiplyRegisters(
            int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int strideB, int accumulate);

    /** {@link WarpGroup#multiplyTransposed}. */
    void multiplyTransposed(int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int accumulate);

    /** {@link WarpGroup#commit}. */
    void commit();

    /** {@link WarpGroup#await}. */
    void await(int pending, float[] c, int registers);

    /** {@link WarpGroup#giveRegisters} and {@link WarpGroup#takeRegisters}. */
    void setRegisters(int count);

    /** {@link WarpBarrier#init} and {@link WarpBarrier#initForCopies}. */
    void initBarrier(int[] barriers, int index, int warps, boolean forCopies);

    /** {@link WarpBarrier#arrive}. */
    void arrive(int[] barriers, int index);

    /** {@link WarpBarrier#arriveWithCopies}. */
    void arriveWithCopies(int[] barriers, int index);

    /** {@link WarpBarrier#await}. */
    void await(int[] barriers, int index, int phase);

    /** Knows the lane that runs on the current thread. */
    interface Provider {

        /** The lane, or null outside of kernels. */
        Lane current();
    }

    /**
     * The lane that runs on the current thread.
     *
     * @throws IllegalStateException outside of kernels, and in a kernel that TornadoVM runs as sequential Java
     */
    static Lane current() {
        Lane lane = Providers.FIRST == null ? null : Providers.FIRST.current();
        if (lane == null) {
            throw new IllegalStateException(
                    "Warp intrinsics mean something only inside a kernel: on a GPU whose compiler"
                            + " has been taught them (./attention devices says which), or in the simulator.");
        }
        return lane;
    }

    /** Found once. */
    final class Providers {

        private static final Provider FIRST = ServiceLoader.load(Provider.class, Lane.class.getClassLoader())
                .findFirst()
                .orElse(null);

        private Providers() {}
    }
}
