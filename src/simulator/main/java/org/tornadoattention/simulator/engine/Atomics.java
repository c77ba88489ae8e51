package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Atomic additions to device memory, which groups share, and to local memory, which they do not. */
final class Atomics {

    private static final VarHandle INTS = MethodHandles.arrayElementVarHandle(int[].class);
    private static final VarHandle LONGS = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle FLOATS = MethodHandles.arrayElementVarHandle(float[].class);
    private static final VarHandle DOUBLES = MethodHandles.arrayElementVarHandle(double[].class);

    private Atomics() {}

    static void add(WorkItem item, IntArray array, int index, int value) {
        if (item == WorkItem.OUTSIDE) {
            array.set(index, array.get(index) + value);
        } else {
            INTS.getAndAdd((int[]) touch(item, array, index), index, value);
        }
    }

    static void add(WorkItem item, LongArray array, int index, long value) {
        if (item == WorkItem.OUTSIDE) {
            array.set(index, array.get(index) + value);
        } else {
            LONGS.getAndAdd((long[]) touch(item, array, index), index, value);
        }
    }

    static void add(WorkItem item, FloatArray array, int index, float value) {
        if (item == WorkItem.OUTSIDE) {
            array.set(index, array.get(index) + value);
        } else {
            FLOATS.getAndAdd((float[]) touch(item, array, index), index, value);
        }
    }

    static void add(WorkItem item, DoubleArray array, int index, double value) {
        if (item == WorkItem.OUTSIDE) {
            array.set(index, array.get(index) + value);
        } else {
            DOUBLES.getAndAdd((double[]) touch(item, array, index), index, value);
        }
    }

    static void add(WorkItem item, int[] array, int index, int value) {
        LocalHooks.beforeLocalAtomic(array, index, item);
        array[index] += value;
    }

    private static Object touch(WorkItem item, TornadoNativeArray array, int index) {
        Hooks.beforeAtomic(array, index, item);
        return NativeArrays.deviceArray(array).storage();
    }
}
