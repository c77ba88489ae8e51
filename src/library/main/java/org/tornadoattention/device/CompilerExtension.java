package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import uk.ac.manchester.tornado.api.common.TornadoDevice;

/**
 * Teaches a backend's compiler the instructions of {@link org.tornadoattention.intrinsic}. Found as a service, where an
 * SDK has a backend that one was written for.
 */
public interface CompilerExtension {

    /** {@code -Dtornadoattention.extension=off} leaves TornadoVM's compilers as they are. */
    String PROPERTY = "tornadoattention.extension";

    /** {@return the backend that this one extends} */
    Backend backend();

    /**
     * Installs what fits the device. Does nothing the second time, and nothing to kernels that do not use it.
     *
     * @param device a device of the backend
     * @param first whether this backend compiles TornadoVM's first look at a kernel: the one with index 0 does
     * @return what kernels on the device may use
     */
    Support install(TornadoDevice device, boolean first);

    /**
     * A device as plans of this library are given it, which may know kernels of earlier runs.
     *
     * @param device the device
     * @return it, or another that stands for it and equals it
     */
    default TornadoDevice handle(TornadoDevice device) {
        return device;
    }

    /**
     * A device as plans of this library are given it, where there is an extension or not.
     *
     * @param backend the backend of the device
     * @param device the device
     * @return it, or another that stands for it and equals it
     */
    static TornadoDevice handle(Backend backend, TornadoDevice device) {
        required(backend, "backend");
        required(device, "device");
        return of(backend).map(extension -> extension.handle(device)).orElse(device);
    }

    /**
     * Sees to it that what is meant for a device of the backend that is not its first is done by that one.
     *
     * @param device the device
     * @return whether it is so now
     */
    default boolean separates(TornadoDevice device) {
        return false;
    }

    /** {@return whether {@link #record} can make recordings} */
    default boolean records() {
        return false;
    }

    /**
     * Runs an execution of a plan on this thread, and records what it gives the device's driver.
     *
     * @param device the device, which the plan has alone
     * @param execution the execution; what it throws is thrown
     * @return the recording, or why there is none
     */
    default Recorded record(TornadoDevice device, Runnable execution) {
        return Recorded.without(backend(), execution);
    }

    /**
     * Runs an execution of a plan, and records it where there is an extension that can.
     *
     * @param backend the backend of the device
     * @param device the device, which the plan has alone
     * @param execution the execution; what it throws is thrown
     * @return the recording, or why there is none
     */
    static Recorded record(Backend backend, TornadoDevice device, Runnable execution) {
        required(backend, "backend");
        required(device, "device");
        required(execution, "execution");
        Optional<CompilerExtension> extension = of(backend);
        return extension.isEmpty()
                ? Recorded.without(backend, execution)
                : extension.get().record(device, execution);
    }

    /**
     * Memory of the host that nobody has written, for those who will write all of it by several threads.
     *
     * @param bytes how many, 1 or more
     * @return memory that is freed when nothing refers to it any more, or none where the JVM's own is as good
     */
    default Optional<MemorySegment> unwritten(long bytes) {
        return Optional.empty();
    }

    /**
     * Likewise for what a backend's device is to fill.
     *
     * @param backend the backend of the device
     * @param bytes how many, 1 or more
     * @return memory, or none where the JVM's own is as good
     */
    static Optional<MemorySegment> unwritten(Backend backend, long bytes) {
        required(backend, "backend");
        return of(backend).flatMap(extension -> extension.unwritten(bytes));
    }

    /**
     * Memory of the host, all of it 0, that a device reads and writes without a copy in between: page-locked.
     *
     * @param device the device, with the extension installed
     * @param bytes how many, 1 or more
     * @param freed told the memory's address when nothing refers to it any more, before it is freed
     * @return memory that is freed when nothing refers to it any more, or none where the driver gives none
     */
    default Optional<MemorySegment> pinned(TornadoDevice device, long bytes, LongConsumer freed) {
        return Optional.empty();
    }

    /**
     * Likewise where there is an extension that can.
     *
     * @param backend the backend of the device
     * @param device the device
     * @param bytes how many, 1 or more
     * @param freed told the memory's address when nothing refers to it any more, before it is freed
     * @return memory, or none
     */
    static Optional<MemorySegment> pinned(Backend backend, TornadoDevice device, long bytes, LongConsumer freed) {
        required(backend, "backend");
        required(device, "device");
        required(freed, "freed");
        return of(backend).flatMap(extension -> extension.pinned(device, bytes, freed));
    }

    /**
     * Whether there is an extension that records a backend's executions.
     *
     * @param backend the backend
     * @return false where {@link #record} records none
     */
    static boolean canRecord(Backend backend) {
        required(backend, "backend");
        return of(backend).filter(CompilerExtension::records).isPresent();
    }

    /**
     * What an attempt to record an execution came to.
     *
     * @param recording the recording, if there is one
     * @param reason why there is none, or empty
     */
    record Recorded(Optional<Recording> recording, String reason) {

        /**
         * Checks that there is one of the two.
         *
         * @throws IllegalArgumentException if there is neither, or something is null
         */
        public Recorded {
            required(recording, "recording", "use Optional.empty() for none");
            required(reason, "reason", "use an empty text for none");
            if (recording.isPresent() != reason.isEmpty()) {
                throw new IllegalArgumentException("There must be a recording or a reason why there is none.");
            }
        }

        /**
         * A recording.
         *
         * @param recording the recording
         * @return it, with no reason
         */
        public static Recorded of(Recording recording) {
            return new Recorded(Optional.of(required(recording, "recording")), "");
        }

        /**
         * No recording.
         *
         * @param reason why, without a full stop
         * @return the reason
         */
        public static Recorded refused(String reason) {
            return new Recorded(Optional.empty(), reason);
        }

        private static Recorded without(Backend backend, Runnable execution) {
            execution.run();
            return refused("executions on %s are not recorded".formatted(backend.id()));
        }
    }

    /**
     * Whether a device does itself what is meant for it. TornadoVM 5.2's CUDA backend has the first GPU do everything,
     * and says nothing; with an extension each does its own.
     *
     * @param backend the backend of the device
     * @param index the device's position in its backend
     * @param device the device
     * @return false where another device would do the work
     */
    static boolean doesItsOwnWork(Backend backend, int index, TornadoDevice device) {
        required(backend, "backend");
        required(device, "device");
        return backend != Backend.CUDA
                || index == 0
                || of(backend).filter(e -> e.separates(device)).isPresent();
    }

    private static Optional<CompilerExtension> of(Backend backend) {
        return "off".equals(System.getProperty(PROPERTY)) ? Optional.empty() : FoundExtensions.of(backend);
    }

    /**
     * What an attempt to install came to.
     *
     * @param level what kernels may use now
     * @param computeCapability the device's, 90 for 9.0, or 0 where there is no such thing
     * @param localMemoryBytes local memory of a work-group for kernels that do
     * @param reason why not more, or empty
     */
    record Support(Intrinsics level, int computeCapability, long localMemoryBytes, String reason) {

        /**
         * Checks that everything is given.
         *
         * @throws IllegalArgumentException if something is null
         */
        public Support {
            required(level, "level");
            required(reason, "reason", "use an empty text for none");
        }

        /** The same on a device of this compute capability, unless it says one itself. */
        private Support on(int capability) {
            return computeCapability > 0 ? this : new Support(level, capability, localMemoryBytes, reason);
        }

        /**
         * Nothing installed, on a device of this compute capability.
         *
         * @param computeCapability the device's, 90 for 9.0, or 0 where there is no such thing
         * @param reason why
         * @return a level of none
         */
        public static Support none(int computeCapability, String reason) {
            return new Support(Intrinsics.NONE, computeCapability, 0, reason);
        }
    }

    /**
     * Installs on a device whatever there is for it.
     *
     * @param backend the backend of the device
     * @param device a device of the backend
     * @param first whether this backend compiles TornadoVM's first look at a kernel: the one with index 0 does
     * @return what kernels on the device may use
     */
    static Support extend(Backend backend, TornadoDevice device, boolean first) {
        required(backend, "backend");
        required(device, "device");
        if (backend == Backend.SIMULATOR) {
            return new Support(
                    Intrinsics.WARP_GROUP, 0, device.getPhysicalDevice().getDeviceLocalMemorySize(), "");
        }
        int capability = backend.isNvidiaOnly() ? computeCapability(device) : 0;
        return of(backend)
                .map(extension -> extension.install(device, first).on(capability))
                .orElseGet(() -> Support.none(
                        capability,
                        "off".equals(System.getProperty(PROPERTY))
                                ? "switched off by -D" + PROPERTY + "=off"
                                : "there is no compiler extension for " + backend.id()));
    }

    /** What an NVIDIA device's description says, such as {@code Device version : CUDA 9.0}; 0 where it says nothing. */
    private static int computeCapability(TornadoDevice device) {
        Matcher version = Pattern.compile("Device version\\s*: CUDA (\\d+)\\.(\\d)")
                .matcher(Devices.known(() -> device.getPhysicalDevice().getDeviceInfo(), ""));
        return version.find() ? Integer.parseInt(version.group(1) + version.group(2)) : 0;
    }
}
