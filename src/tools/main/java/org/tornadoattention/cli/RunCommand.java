package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Execution;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code attention run}: attention on the user's tensors. */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Attention on tensors of yours.",
            "",
            "The input is a safetensors file with q [batch, heads, seq, headDim], k [batch, kvHeads, seq, headDim] and v [batch,"
                    + " kvHeads, seq, valueDim], F32, F16 or BF16, and, where wanted, alibi_slopes [heads] and key_lengths [batch],"
                    + " and what --mask, --score, --bias and --sinks name. The output has o [batch, heads, seq, valueDim], of the"
                    + " type of q, lse, F32 [batch, heads, seq], and what was computed as metadata.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention run qkv.safetensors -o out.safetensors --causal",
            "  ./attention run qkv.safetensors -o out.safetensors --window 256,0 --softcap 30 --check",
            "  ./attention run qkv.safetensors -o out.safetensors --mask document --ids ids --causal",
            "  ./attention run qkv.safetensors -o out.safetensors --score relative:64 --table table --bias --sinks",
            "",
            "In Python: safetensors.torch.save_file({'q': q, 'k': k, 'v': v}, 'qkv.safetensors')"
        })
final class RunCommand implements Callable<Integer> {

    @Parameters(paramLabel = "IN", description = "The safetensors file with q, k and v.")
    private Path input;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "OUT",
            required = true,
            description = "The safetensors file to write.")
    private Path output;

    @Option(names = "--force", description = "Replace OUT if it is there.")
    private boolean force;

    @Mixin
    private SemanticsOptions semantics = new SemanticsOptions();

    @Option(names = "--check", description = "Compare with a float64 oracle; exit code 1 if the error is too large.")
    private boolean check;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        ResultFile file = usableOutput();
        PrintWriter out = spec.commandLine().getOut();
        Tensor q;
        Tensor k;
        Tensor v;
        AttentionOptions options;
        try (Safetensors given = Safetensors.open(input)) {
            q = given.tensor("q");
            k = given.tensor("k");
            v = given.tensor("v");
            options = semantics.options(given, q, k);
        }
        AttentionShape shape = AttentionShape.of(q, k, v, options); // says what does not fit before anything is started
        ComputeDevice device = compute.device();
        ComputeOptions.announce(out, device);
        AttentionResult result;
        Optional<List<Comparison>> comparisons = Optional.empty();
        try (FlashAttention attention = compute.attention(device);
                Progress progress = Progress.of("run", check ? 2 : 1)) {
            progress.say("attention");
            result = attention.forward(q, k, v, options);
            progress.step();
            progress.say("oracle");
            if (check) {
                comparisons = Optional.of(AccuracyCheck.of(q, k, v, options)
                        .ofProducts(
                                compute.kernel().filter(AttentionKernel::isFp8).isPresent())
                        .forward(result.output(), result.logSumExp()));
            }
        }
        ResultTensors.write(file, shape, options, result, device);
        AttentionProblem problem = AttentionProblem.of(shape, q.dtype(), options);
        out.println("%s: o %s, lse %s; %s"
                .formatted(output, result.output(), result.logSumExp(), execution(result, problem)));
        return comparisons.isEmpty() || passed(comparisons.get(), out) ? Main.GOOD : Main.FAILED;
    }

    private ResultFile usableOutput() throws IOException {
        ResultFile file = ResultFile.at(output);
        if (file.exists() && Files.exists(input) && Files.isSameFile(input, output)) {
            throw new IllegalArgumentException(
                    "%s is the input and the output: name another output.".formatted(output));
        }
        if (file.exists() && !force) {
            throw new IllegalArgumentException("%s exists: add --force to replace it.".formatted(output));
        }
        return file;
    }

    private static String execution(AttentionResult result, AttentionProblem problem) {
        if (result.execution().isEmpty()) {
            return "no query or no key, so nothing was launched";
        }
        Execution execution = result.execution().get();
        return "kernel %s%s, %s, %s"
                .formatted(
                        execution.kernel(),
                        execution.tile().map(tile -> " " + tile).orElse(""),
                        Units.time(execution.kernelTime()),
                        Units.rate(problem.flops(), execution.kernelTime()));
    }

    private static boolean passed(List<Comparison> comparisons, PrintWriter out) {
        comparisons.forEach(comparison -> out.println(comparison + (comparison.passed() ? ": ok" : ": FAILED")));
        return comparisons.stream().allMatch(Comparison::passed);
    }
}
