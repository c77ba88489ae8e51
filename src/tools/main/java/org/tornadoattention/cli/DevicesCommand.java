package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Platform;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention devices}: what is here to compute with. */
@Command(
        name = "devices",
        mixinStandardHelpOptions = true,
        description = {
            "List backends and devices, what each can do, and which kernel each would run.",
            "",
            "The first is the default; --backend and --device of the other commands choose another. The same device may"
                    + " appear in several backends.",
            ""
        },
        footer = {"", "Examples:", "  ./attention devices", "  TORNADOVM_HOME=~/tornadovm ./attention devices --json"})
final class DevicesCommand implements Callable<Integer> {

    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        List<ComputeDevice> devices = Devices.all();
        ComputeOptions.announce(json ? spec.commandLine().getErr() : out, devices.getFirst());
        List<DeviceReport> reports = devices.stream().map(DeviceReport::of).toList();
        if (json) {
            Json.print(out, new Report(Platform.current().describe(), reports));
        } else {
            print(out, reports);
        }
        return Main.GOOD;
    }

    /** What {@code --json} prints. */
    private record Report(String platform, List<DeviceReport> devices) {}

    private static void print(PrintWriter out, List<DeviceReport> reports) {
        out.println();
        out.println("Devices, best first:");
        Table devices = new Table("  ")
                .row(
                        "backend",
                        "device",
                        "name",
                        "type",
                        "units",
                        "memory",
                        "local memory",
                        "group size",
                        "F16",
                        "warp collectives",
                        "tensor cores",
                        "own instructions");
        for (DeviceReport device : reports) {
            devices.row(
                    device.backend(),
                    String.valueOf(device.index()),
                    device.name(),
                    device.type(),
                    String.valueOf(device.computeUnits()),
                    device.globalMemoryBytes() == null ? "unknown" : Units.bytes(device.globalMemoryBytes()),
                    Units.bytes(device.localMemoryBytes()),
                    String.valueOf(device.maxGroupSize()),
                    device.halfFloats() ? "yes" : "decoded",
                    yesOrNo(device.warpCollectives()),
                    yesOrNo(device.matrixInstructions()),
                    device.intrinsics());
        }
        devices.print(out);
        out.println(
                "  F16 'decoded': stored as bits and computed in F32. Tensor cores: whether the backend's compiler can"
                        + " use those of a device. Own instructions: what this project taught the compiler.");
        for (DeviceReport device : reports) {
            if (!device.intrinsicsReason().isEmpty()) {
                out.println("  %s:%d has no more own instructions: %s."
                        .formatted(device.backend(), device.index(), device.intrinsicsReason()));
            }
        }
        out.println();
        out.println("Kernels chosen for 16 heads × 4,096:");
        Table kernels = new Table("  ").row("backend", "device", "type", "headDim", "kernel", "why");
        for (DeviceReport device : reports) {
            for (DeviceReport.Choice choice : device.choices()) {
                kernels.row(
                        device.backend(),
                        String.valueOf(device.index()),
                        choice.dtype(),
                        String.valueOf(choice.headDim()),
                        choice.kernel() + (choice.tile() == null ? "" : " " + choice.tile()),
                        choice.reason());
            }
        }
        kernels.print(out);
    }

    private static String yesOrNo(boolean has) {
        return has ? "yes" : "no";
    }
}
