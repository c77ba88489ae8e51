package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.tornadoattention.simulator.FaultKind;

/**
 * Who touched which element of an array in device memory during the launch under way.
 *
 * <p>A work-item leaves its {@linkplain WorkItem#tag tag}: in the upper half its group or chunk, in the lower half its
 * stamp of {@link LocalArray}, or in a parallel loop the number of the iteration. What another group has left, and what
 * another work-item of the own group has left since the last barrier, is not ordered with what a work-item does now.
 */
public final class GlobalRecord {

    /** No one has touched the element in this launch, and it holds something. */
    private static final long UNTOUCHED = 0;

    /** Among writers: nothing was ever written to the element. */
    private static final long NEVER = -1;

    /** Among writers: the host has changed the element since it was transferred. */
    private static final long STALE = -2;

    /**
     * Among writers: no one may write the element. The three say what would be there otherwise; their part is one that
     * no group has, so that whoever writes comes to {@link #contest}.
     */
    private static final long FORBIDDEN = (long) Integer.MAX_VALUE << Integer.SIZE | 1;

    private static final long FORBIDDEN_NEVER = FORBIDDEN + 1;
    private static final long FORBIDDEN_STALE = FORBIDDEN + 2;

    /** Among readers: several groups or chunks. */
    private static final long SEVERAL_PARTS = -1;

    /** Among writers: work-items of several groups have added atomically. */
    private static final long ADDED_BY_SEVERAL_PARTS = (long) Integer.MAX_VALUE << Integer.SIZE | LocalArray.ATOMIC;

    /** Among writers: work-items of several groups have written the same value, which each of them may read. */
    private static final long WRITTEN_ALIKE_BY_SEVERAL_PARTS = FORBIDDEN + 3;

    private static final VarHandle WRITERS = MethodHandles.arrayElementVarHandle(long[].class);

    /** By element, who wrote it last. */
    private final long[] writers;

    private final DeviceArray array;
    /** By element, who read it; null if the kernel does not both read and write the array. */
    private long[] readers;

    GlobalRecord(DeviceArray array, boolean holdsSomething) {
        this.array = array;
        this.writers = new long[array.host().getSize()];
        if (!holdsSomething) {
            Arrays.fill(writers, NEVER);
        }
    }

    void keepReaders() {
        if (readers == null) {
            readers = new long[writers.length];
        }
    }

    /** Notes that all elements hold something now. */
    void filled() {
        Arrays.fill(writers, UNTOUCHED);
    }

    /** Notes that the host has changed an element, of which the device has the old value. */
    void stale(int index) {
        writers[index] = STALE;
    }

    /** Begins a launch in which an element may not be written. */
    void forbid(int index) {
        writers[index] = switch ((int) writers[index]) {
            case (int) NEVER -> FORBIDDEN_NEVER;
            case (int) STALE -> FORBIDDEN_STALE;
            case (int) UNTOUCHED -> FORBIDDEN;
            default -> writers[index];
        };
    }

    /** Notes that the host has the device's content again; returns whether all elements hold something. */
    boolean agree() {
        boolean complete = true;
        for (int i = 0; i < writers.length; i++) {
            writers[i] = writers[i] == STALE ? UNTOUCHED : writers[i];
            complete &= writers[i] != NEVER;
        }
        return complete;
    }

    /** Makes this launch something of the past; returns whether all elements hold something, and nothing old. */
    boolean close() {
        boolean complete = true;
        for (int i = 0; i < writers.length; i++) {
            writers[i] = withoutLaunch(writers[i]);
            complete &= writers[i] == UNTOUCHED;
        }
        readers = null;
        return complete;
    }

    private static long withoutLaunch(long writer) {
        if (writer == NEVER || writer == FORBIDDEN_NEVER) {
            return NEVER;
        }
        return writer == STALE || writer == FORBIDDEN_STALE ? STALE : UNTOUCHED;
    }

    private static boolean isForbidden(long writer) {
        return writer >= FORBIDDEN && writer <= FORBIDDEN_STALE;
    }

    /** Makes all that a group has done so far something that came before a barrier. */
    void forgetEpochs(int part) {
        for (int i = 0; i < writers.length; i++) {
            writers[i] = beforeAllEpochs(writers[i], part);
            if (readers != null) {
                readers[i] = beforeAllEpochs(readers[i], part);
            }
        }
    }

    private static long beforeAllEpochs(long tag, int part) {
        return partOf(tag) == part ? (long) part << Integer.SIZE | 1 : tag;
    }

    /** Checks and records a read. */
    void read(int index, WorkItem item) {
        long writer = writers[index];
        if (writer != UNTOUCHED && writer != item.tag && item.isConcurrent(writer)) {
            suspiciousRead(index, item, writer);
        }
        long[] known = readers;
        if (known != null && known[index] != item.tag) {
            known[index] = withReader(known[index], item);
        }
    }

    private static long withReader(long before, WorkItem item) {
        if (before == UNTOUCHED || !item.isConcurrent(before)) {
            return item.tag;
        }
        return partOf(before) == item.part ? item.tagOfSeveral() : SEVERAL_PARTS;
    }

    /** Looks whether NaN that is about to be written comes from NaN or infinity that the kernel was given. */
    void writesNaN(int index, WorkItem item) {
        if (item.launch().options().numbers() && item.launch().gotFiniteNumbers()) {
            throw item.fault(
                    FaultKind.NOT_A_NUMBER,
                    "writes NaN to " + element(index, item)
                            + ", and all that the kernel was given is finite: it comes from"
                            + " 0/0, from infinity minus infinity, or from a root or logarithm. A row of a softmax that sees"
                            + " nothing has both: its maximum is -infinity and its sum 0");
        }
    }

    long writer(int index) {
        return writers[index];
    }

    /** Whether a write after that of {@code writer} would not be ordered with what others did. */
    boolean isContested(int index, long writer, WorkItem item) {
        if (writer > UNTOUCHED && writer != item.tag && item.isConcurrent(writer)
                || readers != null && isReadByOthers(readers[index], item)) {
            // Who has left a tag wrote the value before it.
            VarHandle.acquireFence();
            return true;
        }
        return false;
    }

    /**
     * Records a write that was not contested, after it was done; returns whether nobody on another thread has come
     * between since {@code writer} was the last.
     */
    boolean claim(int index, long writer, WorkItem item) {
        return replace(index, writer, item.tag);
    }

    private boolean replace(int index, long writer, long tag) {
        return writer == tag || WRITERS.compareAndSet(writers, index, writer, tag);
    }

    private static boolean isReadByOthers(long reader, WorkItem item) {
        return reader != UNTOUCHED && reader != item.tag && item.isConcurrent(reader);
    }

    /** Checks and records a contested write; {@code same} if it changes nothing, which harms nobody. */
    void contest(int index, WorkItem item, boolean same) {
        long writer;
        do {
            writer = writers[index];
        } while (!replace(index, writer, tagAfterContest(index, writer, item, same)));
    }

    private long tagAfterContest(int index, long writer, WorkItem item, boolean same) {
        checkAllowed(index, item, writer);
        boolean written = writer > UNTOUCHED && !isOrdered(writer, item);
        if (!same && item.launch().options().races()) {
            if (written) {
                throw item.fault(
                        FaultKind.GLOBAL_RACE,
                        "writes " + element(index, item) + ", to which " + who(writer, item) + " wrote another value "
                                + when(writer, item) + "; let one of them own the element, or use atomicAdd");
            }
            if (readers != null && isReadByOthers(readers[index], item) && !isOrdered(readers[index], item)) {
                throw item.fault(
                        FaultKind.GLOBAL_RACE,
                        "writes " + element(index, item) + ", which " + who(readers[index], item) + " read "
                                + when(readers[index], item) + "; "
                                + advice(readers[index], item, "write to another array, or in a second task"));
            }
        }
        return same && written ? tagOfAlike(writer, item) : item.tag;
    }

    private static long tagOfAlike(long writer, WorkItem item) {
        return partOf(writer) == item.part ? item.tagOfSeveral() : WRITTEN_ALIKE_BY_SEVERAL_PARTS;
    }

    private void checkAllowed(int index, WorkItem item, long writer) {
        if (isForbidden(writer)) {
            throw item.fault(
                    FaultKind.WRITE_OUTSIDE,
                    "writes " + element(index, item) + "; allowed is " + array.writeLimits()
                            + ", by Simulator.allowWrites");
        }
    }

    /** Checks and records an atomic change: atomic changes of others do no harm. */
    void update(int index, WorkItem item) {
        long writer;
        do {
            writer = writers[index];
        } while (!replace(index, writer, tagAfterUpdate(index, writer, item)));
    }

    private long tagAfterUpdate(int index, long writer, WorkItem item) {
        checkAllowed(index, item, writer);
        if (writer == NEVER || writer == STALE) {
            suspiciousRead(index, item, writer);
        }
        boolean races = item.launch().options().races();
        boolean own = isOwn(writer, item);
        boolean concurrent = writer > UNTOUCHED && !own && item.isConcurrent(writer) && !isOrdered(writer, item);
        boolean added = LocalArray.isAddition((int) writer);
        if (races && concurrent && !added) {
            throw item.fault(
                    FaultKind.GLOBAL_RACE,
                    "adds atomically to " + element(index, item) + ", to which " + who(writer, item) + " wrote "
                            + when(writer, item) + "; "
                            + advice(writer, item, "only a task before this one can set it safely"));
        }
        if (races && readers != null && isReadByOthers(readers[index], item) && !isOrdered(readers[index], item)) {
            throw item.fault(
                    FaultKind.GLOBAL_RACE,
                    "adds atomically to " + element(index, item) + ", which " + who(readers[index], item) + " read "
                            + when(readers[index], item) + "; "
                            + advice(readers[index], item, "only a second task can read it safely"));
        }
        if (concurrent) {
            return partOf(writer) == item.part ? item.tagOfSeveralAdders() : ADDED_BY_SEVERAL_PARTS;
        }
        return own ? writer : item.tagOfAdder();
    }

    private void suspiciousRead(int index, WorkItem item, long writer) {
        if (writer == FORBIDDEN || writer == WRITTEN_ALIKE_BY_SEVERAL_PARTS) {
            return;
        }
        if (writer == STALE || writer == FORBIDDEN_STALE) {
            if (item.launch().options().transfers()) {
                throw item.fault(
                        FaultKind.STALE_ON_DEVICE,
                        "reads " + element(index, item) + ", which the host has changed since; the device still has the"
                                + " value of the first execution, for FIRST_EXECUTION transfers no second time: transfer"
                                + " the array with EVERY_EXECUTION, or have a kernel change it");
            }
        } else if (writer == NEVER || writer == FORBIDDEN_NEVER) {
            if (item.launch().options().transfers()) {
                throw item.fault(
                        FaultKind.NOT_ON_DEVICE,
                        "reads " + element(index, item) + ", which was neither transferred to the device nor written"
                                + " there; name the array in transferToDevice(...), or have a kernel write the element"
                                + " first");
            }
        } else if (item.launch().options().races()
                && !isOrdered(writer, item)
                && !(partOf(writer) == item.part && item.isTagOfSeveral(writer))) {
            throw item.fault(
                    FaultKind.GLOBAL_RACE,
                    "reads " + element(index, item) + ", which " + who(writer, item)
                            + (partOf(writer) == item.part
                                    ? " wrote "
                                    : isOfSeveralParts(writer) ? " write " : " writes ")
                            + when(writer, item) + "; "
                            + advice(writer, item, "only a second task can read it safely"));
        }
    }

    /** Whether what left a concurrent tag came before after all, or was the work-item itself. */
    private static boolean isOrdered(long tag, WorkItem item) {
        if (partOf(tag) != item.part) {
            return item.group() != null && item.warp().knows(partOf(tag), (int) tag);
        }
        return isOwn(tag, item)
                || item.isTagOfSeveral(tag)
                        && item.group() != null
                        && item.group().keepsWarpTime()
                || item.group() != null && item.warp().knows((int) tag);
    }

    private static boolean isOwn(long tag, WorkItem item) {
        return tag == item.tag || tag == item.tagOfAdder();
    }

    private static int partOf(long tag) {
        return (int) (tag >>> Integer.SIZE);
    }

    private String element(int index, WorkItem item) {
        return item.launch().arrayName(array) + "[" + index + "]";
    }

    private static String who(long tag, WorkItem item) {
        int part = partOf(tag);
        if (part == item.part) {
            return item.group() == null
                    ? "another iteration"
                    : "work-item " + item.group().whoLeft((int) tag);
        }
        return isOfSeveralParts(tag)
                ? item.launch().severalParts()
                : item.launch().partName(part);
    }

    private static boolean isOfSeveralParts(long tag) {
        return tag == SEVERAL_PARTS || tag == ADDED_BY_SEVERAL_PARTS || tag == WRITTEN_ALIKE_BY_SEVERAL_PARTS;
    }

    private static String when(long tag, WorkItem item) {
        return partOf(tag) == item.part && item.group() != null ? "since the last barrier" : "in the same launch";
    }

    private static String advice(long tag, WorkItem item, String betweenParts) {
        return partOf(tag) == item.part && item.group() != null
                ? "put a globalBarrier() between the two"
                : betweenParts;
    }
}
