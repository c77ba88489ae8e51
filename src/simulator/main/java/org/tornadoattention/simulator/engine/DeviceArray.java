package org.tornadoattention.simulator.engine;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;
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
 * <p>The elements are on the Java heap, where compiled kernels reach them best. Memory that nothing was written to
 * holds a pattern that is NaN in every floating-point format.
 */
public final class DeviceArray {

    private static final byte POISON = (byte) 0xFF;

    /** Buffers hold no more than 2 GiB. */
    private static final long CHECKSUM_BYTES = 1L << 30;

    private final TornadoNativeArray host;
    private final TornadoNativeArray twin;
    private final Object storage;
    private volatile GlobalRecord record;
    private boolean watched;
    private boolean allValid;
    private boolean newerThanHost;
    /** The checksum of the host's content when both were equal last; null where nobody asks. */
    private Long agreed;

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
        if (watch && written) {
            limitWrites();
        }
    }

    private void limitWrites() {
        for (WriteLimits.Limit limit : WriteLimits.of(host)) {
            for (int i = 0; i < host.getSize(); i++) {
                if (!limit.allows(i)) {
                    recordForWriting().forbid(i);
                }
            }
        }
    }

    /** Says which elements may be written. */
    String writeLimits() {
        List<WriteLimits.Limit> limits = WriteLimits.of(host);
        return limits.isEmpty()
                ? "nothing of it"
                : limits.stream()
                        .map(WriteLimits.Limit::toString)
                        .collect(Collectors.joining(", and at the same time "));
    }

    /** Ends what {@link #beginLaunch} began, however the launch went. */
    void endLaunch() {
        if (watched && record != null) {
            allValid = record.close();
        }
        watched = false;
    }

    /**
     * Returns the record of the launch under way, or null if the kernel does not write the array and it has no gaps.
     */
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

    /** Copies from an array of the host: the one that this is the copy of, or one that was mapped to it. */
    long copyIn(TornadoNativeArray source) {
        segment().copyFrom(NativeArrays.content(source));
        markValid();
        if (source == host) {
            inStepWithHost();
        }
        return host.getNumBytesOfSegment();
    }

    /** Copies to an array of the host: the one that this is the copy of, or one that was mapped to it. */
    long copyOut(TornadoNativeArray target, long offset, long bytes) {
        MemorySegment.copy(segment(), offset, NativeArrays.content(target), offset, bytes);
        if (target != host) {
            return bytes;
        }
        if (bytes < host.getNumBytesOfSegment()) {
            agreed = null;
        } else if (record != null) {
            allValid = record.agree();
        }
        inStepWithHost();
        return bytes;
    }

    long copyOut(TornadoNativeArray target) {
        return copyOut(target, 0, host.getNumBytesOfSegment());
    }

    /** From now on {@link #noteHostChanges} tells what the host changes. */
    void watchHost() {
        agreed = checksum();
    }

    /**
     * Marks elements that the host has changed since it and the device had the same, and that no transfer brings here.
     */
    void noteHostChanges() {
        if (agreed == null || newerThanHost || agreed == checksum()) {
            return;
        }
        agreed = checksum();
        MemorySegment content = NativeArrays.content(host);
        long bytes = host.getElementSize();
        GlobalRecord kept = recordForWriting();
        for (int i = 0; i < host.getSize(); i++) {
            if (MemorySegment.mismatch(content, i * bytes, (i + 1) * bytes, segment(), i * bytes, (i + 1) * bytes)
                    >= 0) {
                kept.stale(i);
                allValid = false;
            }
        }
    }

    private long checksum() {
        CRC32C sum = new CRC32C();
        MemorySegment content = NativeArrays.content(host);
        for (long from = 0; from < content.byteSize(); from += CHECKSUM_BYTES) {
            long bytes = Math.min(CHECKSUM_BYTES, content.byteSize() - from);
            sum.update(content.asSlice(from, bytes).asByteBuffer());
        }
        return sum.getValue();
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
        if (agreed != null) {
            agreed = checksum();
        }
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

    /** Whether no element is NaN or infinite. */
    boolean isFinite() {
        for (int i = 0; i < host.getSize(); i++) {
            boolean finite = switch (storage) {
                case float[] floats -> Float.isFinite(floats[i]);
                case double[] doubles -> Double.isFinite(doubles[i]);
                case short[] halves
                when host instanceof HalfFloatArray -> Float.isFinite(Float.float16ToFloat(halves[i]));
                default -> true;
            };
            if (!finite) {
                return false;
            }
        }
        return true;
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
            throw FaultLog.tell(new SimulatorFaultException(
                    FaultKind.NOT_ON_HOST,
                    "task " + lastWriter + " wrote this " + host.getClass().getSimpleName() + " of " + host.getSize()
                            + " elements on the device and it never came back; add transferToHost(EVERY_EXECUTION, ...)"
                            + " to the task graph, or call transferToHost(...) on the execution result"));
        }

        @Override
        public void beforeHostWrite() {
            NativeArrays.guard(host, null);
        }
    }
}
