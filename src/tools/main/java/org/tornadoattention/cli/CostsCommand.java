package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.tornadoattention.bench.SimulatorBridge;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention costs}: what each line of a kernel would cost a GPU, by the simulator. */
@Command(
        name = "costs",
        mixinStandardHelpOptions = true,
        description = {
            "Show what each line of a kernel would cost a GPU: sectors of device memory, bank conflicts of local memory, idle"
                    + " lanes, occupancy, the place on the roofline. No GPU is needed: the simulator counts, at any size in the"
                    + " same proportions, so small problems do.",
            "",
            "How to read it: a warp is 32 lanes that do one instruction together. Device memory moves in sectors of 32 bytes;"
                    + " where a line needs twice the fewest sectors that would do, lanes do not read side by side. Local memory"
                    + " has 32 banks of 4 bytes; ways is how many words of one bank one instruction wants, one after the other."
                    + " Below 32 lanes an instruction leaves lanes idle.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention costs --kernel tiled                compare with",
            "  ./attention costs --kernel online               which has no local memory, and with",
            "  ./attention costs --kernel standard             which stores the scores",
            "  JDK_JAVA_OPTIONS=-Dtornadoattention.simulator.costs=a100 ./attention java Mine.java   kernels of your own"
        })
final class CostsCommand implements Callable<Integer> {

    @Mixin
    private SimulatedProblem problem = new SimulatedProblem();

    @Option(
            names = "--gpu",
            paramLabel = "NAME",
            defaultValue = "h100",
            description = "h200, h100, a100, l4, rtx4090, v100 or t4 (default ${DEFAULT-VALUE}).")
    private String gpu;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        boolean asked = spec.commandLine().getParseResult().hasMatchedOption("--backend");
        ComputeDevice device = asked ? compute.device() : Devices.forTaskGraphs(compute.device());
        problem.on(
                device,
                compute.kernel(),
                "Costs are counted",
                out,
                work -> SimulatorBridge.tellCosts(
                        gpu,
                        table -> {
                            out.println();
                            out.print(table);
                            out.flush();
                        },
                        work));
        return Main.GOOD;
    }
}
