package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import org.tornadoattention.simulator.FaultKind;
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

    /** Notes the variable of a parallel loop, for messages. */
    public static void iteration(int value, WorkItem item, int dimension) {
        item.parallel().index(dimension, value);
    }

    /** Notes which barrier of the kernel comes next. */
    public static void barrierSite(WorkItem item, int site) {
        item.barrierSite(site);
    }

    /** Returns the elements of an array in device memory, as a Java array. */
    public static Object storage(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).storage();
    }

    /** Returns the record of the elements of an array in device memory; null if all hold something. */
    public static int[] recordForReading(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).recordForReading();
    }

    /** Returns the record of the elements of an array in device memory. */
    public static int[] recordForWriting(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).recordForWriting();
    }

    /** Checks a read of device memory. */
    public static void read(int index, int[] record, WorkItem item) {
        if (record != null) {
            int written = record[index];
            if (written >= DeviceArray.NEVER && written != item.part) {
                suspiciousRead(index, record, item);
            }
        }
    }

    /** Checks a write to device memory and does it. */
    public static void put(float[] array, int index, float value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0
                && before != item.part
                && Float.floatToRawIntBits(array[index]) != Float.floatToRawIntBits(value)) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
    }

    /** Checks a write to device memory and does it. */
    public static void put(double[] array, int index, double value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0
                && before != item.part
                && Double.doubleToRawLongBits(array[index]) != Double.doubleToRawLongBits(value)) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
    }

    /** Checks a write to device memory and does it. */
    public static void put(int[] array, int index, int value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0 && before != item.part && array[index] != value) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
    }

    /** Checks a write to device memory and does it. */
    public static void put(long[] array, int index, long value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0 && before != item.part && array[index] != value) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
    }

    /** Checks a write to device memory and does it. */
    public static void put(short[] array, int index, short value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0 && before != item.part && array[index] != value) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
    }

    /** Checks a write to device memory and does it. */
    public static void put(char[] array, int index, char value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0 && before != item.part && array[index] != value) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
    }

    /** Checks a write to device memory and does it. */
    public static void put(byte[] array, int index, byte value, int[] record, WorkItem item) {
        int before = record[index];
        if (before > 0 && before != item.part && array[index] != value) {
            suspiciousPut(index, record, item);
        }
        array[index] = value;
        record[index] = item.part;
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
            int[] record = device.recordForReading();
            for (int i = index; i < index + count; i++) {
                read(i, record, item);
            }
        }
        item.counters().global(device.slot(), count, 0);
    }

    /** Checks and counts an atomic change of an element in device memory. */
    static void beforeAtomic(TornadoNativeArray array, int index, WorkItem item) {
        DeviceArray device = NativeArrays.deviceArray(array);
        checkBounds(device, index, 1, item);
        if (item.launch().options().transfers()) {
            int[] record = device.recordForReading();
            if (record != null && record[index] == DeviceArray.NEVER) {
                suspiciousRead(index, record, item);
            }
        }
        item.counters().global(device.slot(), 1, 1);
    }

    /** Checks and counts a write of {@code count} elements of an array that is only known when the kernel runs. */
    public static void beforeSet(TornadoNativeArray array, int index, int count, WorkItem item) {
        DeviceArray device = NativeArrays.deviceArray(array);
        if (device == null || item == null || item == WorkItem.OUTSIDE) {
            return;
        }
        checkBounds(device, index, count, item);
        if (item.launch().options().watchesDeviceMemory()) {
            Arrays.fill(device.recordForWriting(), index, index + count, item.part);
        }
        item.counters().global(device.slot(), 0, count);
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

    private static void suspiciousRead(int index, int[] record, WorkItem item) {
        String name = item.launch().arrayName(item.launch().arrayWithRecord(record));
        if (record[index] > 0) {
            if (item.launch().options().races()) {
                throw item.fault(
                        FaultKind.GLOBAL_RACE,
                        "reads " + name + "[" + index + "], which "
                                + item.launch().partName(record[index])
                                + " writes in the same launch; only a second task can read it safely");
            }
        } else if (item.launch().options().transfers()) {
            throw item.fault(
                    FaultKind.NOT_ON_DEVICE,
                    "reads " + name + "[" + index + "], which was neither transferred to the device nor written there;"
                            + " name the array in transferToDevice(...), or have a kernel write the element first");
        }
    }

    private static void suspiciousPut(int index, int[] record, WorkItem item) {
        if (item.launch().options().races()) {
            throw item.fault(
                    FaultKind.GLOBAL_RACE,
                    "writes " + item.launch().arrayName(item.launch().arrayWithRecord(record)) + "[" + index
                            + "], to which " + item.launch().partName(record[index])
                            + " wrote another value in the same launch; let one of them own the element, or use"
                            + " atomicAdd");
        }
    }
}
