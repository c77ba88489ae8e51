package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/** What a work-item can do beyond plain Java. */
public interface ExecutionContext {

    /** Waits for all work-items of the group; what they wrote to local memory is then seen by all. */
    void localBarrier();

    /** Waits for all work-items of the group; what they wrote to global memory is then seen by all. */
    void globalBarrier();

    /** Allocates an array that the work-items of a group share. */
    int[] allocateIntLocalArray(int size);

    /** Allocates an array that the work-items of a group share. */
    long[] allocateLongLocalArray(int size);

    /** Allocates an array that the work-items of a group share. */
    float[] allocateFloatLocalArray(int size);

    /** Allocates an array that the work-items of a group share. */
    double[] allocateDoubleLocalArray(int size);

    /** Allocates an array that the work-items of a group share. */
    byte[] allocateByteLocalArray(int size);

    /** Allocates an array that the work-items of a group share. */
    HalfFloat[] allocateHalfFloatLocalArray(int size);

    /** Allocates an array that the work-items of a group share. */
    Half2[] allocateHalf2LocalArray(int size);

    /** Adds to an element in one step that no other work-item can divide. */
    void atomicAdd(IntArray array, int index, int val);

    /** Adds to an element of a local array in one step that no other work-item can divide. */
    void atomicAdd(int[] array, int index, int val);

    /** Adds to an element in one step that no other work-item can divide. */
    void atomicAdd(LongArray array, int index, long val);

    /** Adds to an element in one step that no other work-item can divide. */
    void atomicAdd(FloatArray array, int index, float val);

    /** Adds to an element in one step that no other work-item can divide. */
    void atomicAdd(DoubleArray array, int index, double val);
}
