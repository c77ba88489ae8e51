package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Platform;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Where to compute and with which kernel: the options that commands share. */
final class ComputeOptions {

    @Mixin
    private DeviceOptions where = new DeviceOptions();

    @Option(
            names = {"-k", "--kernel"},
            paramLabel = "NAME",
            split = ",",
            completionCandidates = KernelIds.class,
            description = "Of ${COMPLETION-CANDIDATES}. Default: the best for the problem. bench takes several.")
    private List<AttentionKernel> kernels = List.of();

    /**
     * The device that was asked for, or the best of those that run the kernels that were asked for, or else the best.
     */
    ComputeDevice device() {
        ComputeDevice best = where.find();
        if (where.areGiven() || kernels.isEmpty()) {
            return best;
        }
        return Devices.all().stream()
                .filter(any -> kernels.stream().anyMatch(kernel -> kernel.supports(any)))
                .findFirst()
                .orElse(best);
    }

    /** The same for commands that need task graphs. */
    ComputeDevice deviceForTaskGraphs() {
        ComputeDevice chosen = device();
        if (chosen.isJvm() && where.hasBackend()) {
            throw new UnsupportedOnDeviceException(
                    chosen, "task graphs, which this command is about", "use another backend, such as simulator");
        }
        return Devices.forTaskGraphs(chosen);
    }

    /**
     * The kernel that was asked for.
     *
     * @throws IllegalArgumentException if there are several
     */
    Optional<AttentionKernel> kernel() {
        if (kernels.size() > 1) {
            throw new IllegalArgumentException(
                    "%d kernels were asked for: only bench and accuracy measure several, name one."
                            .formatted(kernels.size()));
        }
        return kernels.stream().findFirst();
    }

    /** The kernels that were asked for, none for all. */
    List<AttentionKernel> kernels() {
        return kernels;
    }

    /** Attention on a device with the kernel that was asked for, or the best for each problem. */
    FlashAttention attention(ComputeDevice on) {
        return kernel().map(wanted -> FlashAttention.on(on, wanted)).orElseGet(() -> FlashAttention.on(on));
    }

    /** Prints the first line of every command that computes: the platform and why, and the device. */
    static void announce(PrintWriter out, ComputeDevice device) {
        out.println("Running on %s, device %s".formatted(Platform.describe(device), device));
        out.flush();
    }
}
