package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Optional;
import java.util.concurrent.Executor;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/**
 * A device that TornadoVM, or the simulator, offers, and what the choice of a kernel needs to know of it. Where a
 * backend does not know something, the name is {@link #UNKNOWN_NAME}, memory is {@link #UNKNOWN_BYTES} and so has no
 * limit that could be checked, and the other sizes are the least that devices have.
 *
 * @param backend what compiles for it
 * @param backendIndex position of the backend in TornadoVM's list
 * @param deviceIndex position of the device in its backend's list
 * @param name the driver's name of it
 * @param type CPU, GPU, …
 * @param localMemoryBytes local memory of a work-group
 * @param maxGroupSize work-items in a work-group at most
 * @param maxAllocationBytes largest single buffer
 * @param globalMemoryBytes all of its memory
 * @param computeUnits its cores or multiprocessors
 * @param halfFloats whether its compiler takes 16-bit floats; without, F16 is decoded from raw bits
 * @param extension what this project's compiler extension came to
 * @param handle TornadoVM's device; of the JVM, which runs no task graphs, the best one that does
 * @param executor whose threads the JVM computes with, as many as there are compute units; empty for threads of its own
 */
public record ComputeDevice(
        Backend backend,
        int backendIndex,
        int deviceIndex,
        String name,
        TornadoDeviceType type,
        long localMemoryBytes,
        long maxGroupSize,
        long maxAllocationBytes,
        long globalMemoryBytes,
        int computeUnits,
        boolean halfFloats,
        CompilerExtension.Support extension,
        TornadoDevice handle,
        Optional<Executor> executor) {

    /**
     * Checks that everything is given.
     *
     * @throws IllegalArgumentException if something is null
     */
    public ComputeDevice {
        required(backend, "backend");
        required(name, "name");
        required(type, "type");
        required(extension, "extension");
        required(handle, "handle");
        required(executor, "executor", "use Optional.empty() for threads of its own");
    }

    /**
     * A device without an executor of the caller's.
     *
     * @param backend what compiles for it
     * @param backendIndex position of the backend in TornadoVM's list
     * @param deviceIndex position of the device in its backend's list
     * @param name the driver's name of it
     * @param type CPU, GPU, …
     * @param localMemoryBytes local memory of a work-group
     * @param maxGroupSize work-items in a work-group at most
     * @param maxAllocationBytes largest single buffer
     * @param globalMemoryBytes all of its memory
     * @param computeUnits its cores or multiprocessors
     * @param halfFloats whether its compiler takes 16-bit floats
     * @param extension what this project's compiler extension came to
     * @param handle TornadoVM's device
     */
    public ComputeDevice(
            Backend backend,
            int backendIndex,
            int deviceIndex,
            String name,
            TornadoDeviceType type,
            long localMemoryBytes,
            long maxGroupSize,
            long maxAllocationBytes,
            long globalMemoryBytes,
            int computeUnits,
            boolean halfFloats,
            CompilerExtension.Support extension,
            TornadoDevice handle) {
        this(
                backend,
                backendIndex,
                deviceIndex,
                name,
                type,
                localMemoryBytes,
                maxGroupSize,
                maxAllocationBytes,
                globalMemoryBytes,
                computeUnits,
                halfFloats,
                extension,
                handle,
                Optional.empty());
    }

    /** The name of a device whose backend does not know it. */
    public static final String UNKNOWN_NAME = "unknown";

    /** The size of memory that a backend does not know. */
    public static final long UNKNOWN_BYTES = Long.MAX_VALUE;

    /** {@return whether this is the simulator} */
    public boolean isSimulator() {
        return backend == Backend.SIMULATOR;
    }

    /** {@return whether this is the JVM itself, which computes without task graphs} */
    public boolean isJvm() {
        return backend == Backend.JVM;
    }

    /** {@return the version of the device's driver, empty where it has none or does not tell} */
    public Optional<String> driverVersion() {
        return DriverVersion.of(this);
    }

    /** Backend, position and name, such as {@code cuda:0 NVIDIA H100}. */
    @Override
    public String toString() {
        return "%s:%d %s".formatted(backend.id(), deviceIndex, name);
    }
}
