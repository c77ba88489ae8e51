package org.tornadoattention.cli;

import java.util.Optional;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import picocli.CommandLine.Option;

/** Which device a command computes on. */
final class DeviceOptions {

    @Option(
            names = {"-b", "--backend"},
            paramLabel = "NAME",
            description = "cuda, opencl, ptx, metal, spirv, jvm or simulator. Default: the best for the best device.")
    private Optional<Backend> backend = Optional.empty();

    @Option(
            names = {"-d", "--device"},
            paramLabel = "INDEX",
            description = "The device's number in its backend, as './attention devices' lists them.")
    private Optional<Integer> index = Optional.empty();

    /** The device that was asked for, or the best. */
    ComputeDevice find() {
        return Devices.find(backend, index);
    }

    boolean hasBackend() {
        return backend.isPresent();
    }

    /** Whether anything was asked for. */
    boolean areGiven() {
        return backend.isPresent() || index.isPresent();
    }
}
