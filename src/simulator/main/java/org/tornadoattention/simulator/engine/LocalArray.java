package org.tornadoattention.simulator.engine;

import java.lang.reflect.Array;
import java.util.Arrays;
import org.tornadoattention.simulator.FaultKind;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/**
 * An array in the local memory of a work-group, with the record of who touched which element since the last barrier.
 *
 * <p>The record holds stamps: the number of barriers passed, times {@link #EPOCH}, plus the work-item's id plus one,
 * plus {@link #ADDED} if it has added atomically and not written. A stamp of 0 means never; in place of the id
 * {@link #SEVERAL} means more than one reader, {@link #ATOMIC} several that have added atomically.
 */
public final class LocalArray {

    static final int EPOCH = 4096;
    static final int FIRST_EPOCH = EPOCH;
    static final int LAST_EPOCH = Integer.MAX_VALUE / EPOCH * EPOCH - EPOCH;
    static final int SEVERAL = EPOCH - 1;
    static final int ATOMIC = EPOCH - 2;
    static final int ADDED = EPOCH / 2;

    private static final float POISON_FLOAT = Float.intBitsToFloat(0x7FC0DEAD);
    private static final double POISON_DOUBLE = Double.longBitsToDouble(0x7FF8DEADDEADDEADL);
    private static final int POISON_INT = 0xDEADDEAD;
    private static final long POISON_LONG = 0xDEADDEADDEADDEADL;
    private static final byte POISON_BYTE = (byte) 0xDE;

    private final Object elements;
    private final int length;
    private final int elementBytes;
    private final int index;
    private final int[] writers;
    private final int[] readers;
    private int[][] readersOfWarps;
    private String name;
    private long offset;

    LocalArray(Class<?> arrayType, int length, int index) {
        this.elements = create(arrayType, length);
        this.length = length;
        this.elementBytes = elementBytes(arrayType);
        this.index = index;
        this.writers = new int[length];
        this.readers = new int[length];
    }

    private static Object create(Class<?> type, int length) {
        Object array = Array.newInstance(type.getComponentType(), length);
        switch (array) {
            case float[] a -> Arrays.fill(a, POISON_FLOAT);
            case double[] a -> Arrays.fill(a, POISON_DOUBLE);
            case int[] a -> Arrays.fill(a, POISON_INT);
            case long[] a -> Arrays.fill(a, POISON_LONG);
            case byte[] a -> Arrays.fill(a, POISON_BYTE);
            case HalfFloat[] a -> Arrays.fill(a, new HalfFloat(Float.NaN));
            case Half2[] a -> Arrays.fill(a, Half2.fromFloats(Float.NaN, Float.NaN));
            default -> throw new AssertionError(type);
        }
        return array;
    }

    static int elementBytes(Class<?> arrayType) {
        Class<?> component = arrayType.getComponentType();
        if (component == long.class || component == double.class) {
            return Long.BYTES;
        }
        if (component == byte.class) {
            return Byte.BYTES;
        }
        return component == HalfFloat.class ? Short.BYTES : Integer.BYTES;
    }

    Object elements() {
        return elements;
    }

    int length() {
        return length;
    }

    int elementBytes() {
        return elementBytes;
    }

    /** Returns the place in the order in which the group allocated its arrays. */
    int index() {
        return index;
    }

    /** Returns the first byte of local memory that it takes, where arrays lie in the order of their allocation. */
    long offset() {
        return offset;
    }

    void offset(long bytes) {
        offset = bytes;
    }

    /** Returns the name of the variable, or where it is not known the place in the order of allocation. */
    String name() {
        return name == null ? "local array " + index : name;
    }

    void name(String variable) {
        name = variable;
    }

    /** From now on readers are recorded by warp, each the last one, negative where there were several in an epoch. */
    void keepReaders(int warps) {
        readersOfWarps = new int[warps][];
    }

    /** Checks and records a read. */
    void read(int i, WorkItem item) {
        int base = item.epoch;
        int writer = writers[i];
        if (writer >= base ? writer != item.stamp : writer == 0) {
            suspiciousRead(i, item, writer);
        }
        if (readersOfWarps != null) {
            recordReader(i, item);
            return;
        }
        int reader = readers[i];
        if (reader != item.stamp) {
            readers[i] = reader < base ? item.stamp : base + SEVERAL;
        }
    }

    /** Checks and records a read by a warp, for which two of its work-items stand. */
    void read(int i, WorkItem first, WorkItem last) {
        int base = first.epoch;
        int writer = writers[i];
        if (writer == 0 || writer >= base && !first.warp().knows(writer)) {
            read(i, first);
            read(i, last);
        } else if (readersOfWarps != null) {
            lastReaders(first)[i] = -last.stamp;
        } else {
            readers[i] = base + SEVERAL;
        }
    }

    private int[] lastReaders(WorkItem item) {
        int warp = item.id() / Warp.SIZE;
        if (readersOfWarps[warp] == null) {
            readersOfWarps[warp] = new int[length];
        }
        return readersOfWarps[warp];
    }

    private void recordReader(int i, WorkItem item) {
        int[] lasts = lastReaders(item);
        boolean several = Math.abs(lasts[i]) / EPOCH == item.stamp / EPOCH && lasts[i] != item.stamp;
        lasts[i] = several ? -item.stamp : item.stamp;
    }

    /**
     * Checks and records a write.
     *
     * @param same whether it writes the value that is there: several may do that in one epoch
     */
    void write(int i, WorkItem item, boolean same) {
        int base = item.epoch;
        int stamp = item.stamp;
        int writer = writers[i];
        int reader = readers[i];
        boolean others = writer >= base && writer != stamp;
        if (same && others && !isOf(item, writer) && !item.warp().knows(writer)) {
            writers[i] = stamp / EPOCH * EPOCH + SEVERAL;
            return;
        }
        if (others || reader >= base && reader != stamp) {
            suspiciousWrite(i, item, writer, reader);
        }
        checkReadersOfWarps(i, item);
        writers[i] = stamp;
    }

    private void checkReadersOfWarps(int i, WorkItem item) {
        for (int w = 0; readersOfWarps != null && w < readersOfWarps.length; w++) {
            int reader = readersOfWarps[w] == null ? 0 : readersOfWarps[w][i];
            if (Math.abs(reader) >= item.epoch
                    && reader != item.stamp
                    && !item.warp().knows(Math.abs(reader))) {
                suspiciousWrite(i, item, 0, reader < 0 ? item.epoch + SEVERAL : reader);
            }
        }
    }

    /** Checks and records an atomic change: other atomic changes may come between two barriers. */
    void update(int i, WorkItem item) {
        int base = item.epoch;
        int writer = writers[i];
        int reader = readers[i];
        if (writer == 0) {
            suspiciousRead(i, item, writer);
        }
        boolean own = isOf(item, writer);
        boolean concurrent = writer >= base && !own && !item.warp().knows(writer);
        boolean added = isAddition(writer);
        if (concurrent && !added || reader >= base && reader != item.stamp) {
            suspiciousWrite(i, item, writer, reader);
        }
        checkReadersOfWarps(i, item);
        if (concurrent && added) {
            writers[i] = base + ATOMIC;
        } else if (!own) {
            writers[i] = item.stamp + ADDED;
        }
    }

    /** Whether the stamp is of atomic changes. */
    static boolean isAddition(int stamp) {
        int kind = stamp % EPOCH;
        return kind >= ADDED && kind != SEVERAL;
    }

    /** Whether the stamp is of this work-item in its present epoch, be it a write or an atomic change. */
    private static boolean isOf(WorkItem item, int stamp) {
        return stamp == item.stamp || stamp == item.stamp + ADDED;
    }

    /** The warp of the work-item that has left this stamp, or one that no group has. */
    static int warpOf(int stamp) {
        int kind = stamp % EPOCH;
        return kind >= ATOMIC ? Integer.MAX_VALUE : (kind % ADDED - 1) / Warp.SIZE;
    }

    /** Whether the stamp is of several work-items that have written the same value. */
    private static boolean isOfSeveral(int stamp) {
        return stamp % EPOCH == SEVERAL;
    }

    /** Makes room for more epochs: what was written stays known as written, and no more. */
    void forgetEpochs() {
        for (int i = 0; i < length; i++) {
            writers[i] = Math.min(writers[i], 1);
            readers[i] = 0;
        }
        if (readersOfWarps != null) {
            keepReaders(readersOfWarps.length);
        }
    }

    private void suspiciousRead(int i, WorkItem item, int writer) {
        if (writer == 0) {
            if (item.launch().options().uninitialized()) {
                throw item.fault(
                        FaultKind.UNINITIALIZED_LOCAL,
                        "reads " + name() + "[" + i + "], which no work-item of the group has written");
            }
        } else if (item.launch().options().races()
                && !isOf(item, writer)
                && !isOfSeveral(writer)
                && !item.warp().knows(writer)) {
            throw item.fault(
                    FaultKind.LOCAL_RACE,
                    "reads " + name() + "[" + i + "], which work-item " + who(item, writer)
                            + " wrote since the last barrier; put a localBarrier() between the write and the read");
        }
    }

    private void suspiciousWrite(int i, WorkItem item, int writer, int reader) {
        if (!item.launch().options().races()) {
            return;
        }
        boolean written =
                writer >= item.epoch && !isOf(item, writer) && !item.warp().knows(writer);
        boolean read =
                reader >= item.epoch && reader != item.stamp && !item.warp().knows(reader);
        if (!written && !read) {
            return;
        }
        throw item.fault(
                FaultKind.LOCAL_RACE,
                "writes " + name() + "[" + i + "], which "
                        + (written ? "work-item " + who(item, writer) + " wrote" : readBy(item, reader))
                        + " since the last barrier; put a localBarrier() between the two");
    }

    private static String readBy(WorkItem item, int reader) {
        return reader % EPOCH == SEVERAL ? "several work-items read" : "work-item " + who(item, reader) + " read";
    }

    private static String who(WorkItem item, int stamp) {
        return item.group().whoLeft(stamp);
    }
}
