package org.tornadoattention.simulator.engine;

import java.lang.foreign.MemorySegment;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;
import uk.ac.manchester.tornado.api.exceptions.TornadoOutOfMemoryException;
import uk.ac.manchester.tornado.api.types.arrays.BFloat16Array;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.CharArray;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FP8Array;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.Int8Array;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The copy of a native array in the memory of the simulated device.
 *
 * <p>The elements are on the Java heap, where compiled kernels reach them best. Memory that nothing was written to holds
 * a pattern that is NaN in every floating-point format.
 */
public final class DeviceArray {

    private static final byte POISON = (byte) 0xFF;

    private final TornadoNativeArray host;
    private final TornadoNativeArray twin;
    private final Object storage;
    private volatile GlobalRecord record;
    private boolean watched;
    private boolean allValid;
    private boolean newerThanHost;
    private String lastWriter;
    private HostGuard guard;
    private int slot;

    DeviceArray(TornadoNativeArray host) {
        this.host = host;
        try {
            this.storage = allocateStorage(host);
        } catch (OutOfMemoryError e) {
            TornadoOutOfMemoryException failure = new TornadoOutOfMemoryException("The Java heap has no room for the "
                    + host.getNumBytesOfSegment() + " bytes of a device array; give the JVM more with -Xmx");
            failure.initCause(e);
            throw failure;
        }
        this.twin = NativeArrays.twin(host, segment(), this);
        segment().fill(POISON);
    }

    private static Object allocateStorage(TornadoNativeArray array) {
        int size = array.getSize();
        return switch (array) {
            case FloatArray _ -> new float[size];
            case DoubleArray _ -> new double[size];
            case IntArray _ -> new int[size];
            case LongArray _ -> new long[size];
            case CharArray _ -> new char[size];
            case ShortArray _, HalfFloatArray _, BFloat16Array _ -> new short[size];
            case ByteArray _, Int8Array _, FP8Array _ -> new byte[size];
        };
    }

    TornadoNativeArray host() {
        return host;
    }

    /** Returns the array that kernels get in place of the host's. */
    TornadoNativeArray twin() {
        return twin;
    }

    /** Returns the elements, as a Java array. */
    Object storage() {
        return storage;
    }

    /**
     * Begins a launch.
     *
     * @param watch whether anything is to be recorded
     * @param written whether the kernel may write the array
     * @param both whether it may read it too
     */
    void beginLaunch(boolean watch, boolean written, boolean both) {
        watched = watch;
        if (watch && (written || !allValid)) {
            GlobalRecord kept = recordForWriting();
            if (both) {
                kept.keepReaders();
            }
        } else if (allValid) {
            record = null;
        }
    }

    /** Ends what {@link #beginLaunch} began, however the launch went. */
    void endLaunch() {
        if (watched && record != null) {
            allValid = record.close();
        }
        watched = false;
    }

    /** Returns the record of the launch under way, or null if the kernel does not write the array and it has no gaps. */
    GlobalRecord record() {
        return record;
    }

    /** Returns the record of the launch under way. */
    GlobalRecord recordForWriting() {
        GlobalRecord known = record;
        return known == null ? createRecord() : known;
    }

    private synchronized GlobalRecord createRecord() {
        if (record == null) {
            record = new GlobalRecord(this, allValid);
        }
        return record;
    }

    boolean allValid() {
        return allValid;
    }

    long bytes() {
        return host.getNumBytesOfSegmentWithHeader();
    }

    /** Returns the index of the array among those of the launch under way. */
    int slot() {
        return slot;
    }

    void slot(int newSlot) {
        slot = newSlot;
    }

    long copyIn() {
        segment().copyFrom(NativeArrays.content(host));
        markValid();
        inStepWithHost();
        return host.getNumBytesOfSegment();
    }

    long copyOut(long offset, long bytes) {
        MemorySegment.copy(segment(), offset, NativeArrays.content(host), offset, bytes);
        inStepWithHost();
        return bytes;
    }

    long copyOut() {
        return copyOut(0, host.getNumBytesOfSegment());
    }

    /** Notes that a kernel wrote to the array. */
    void written(String task) {
        newerThanHost = true;
        lastWriter = task;
        allValid |= record == null;
    }

    /** Has host reads fail while the newest content is here. */
    void guardHost() {
        if (newerThanHost) {
            guard = new StaleGuard(host, lastWriter);
            NativeArrays.guard(host, guard);
        }
    }

    private void inStepWithHost() {
        newerThanHost = false;
        if (NativeArrays.guard(host) == guard) {
            NativeArrays.guard(host, null);
        }
        guard = null;
    }

    private void markValid() {
        allValid = true;
        if (record != null) {
            record.filled();
        }
    }

    private MemorySegment segment() {
        return switch (storage) {
            case float[] a -> MemorySegment.ofArray(a);
            case double[] a -> MemorySegment.ofArray(a);
            case int[] a -> MemorySegment.ofArray(a);
            case long[] a -> MemorySegment.ofArray(a);
            case char[] a -> MemorySegment.ofArray(a);
            case short[] a -> MemorySegment.ofArray(a);
            case byte[] a -> MemorySegment.ofArray(a);
            default -> throw new AssertionError(storage);
        };
    }

    private record StaleGuard(TornadoNativeArray host, String lastWriter) implements HostGuard {

        @Override
        public void beforeHostRead() {
            throw new SimulatorFaultException(
                    FaultKind.NOT_ON_HOST,
                    "task " + lastWriter + " wrote this " + host.getClass().getSimpleName() + " of " + host.getSize()
                            + " elements on the device and it never came back; add transferToHost(EVERY_EXECUTION, ...)"
                            + " to the task graph, or call transferToHost(...) on the execution result");
        }

        @Override
        public void beforeHostWrite() {
            NativeArrays.guard(host, null);
        }
    }
}
