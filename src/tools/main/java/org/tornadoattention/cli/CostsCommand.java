package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.bench.SimulatorBridge;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
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

    @Option(names = "--heads", defaultValue = "1", description = "Heads (default ${DEFAULT-VALUE}).")
    private int heads;

    @Option(
            names = "--seq",
            paramLabel = "N",
            defaultValue = "128",
            description = "Queries and keys (default ${DEFAULT-VALUE}).")
    private int seq;

    @Option(names = "--head-dim", defaultValue = "64", description = "Elements per head (default ${DEFAULT-VALUE}).")
    private int headDim;

    @Option(names = "--type", defaultValue = "f32", description = "f32, f16 or bf16 (default ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(names = "--causal", description = "Query i sees the keys j <= i.")
    private boolean causal;

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
        if (!device.isSimulator()) {
            throw new IllegalArgumentException(
                    "Costs are counted by the simulator, not by %s: leave --backend out, and TORNADOVM_HOME unset."
                            .formatted(device));
        }
        AttentionShape shape = new AttentionShape(1, heads, heads, seq, seq, headDim);
        AttentionOptions options = AttentionOptions.defaults().withMask(causal ? Mask.causal() : Mask.none());
        ComputeOptions.announce(out, device);
        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.keyShape());
        try (FlashAttention attention = compute.attention(device)) {
            SimulatorBridge.tellCosts(
                    gpu,
                    table -> {
                        out.println();
                        out.print(table);
                        out.flush();
                    },
                    () -> attention.forward(q, k, v, options));
        }
        return Main.GOOD;
    }
}
