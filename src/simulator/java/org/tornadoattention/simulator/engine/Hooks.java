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

    /** Returns, for each element of an array in device memory, whether it holds something; null if all do. */
    public static byte[] validity(TornadoNativeArray array) {
        return NativeArrays.deviceArray(array).validity();
    }

    /** Returns the work-item's record of a local array that was just allocated in the variable {@code name}. */
    public static LocalView local(Object elements, String name, WorkItem item) {
        LocalArray array = item.group().localArray(elements);
        array.name(name);
        return new LocalView(array, item);
    }

    /** Checks a read of device memory; {@code validity} tells which elements hold something. */
    public static void read(int index, byte[] validity, WorkItem item) {
        if (validity != null && validity[index] == 0) {
            throw neverWritten(item, item.launch().arrayWithValidity(validity), index);
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(float[] array, int index, float value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(double[] array, int index, double value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(int[] array, int index, int value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(long[] array, int index, long value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(short[] array, int index, short value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(char[] array, int index, char value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Writes to device memory and notes that the element holds something. */
    public static void put(byte[] array, int index, byte value, byte[] validity) {
        array[index] = value;
        if (validity != null) {
            validity[index] = 1;
        }
    }

    /** Reads local memory. */
    public static float read(float[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(float[] array, int index, float value, LocalView view) {
        view.write(index);
        array[index] = value;
    }

    /** Reads local memory. */
    public static double read(double[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(double[] array, int index, double value, LocalView view) {
        view.write(index);
        array[index] = value;
    }

    /** Reads local memory. */
    public static int read(int[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(int[] array, int index, int value, LocalView view) {
        view.write(index);
        array[index] = value;
    }

    /** Reads local memory. */
    public static long read(long[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(long[] array, int index, long value, LocalView view) {
        view.write(index);
        array[index] = value;
    }

    /** Reads local memory. */
    public static byte read(byte[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(byte[] array, int index, byte value, LocalView view) {
        view.write(index);
        array[index] = value;
    }

    /** Reads local memory. */
    public static Object read(Object[] array, int index, LocalView view) {
        view.read(index);
        return array[index];
    }

    /** Writes local memory. */
    public static void write(Object[] array, int index, Object value, LocalView view) {
        view.write(index);
        array[index] = value;
    }

    /** Returns a half from its bit pattern. */
    public static HalfFloat half(short bits) {
        return new HalfFloat(bits);
    }

    /** Adds the traffic of a run of a method to one array in device memory. */
    public static void countGlobal(TornadoNativeArray array, long reads, long writes, WorkItem item) {
        item.counters().global(NativeArrays.deviceArray(array).slot(), reads, writes);
    }

    /** Adds the traffic of a run of a method to one array in local memory. */
    public static void countLocal(LocalView view, long reads, long writes) {
        if (view != null) {
            view.count(reads, writes);
        }
    }

    /** Checks and counts a read of {@code count} elements of an array that is only known when the kernel runs. */
    public static void beforeGet(TornadoNativeArray array, int index, int count, WorkItem item) {
        DeviceArray device = NativeArrays.deviceArray(array);
        if (device == null || item == null || item == WorkItem.OUTSIDE) {
            return;
        }
        checkBounds(device, index, count, item);
        if (item.launch().options().transfers() && !device.allValid()) {
            byte[] validity = device.validity();
            for (int i = index; i < index + count; i++) {
                if (validity[i] == 0) {
                    throw neverWritten(item, device, i);
                }
            }
        }
        item.counters().global(device.slot(), count, 0);
    }

    /** Checks and counts a write of {@code count} elements of an array that is only known when the kernel runs. */
    public static void beforeSet(TornadoNativeArray array, int index, int count, WorkItem item) {
        DeviceArray device = NativeArrays.deviceArray(array);
        if (device == null || item == null || item == WorkItem.OUTSIDE) {
            return;
        }
        checkBounds(device, index, count, item);
        if (item.launch().options().transfers() && !device.allValid()) {
            Arrays.fill(device.validity(), index, index + count, (byte) 1);
        }
        item.counters().global(device.slot(), 0, count);
    }

    /** Checks and counts a read of an array that may be in local memory. */
    public static void beforeLocalRead(Object elements, int index, WorkItem item) {
        LocalArray array = localArray(elements, index, item);
        if (array != null) {
            if (item.launch().options().watchesLocalMemory()) {
                array.read(index, item);
            }
            item.counters().local(array.index(), 1, 0);
        }
    }

    /** Checks and counts a write of an array that may be in local memory. */
    public static void beforeLocalWrite(Object elements, int index, WorkItem item) {
        LocalArray array = localArray(elements, index, item);
        if (array != null) {
            if (item.launch().options().watchesLocalMemory()) {
                array.write(index, item);
            }
            item.counters().local(array.index(), 0, 1);
        }
    }

    /** Checks and counts an atomic change of an array that may be in local memory. */
    public static void beforeLocalAtomic(int[] elements, int index, WorkItem item) {
        LocalArray array = localArray(elements, index, item);
        if (array != null) {
            if (item.launch().options().watchesLocalMemory()) {
                array.update(index, item);
            }
            item.counters().local(array.index(), 1, 1);
        }
    }

    /** Returns the fault for an index that missed the array in the variable {@code name}. */
    public static SimulatorFaultException outOfBounds(IndexOutOfBoundsException thrown, String name, WorkItem item) {
        return new SimulatorFaultException(
                FaultKind.OUT_OF_BOUNDS,
                item.where(SourceLine.of(thrown.getStackTrace())) + "misses " + name + ": " + thrown.getMessage(),
                thrown);
    }

    private static LocalArray localArray(Object elements, int index, WorkItem item) {
        if (item == null || item.group() == null) {
            return null;
        }
        LocalArray array = item.group().localArray(elements);
        if (array != null && (index < 0 || index >= array.length())) {
            throw item.fault(
                    FaultKind.OUT_OF_BOUNDS,
                    "misses " + array.name() + ": Index " + index + " out of bounds for length " + array.length());
        }
        return array;
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

    private static SimulatorFaultException neverWritten(WorkItem item, DeviceArray array, int index) {
        String name = item.launch().arrayName(array);
        return item.fault(
                FaultKind.NOT_ON_DEVICE,
                "reads " + name + "[" + index + "], which was neither transferred to the device nor written there;"
                        + " name the array in transferToDevice(...), or have a kernel write the element first");
    }
}
