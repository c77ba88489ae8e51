package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import org.tornadoattention.simulator.FaultKind;

/**
 * What instrumented kernels call to reach arrays of the work-item's own; see {@link Hooks}. A device does not zero
 * them, so that an element holds a mark until it is written. Bytes, shorts and chars have no room for one.
 */
public final class PrivateHooks {

    /** A NaN that no computation gives. */
    private static final int FLOAT_MARK = 0x7FC5A5E1;

    private static final long DOUBLE_MARK = 0x7FF8_A5E1_5A1E_C0DEL;
    private static final int INT_MARK = 0xA5E1_5A1E;
    private static final long LONG_MARK = 0xA5E1_5A1E_C0DE_1E5AL;

    private PrivateHooks() {}

    /** Marks the elements of a new array as never written. */
    public static void mark(float[] array) {
        Arrays.fill(array, Float.intBitsToFloat(FLOAT_MARK));
    }

    /** Reads an element. */
    public static float read(float[] array, int index, String name, WorkItem item) {
        float value = array[index];
        if (Float.floatToRawIntBits(value) == FLOAT_MARK) {
            neverWritten(array, index, name, item);
        }
        return value;
    }

    /** Marks the elements of a new array as never written. */
    public static void mark(double[] array) {
        Arrays.fill(array, Double.longBitsToDouble(DOUBLE_MARK));
    }

    /** Reads an element. */
    public static double read(double[] array, int index, String name, WorkItem item) {
        double value = array[index];
        if (Double.doubleToRawLongBits(value) == DOUBLE_MARK) {
            neverWritten(array, index, name, item);
        }
        return value;
    }

    /** Marks the elements of a new array as never written. */
    public static void mark(int[] array) {
        Arrays.fill(array, INT_MARK);
    }

    /** Reads an element. */
    public static int read(int[] array, int index, String name, WorkItem item) {
        int value = array[index];
        if (value == INT_MARK) {
            neverWritten(array, index, name, item);
        }
        return value;
    }

    /** Marks the elements of a new array as never written. */
    public static void mark(long[] array) {
        Arrays.fill(array, LONG_MARK);
    }

    /** Reads an element. */
    public static long read(long[] array, int index, String name, WorkItem item) {
        long value = array[index];
        if (value == LONG_MARK) {
            neverWritten(array, index, name, item);
        }
        return value;
    }

    /** Looks at a number that is about to be written: one that looks like the mark makes marks worthless. */
    public static void beforeWrite(int value, WorkItem item) {
        if (value == INT_MARK) {
            item.writesMark();
        }
    }

    /** Looks at a number that is about to be written: one that looks like the mark makes marks worthless. */
    public static void beforeWrite(long value, WorkItem item) {
        if (value == LONG_MARK) {
            item.writesMark();
        }
    }

    private static void neverWritten(Object array, int index, String name, WorkItem item) {
        boolean inKernel =
                item != null && item.launch() != null && item.launch().options().uninitialized();
        boolean inLocalMemory = inKernel && item.group() != null && item.group().localArray(array) != null;
        if (!inKernel || inLocalMemory || item.hasWrittenMark()) {
            return;
        }
        throw item.fault(
                FaultKind.UNINITIALIZED_PRIVATE,
                "reads " + name + "[" + index
                        + "] before it has written it; Java fills new arrays with zeros, TornadoVM does"
                        + " not: write every element first");
    }
}
