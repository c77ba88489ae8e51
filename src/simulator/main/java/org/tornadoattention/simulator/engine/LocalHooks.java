package org.tornadoattention.simulator.engine;

import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.MemoryAccess;

/** What instrumented kernels call to reach local memory; see {@link Hooks}. */
public final class LocalHooks {

    private LocalHooks() {}

    /** Returns the work-item's record of a local array that was just allocated in the variable {@code name}. */
    public static LocalView local(Object elements, String name, WorkItem item) {
        LocalArray array = item.group().localArray(elements);
        array.name(name);
        return new LocalView(array, item);
    }

    /** Reads local memory through a view. */
    public static float readFloat(LocalView view, int index) {
        view.read(index);
        return view.floats()[index];
    }

    /** Writes local memory through a view. */
    public static void write(LocalView view, int index, float value) {
        view.write(index, Float.floatToRawIntBits(view.floats()[index]) == Float.floatToRawIntBits(value));
        view.floats()[index] = value;
    }

    /** Reads local memory through a view. */
    public static double readDouble(LocalView view, int index) {
        view.read(index);
        return view.doubles()[index];
    }

    /** Writes local memory through a view. */
    public static void write(LocalView view, int index, double value) {
        view.write(index, Double.doubleToRawLongBits(view.doubles()[index]) == Double.doubleToRawLongBits(value));
        view.doubles()[index] = value;
    }

    /** Reads local memory through a view. */
    public static int readInt(LocalView view, int index) {
        view.read(index);
        return view.ints()[index];
    }

    /** Writes local memory through a view. */
    public static void write(LocalView view, int index, int value) {
        view.write(index, view.ints()[index] == value);
        view.ints()[index] = value;
    }

    /** Reads local memory through a view. */
    public static long readLong(LocalView view, int index) {
        view.read(index);
        return view.longs()[index];
    }

    /** Writes local memory through a view. */
    public static void write(LocalView view, int index, long value) {
        view.write(index, view.longs()[index] == value);
        view.longs()[index] = value;
    }

    /** Reads local memory through a view. */
    public static byte readByte(LocalView view, int index) {
        view.read(index);
        return view.bytes()[index];
    }

    /** Writes local memory through a view. */
    public static void write(LocalView view, int index, byte value) {
        view.write(index, view.bytes()[index] == value);
        view.bytes()[index] = value;
    }

    /** Reads local memory through a view. */
    public static Object readObject(LocalView view, int index) {
        view.read(index);
        return view.objects()[index];
    }

    /** Writes local memory through a view. */
    public static void write(LocalView view, int index, Object value) {
        view.write(index, false);
        view.objects()[index] = value;
    }

    /** Reads local memory. */
    public static float read(float[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(float[] array, int index, float value, LocalView view) {
        view.write(index, Float.floatToRawIntBits(array[index]) == Float.floatToRawIntBits(value));
        array[index] = value;
    }

    /** Reads local memory. */
    public static double read(double[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(double[] array, int index, double value, LocalView view) {
        view.write(index, Double.doubleToRawLongBits(array[index]) == Double.doubleToRawLongBits(value));
        array[index] = value;
    }

    /** Reads local memory. */
    public static int read(int[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(int[] array, int index, int value, LocalView view) {
        view.write(index, array[index] == value);
        array[index] = value;
    }

    /** Reads local memory. */
    public static long read(long[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(long[] array, int index, long value, LocalView view) {
        view.write(index, array[index] == value);
        array[index] = value;
    }

    /** Reads local memory. */
    public static byte read(byte[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(byte[] array, int index, byte value, LocalView view) {
        view.write(index, array[index] == value);
        array[index] = value;
    }

    /** Reads local memory. */
    public static Object read(Object[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(Object[] array, int index, Object value, LocalView view) {
        view.write(index, false);
        array[index] = value;
    }

    /** Adds the traffic of a run of a method to one array in local memory. */
    public static void countLocal(LocalView view, long reads, long writes) {
        if (view != null) {
            view.count(reads, writes);
        }
    }

    /** Returns the array in local memory that these elements are of; null if they are of another. */
    public static LocalArray localArray(Object elements, WorkItem item) {
        return item == null || item.group() == null ? null : item.group().localArray(elements);
    }

    /** Checks and counts a read of an array that may be in local memory. */
    public static void beforeLocalRead(Object elements, int index, WorkItem item) {
        beforeLocalRead(index, localArray(elements, item), item);
    }

    /** Checks and counts a read of a local array, if there is one. */
    public static void beforeLocalRead(int index, LocalArray array, WorkItem item) {
        if (array != null) {
            checkBounds(array, index, item);
            if (item.launch().options().watchesLocalMemory()) {
                array.read(index, item);
            }
            item.counters().local(array.index(), 1, 0);
            item.noteLocal(array, MemoryAccess.LOCAL_READ, index);
        }
    }

    /** Checks and counts a write of an array that may be in local memory. */
    public static void beforeLocalWrite(Object elements, int index, WorkItem item) {
        beforeLocalWrite(index, localArray(elements, item), item);
    }

    /** Checks and counts a write of a local array, if there is one. */
    public static void beforeLocalWrite(int index, LocalArray array, WorkItem item) {
        if (array != null) {
            checkBounds(array, index, item);
            if (item.launch().options().watchesLocalMemory()) {
                array.write(index, item, false);
            }
            item.counters().local(array.index(), 0, 1);
            item.noteLocal(array, MemoryAccess.LOCAL_WRITE, index);
        }
    }

    /** Checks and counts an atomic change of an array that may be in local memory. */
    public static void beforeLocalAtomic(int[] elements, int index, WorkItem item) {
        LocalArray array = localArray(elements, item);
        if (array != null) {
            checkBounds(array, index, item);
            if (item.launch().options().watchesLocalMemory()) {
                array.update(index, item);
            }
            item.counters().local(array.index(), 1, 1);
            item.noteLocal(array, MemoryAccess.LOCAL_ATOMIC, index);
        }
    }

    private static void checkBounds(LocalArray array, int index, WorkItem item) {
        if (index < 0 || index >= array.length()) {
            throw item.fault(
                    FaultKind.OUT_OF_BOUNDS,
                    "misses " + array.name() + ": Index " + index + " out of bounds for length " + array.length());
        }
    }
}
