package org.tornadoattention.device;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What one execution of a plan gave a device's driver: bytes to the device, kernels, bytes to the host, in their order.
 * It can be given again without TornadoVM's interpreter in between, over the same memory and with the same arguments.
 * One thread at a time may use it, any thread.
 *
 * <p>A driver that fails raises an {@link IllegalStateException} that names its function and error; so does a plan that
 * was closed.
 */
public interface Recording {

    /** Gives all of it to the device, and does not wait. */
    void launch();

    /** Work that a device was given, with memory of the host that it reads and writes until {@link #await} returns. */
    interface Running {

        /**
         * Waits until it is done; once.
         *
         * @return from the beginning of the first kernel to the end of the last one, by the device's clock
         */
        Duration await();
    }

    /**
     * Gives all of it to the device with other memory of the host in the places of arrays, and does not wait.
     *
     * @param places for arrays that the execution brought to its device or back: as many bytes as their elements take,
     *     best of {@link PinnedMemory}
     * @return what is to be waited for
     * @throws IllegalArgumentException if the execution brought no such array anywhere, or sizes differ
     */
    Running start(Map<TornadoNativeArray, MemorySegment> places);

    /**
     * Copies an array on this recording's device to one on another's, over the shortest way that the hardware has, when
     * what was launched before is done; {@link #await} waits for it. The receiver's device must be at rest.
     *
     * @param array an array that this plan brings to its device
     * @param receiver a recording of the same backend
     * @param target an array of as many bytes that the receiver's plan brings to its device
     * @throws IllegalArgumentException if an array is not on its device, or sizes differ
     */
    void send(TornadoNativeArray array, Recording receiver, TornadoNativeArray target);

    /**
     * Memory on this recording's device that belongs to no plan.
     *
     * @param bytes how many, 1 or more
     * @return the memory, whose contents are anything
     * @throws IllegalArgumentException if there are none
     */
    DeviceBuffer allocate(long bytes);

    /**
     * The memory of an array of the plan's.
     *
     * @param array an array that this plan brings to its device
     * @return its elements
     * @throws IllegalArgumentException if the array is not on the device
     */
    DeviceBuffer bufferOf(TornadoNativeArray array);

    /**
     * Bytes in runs that lie as far from each other: some rows of each head.
     *
     * @param count how many runs, 1 or more
     * @param bytes of a run
     * @param fromStep from one's first byte to the next one's where they come from, as many as a run has or more
     * @param toStep likewise where they go to
     */
    record Runs(int count, long bytes, long fromStep, long toStep) {

        /**
         * Bytes that follow each other.
         *
         * @param bytes how many
         * @return one run
         */
        public static Runs one(long bytes) {
            return new Runs(1, bytes, bytes, bytes);
        }

        /**
         * The same runs back.
         *
         * @return with the steps exchanged
         */
        public Runs turned() {
            return new Runs(count, bytes, toStep, fromStep);
        }

        /**
         * How far the runs reach where they come from.
         *
         * @return bytes from the first of all to the last
         */
        public long fromBytes() {
            return (count - 1) * fromStep + bytes;
        }

        /**
         * How far the runs reach where they go to.
         *
         * @return bytes from the first of all to the last
         */
        public long toBytes() {
            return (count - 1) * toStep + bytes;
        }
    }

    /**
     * Copies bytes on a device, or from one to another over the shortest way that the hardware has, when what this
     * recording's device was given before is done; {@link #await} waits for it. What other recordings do with these
     * bytes must be done.
     *
     * @param from of a recording of this backend
     * @param fromByte the first byte there
     * @param to of this recording or another of its backend
     * @param toByte where they go
     * @param runs how many, and how they lie
     * @throws IllegalArgumentException if they reach past an end
     */
    void copy(DeviceBuffer from, long fromByte, DeviceBuffer to, long toByte, Runs runs);

    /**
     * Brings bytes of the host to this recording's device, when what it was given before is done; {@link #await} waits
     * for it.
     *
     * @param from as many bytes as the buffer has
     * @param to of this recording
     * @throws IllegalArgumentException if their sizes differ
     */
    void write(MemorySegment from, DeviceBuffer to);

    /**
     * Brings bytes of this recording's device to the host, when what it was given before is done; {@link #await} waits
     * for it.
     *
     * @param from of this recording
     * @param to as many bytes as the buffer has
     * @throws IllegalArgumentException if their sizes differ
     */
    void read(DeviceBuffer from, MemorySegment to);

    /** What recordings of a device were given once, to be given again at once. */
    interface Captured extends AutoCloseable {

        /** Gives it to the device, and does not wait: the first of the recordings that were given it does. */
        void launch();

        /** Forgets it. The device must be at rest. */
        @Override
        void close();
    }

    /**
     * Notes what is given to recordings of this one's device, which are at rest; nothing of it is carried out. Memory
     * that it reads and writes must stay.
     *
     * @param all this recording, which comes first, and the others that are given something
     * @param work launches and copies; it waits for nothing
     * @return what was given, or none where the driver cannot note it
     */
    Optional<Captured> capture(List<Recording> all, Runnable work);

    /** Waits until the device has done what it was given. */
    void await();
}
