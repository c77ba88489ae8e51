package org.tornadoattention.simulator.engine;

import java.util.function.IntConsumer;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.MemoryAccess;
import org.tornadoattention.simulator.SimulatorFaultException;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What instrumented kernels call. The methods are small, so that the JVM's compiler takes them into the kernel; only
 * faults leave the fast path.
 */
public final class Hooks {

    private Hooks() {}

    /** Returns the work-item that runs a kernel with this context. */
    public static WorkItem item(KernelContext context) {
        return Contexts.itemOf(context);
    }

    /** Returns the work-item that runs on this thread. */
    public static WorkItem item() {
        return WorkItem.current();
    }

    /** Returns the place of a chunk among those of a parallel loop. */
    public static int worker(WorkItem item, int dimension) {
        return item.parallel().worker(dimension);
    }

    /** Returns the number of chunks of a parallel loop. */
    public static int workers(WorkItem item, int dimension) {
        return item.parallel().workers(dimension);
    }

    /** Notes the variable of a parallel loop. */
    public static void iteration(int value, WorkItem item, int dimension) {
        item.launch().stopAfterFailure(item.turn());
        if (item.parallel().index(dimension, value)) {
            item.enterIteration();
        } else {
            item.leaveIteration();
        }
    }

    /** Notes that a loop, of which the code does not tell that it ends, has turned so often. */
    public static void turned(WorkItem item, int turns, int loop, int line, int exits) {
        item.turned(turns, loop, line, exits != 0);
    }

    /** Notes which barrier of the kernel comes next. */
    public static void barrierSite(WorkItem item, int site) {
        item.barrierSite(site);
    }

    /** Refuses to shift a negative number right without its sign, as devices keep it. */
    public static void beforeUnsignedShift(int value, int distance, WorkItem item) {
        if (value < 0 && (distance & Integer.SIZE - 1) != 0) {
            throw item.fault(
                    FaultKind.NOT_COMPILABLE,
                    "shifts the negative number " + value
                            + " by >>>, which TornadoVM takes for >> on OpenCL and CUDA; mask"
                            + " the bits that come in, as in `value >> 3 & 0x1fffffff`");
        }
    }

    /** Returns the elements of an array in device memory, as a Java array. */
    public static Object storage(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).storage();
    }

    /** Returns the record of an array in device memory that a method reads; null if no read of it can be wrong. */
    public static GlobalRecord recordForReading(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).record();
    }

    /** Returns the record of an array in device memory that a method writes. */
    public static GlobalRecord recordForWriting(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).recordForWriting();
    }

    /** Checks a read of device memory. */
    public static void read(int index, GlobalRecord record, WorkItem item) {
        if (record != null) {
            record.read(index, item);
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(float[] array, int index, float value, GlobalRecord record, WorkItem item) {
        if (value != value) {
            record.writesNaN(index, item);
        }
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, Float.floatToRawIntBits(array[index]) == Float.floatToRawIntBits(value));
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, Float.floatToRawIntBits(array[index]) == Float.floatToRawIntBits(value));
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(double[] array, int index, double value, GlobalRecord record, WorkItem item) {
        if (value != value) {
            record.writesNaN(index, item);
        }
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, Double.doubleToRawLongBits(array[index]) == Double.doubleToRawLongBits(value));
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, Double.doubleToRawLongBits(array[index]) == Double.doubleToRawLongBits(value));
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(int[] array, int index, int value, GlobalRecord record, WorkItem item) {
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, array[index] == value);
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, array[index] == value);
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(long[] array, int index, long value, GlobalRecord record, WorkItem item) {
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, array[index] == value);
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, array[index] == value);
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(short[] array, int index, short value, GlobalRecord record, WorkItem item) {
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, array[index] == value);
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, array[index] == value);
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(char[] array, int index, char value, GlobalRecord record, WorkItem item) {
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, array[index] == value);
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, array[index] == value);
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(byte[] array, int index, byte value, GlobalRecord record, WorkItem item) {
        long writer = record.writer(index);
        boolean contested = record.isContested(index, writer, item);
        if (contested) {
            record.contest(index, item, array[index] == value);
        }
        array[index] = value;
        if (!contested && !record.claim(index, writer, item)) {
            record.contest(index, item, array[index] == value);
        }
    }

    /** Returns a half from its bit pattern. */
    public static HalfFloat half(short bits) {
        return new HalfFloat(bits);
    }

    /** Adds the traffic of a run of a method to one array in device memory. */
    public static void countGlobal(TornadoNativeArray array, long reads, long writes, WorkItem item) {
        item.counters().global(NativeArrays.deviceArray(array).slot(), reads, writes);
    }

    /** Checks and counts a read of {@code count} elements of an array that is only known when the kernel runs. */
    public static void beforeGet(TornadoNativeArray array, int index, int count, WorkItem item) {
        DeviceArray device = NativeArrays.deviceArray(array);
        if (device == null || item == null || item == WorkItem.OUTSIDE) {
            return;
        }
        checkBounds(device, index, count, item);
        if (item.launch().options().watchesDeviceMemory()) {
            GlobalRecord record = device.record();
            for (int i = index; i < index + count; i++) {
                read(i, record, item);
            }
        }
        item.counters().global(device.slot(), count, 0);
        item.noteGlobal(device, MemoryAccess.GLOBAL_READ, index, count);
    }

    /** Checks and counts an atomic change of an element in device memory. */
    static void beforeAtomic(TornadoNativeArray array, int index, WorkItem item) {
        DeviceArray device = NativeArrays.deviceArray(array);
        checkBounds(device, index, 1, item);
        if (item.launch().options().watchesDeviceMemory()) {
            device.recordForWriting().update(index, item);
        }
        item.counters().global(device.slot(), 1, 1);
        item.noteGlobal(device, MemoryAccess.GLOBAL_ATOMIC, index, 1);
    }

    /**
     * Records and counts a write of {@code count} elements of an array that is only known when the kernel runs, and
     * that the caller does next. What it writes is not known, so no write of others is held against it.
     */
    public static void beforeSet(TornadoNativeArray array, int index, int count, WorkItem item) {
        set(array, index, count, item, _ -> true, _ -> {});
    }

    /**
     * Checks, counts and does a write of {@code count} elements; {@code holds} knows which of them hold the new value.
     */
    static void set(
            TornadoNativeArray array, int index, int count, WorkItem item, IntPredicate holds, IntConsumer write) {
        DeviceArray device = NativeArrays.deviceArray(array);
        if (device == null || item == null || item == WorkItem.OUTSIDE) {
            IntStream.range(index, index + count).forEach(write);
            return;
        }
        checkBounds(device, index, count, item);
        GlobalRecord record = item.launch().options().watchesDeviceMemory() ? device.recordForWriting() : null;
        for (int i = index; i < index + count; i++) {
            if (record == null) {
                write.accept(i);
            } else {
                set(i, record, item, holds, write);
            }
        }
        item.counters().global(device.slot(), 0, count);
        item.noteGlobal(device, MemoryAccess.GLOBAL_WRITE, index, count);
    }

    private static void set(int i, GlobalRecord record, WorkItem item, IntPredicate holds, IntConsumer write) {
        long writer = record.writer(i);
        boolean contested = record.isContested(i, writer, item);
        if (contested) {
            record.contest(i, item, holds.test(i));
        }
        write.accept(i);
        if (!contested && !record.claim(i, writer, item)) {
            record.contest(i, item, holds.test(i));
        }
    }

    /** Returns the fault for an index that missed the array in the variable {@code name}. */
    public static SimulatorFaultException outOfBounds(IndexOutOfBoundsException thrown, String name, WorkItem item) {
        return new SimulatorFaultException(
                FaultKind.OUT_OF_BOUNDS,
                item.where(SourceLine.of(thrown.getStackTrace())) + "misses " + name + ": " + thrown.getMessage(),
                thrown);
    }

    private static void checkBounds(DeviceArray device, int index, int count, WorkItem item) {
        int size = device.host().getSize();
        if (index < 0 || index > size - count) {
            throw item.fault(
                    FaultKind.OUT_OF_BOUNDS,
                    "misses " + item.launch().arrayName(device) + ": Index "
                            + (index < 0 ? index : Math.max(index, size)) + " out of bounds for length " + size);
        }
    }
}
