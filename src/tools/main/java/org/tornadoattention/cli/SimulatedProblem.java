package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.util.Optional;
import java.util.function.Consumer;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Option;

/** A small problem for commands that look at kernels in the simulator. */
final class SimulatedProblem {

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

    @Option(
            names = "--type",
            paramLabel = "TYPE",
            description = "f32, f16 or bf16. Default: f32, or f16 where the kernel takes no f32.")
    private Optional<DType> type = Optional.empty();

    @Option(names = "--causal", description = "Query i sees the keys j <= i.")
    private boolean causal;

    @Option(names = "--backward", description = "The backward pass too.")
    private boolean backward;

    /**
     * Hands over what computes the problem.
     *
     * @param kernel the kernel, or empty for the best
     * @param what the command's subject, which only the simulator has
     * @throws IllegalArgumentException if the device is not the simulator's
     */
    void on(
            ComputeDevice device,
            Optional<AttentionKernel> kernel,
            String what,
            PrintWriter out,
            Consumer<Runnable> command) {
        if (!device.isSimulator()) {
            throw new IllegalArgumentException(
                    "%s by the simulator, not by %s: leave --backend out, and TORNADOVM_HOME unset."
                            .formatted(what, device));
        }
        if (heads < 1 || seq < 1) {
            throw new IllegalArgumentException(
                    "There is nothing to look at: --heads is %d and --seq is %d, and both must be 1 or more."
                            .formatted(heads, seq));
        }
        AttentionShape shape = new AttentionShape(1, heads, heads, seq, seq, headDim);
        AttentionOptions options = AttentionOptions.defaults().withMask(causal ? Mask.causal() : Mask.none());
        ComputeOptions.announce(out, device);
        DType dtype = type.orElse(kernel.isEmpty() || kernel.get().supports(DType.F32) ? DType.F32 : DType.F16);
        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.keyShape());
        try (FlashAttention attention =
                kernel.map(wanted -> FlashAttention.on(device, wanted)).orElseGet(() -> FlashAttention.on(device))) {
            command.accept(() -> {
                AttentionResult result = attention.forward(q, k, v, options);
                if (backward) {
                    attention.backward(result, Tensor.random(dtype, 4, shape.queryShape()));
                }
            });
        }
    }
}
