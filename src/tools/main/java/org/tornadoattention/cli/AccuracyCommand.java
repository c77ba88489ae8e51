package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.Environment;
import org.tornadoattention.bench.ErrorFile;
import org.tornadoattention.bench.ErrorInputs;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention accuracy}: errors of the kernels against float64, on inputs that peers can be given too. */
@Command(
        name = "accuracy",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Errors of the kernels against a float64 oracle, on whole outputs.",
            "",
            "The inputs are 'normal', N(0, 1), and 'outliers', N(0, 1) + N(0, 100) x Bernoulli(0.001), which is what the"
                    + " paper on FlashAttention-3 measures errors on. 'formula' is standard attention with P rounded to"
                    + " the inputs' type, computed here, 'formula-fp8' that with products of 8-bit numbers, Q, K and V with"
                    + " a scale each. Exit code 1 if a kernel's error is above the rule of the tests.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention accuracy                                    all kernels of the best device",
            "  ./attention accuracy --kernel tiled --type f16 --seq 64 --heads 1 --batch 1",
            "",
            "Beside PyTorch, on the same inputs:",
            "  ./attention accuracy --inputs inputs -o ours.json",
            "  python3 bench/peers.py --inputs inputs --output pytorch.json",
            "and a table of both by './attention tables' ('<!-- table errors ours.json pytorch.json -->')."
        })
final class AccuracyCommand implements Callable<Integer> {

    @Option(
            names = "--distribution",
            split = ",",
            defaultValue = "normal,outliers",
            description = "Of the inputs (default ${DEFAULT-VALUE}).")
    private List<ErrorInputs> distributions;

    @Option(
            names = "--type",
            split = ",",
            defaultValue = "f16,bf16,f32",
            description = "Types (default ${DEFAULT-VALUE}).")
    private List<DType> types;

    @Option(
            names = "--head-dim",
            split = ",",
            defaultValue = "64,128",
            description = "Head dimensions (default ${DEFAULT-VALUE}).")
    private int[] headDims;

    @Option(names = "--batch", description = "Sequences (default 2; in the simulator 1).")
    private Optional<Integer> batch = Optional.empty();

    @Option(names = "--heads", description = "Heads (default 8; in the simulator 2).")
    private Optional<Integer> heads = Optional.empty();

    @Option(names = "--seq", description = "Queries, and keys (default 2048; in the simulator 256).")
    private Optional<Integer> seq = Optional.empty();

    @Option(
            names = "--inputs",
            paramLabel = "DIR",
            description = "Write the inputs there, a safetensors file with q, k and v for each problem.")
    private Optional<Path> directory = Optional.empty();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "Write the errors there, as JSON.")
    private Optional<Path> output = Optional.empty();

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    private final List<ErrorFile.Result> results = new ArrayList<>();
    private boolean good = true;
    private PrintWriter out;

    @Override
    public Integer call() throws IOException {
        out = spec.commandLine().getOut();
        Optional<ResultFile> file = output.isPresent() ? Optional.of(ResultFile.at(output.get())) : Optional.empty();
        if (directory.isPresent()) {
            ResultFile.requireFolder(directory.get());
            Files.createDirectories(directory.get());
        }
        ComputeDevice device = compute.device();
        ComputeOptions.announce(out, device);
        List<ErrorFile.Problem> problems = problems(device.isSimulator() || device.isJvm());
        row("problem", "kernel", "RMSE", "largest error", "allowed", "relative");
        try (Progress progress = Progress.of("accuracy", problems.size())) {
            for (ErrorFile.Problem problem : problems) {
                progress.say(problem.toString());
                measure(problem, device);
                progress.step();
            }
        }
        if (file.isPresent()) {
            file.get().write(ErrorFile.of(Environment.of(device), results).toJson());
        }
        return good ? Main.GOOD : Main.FAILED;
    }

    private List<ErrorFile.Problem> problems(boolean small) {
        int sequences = batch.orElse(small ? 1 : 2);
        int width = heads.orElse(small ? 2 : 8);
        int length = seq.orElse(small ? 256 : 2048);
        if (sequences < 1 || length < 1) {
            throw new IllegalArgumentException("--batch and --seq must be 1 or more.");
        }
        return distributions.stream()
                .flatMap(inputs -> types.stream()
                        .flatMap(dtype -> Arrays.stream(headDims)
                                .mapToObj(headDim -> new ErrorFile.Problem(
                                        inputs.id(),
                                        dtype,
                                        new AttentionShape(sequences, width, width, length, length, headDim)))))
                .toList();
    }

    private void measure(ErrorFile.Problem problem, ComputeDevice device) throws IOException {
        ErrorInputs inputs = ErrorInputs.parse(problem.inputs());
        Tensor q = inputs.tensor(problem.dtype(), 1, problem.shape().queryShape());
        Tensor k = inputs.tensor(problem.dtype(), 2, problem.shape().keyShape());
        Tensor v = inputs.tensor(problem.dtype(), 3, problem.shape().keyShape());
        if (directory.isPresent()) {
            write(problem, q, k, v);
        }
        AccuracyCheck check = AccuracyCheck.of(q, k, v, AttentionOptions.defaults());
        formula(problem, ErrorFile.FORMULA, Tolerance.forward(problem.dtype()), check);
        if (kernels(problem, device).anyMatch(AttentionKernel::isFp8)) {
            formula(problem, ErrorFile.FORMULA_FP8, Tolerance.forwardFp8(), check.ofProducts(true));
        }
        kernels(problem, device).forEach(kernel -> {
            try (FlashAttention attention = FlashAttention.on(device, kernel)) {
                AttentionResult result = attention.forward(q, k, v);
                note(
                        problem,
                        kernel.id(),
                        check.ofProducts(kernel.isFp8())
                                .forward(result.output(), result.logSumExp())
                                .getFirst());
            } catch (UnsupportedOnDeviceException e) {
                out.println(problem + " " + kernel.id() + " not here: " + e.getMessage());
            }
        });
    }

    private void formula(ErrorFile.Problem problem, String name, Tolerance tolerance, AccuracyCheck check) {
        float[] naive = check.naive().output();
        note(problem, name, tolerance.compare("o", naive, check.reference().output(), naive));
    }

    private Stream<AttentionKernel> kernels(ErrorFile.Problem problem, ComputeDevice device) {
        return Arrays.stream(AttentionKernel.values())
                .filter(kernel -> !compute.kernels().isEmpty()
                        ? compute.kernels().contains(kernel)
                        : device.isSimulator()
                                ? BenchFile.PORTABLE.contains(kernel)
                                : kernel.supports(device)
                                        && kernel.supports(problem.shape().headDim()))
                .filter(kernel -> kernel.supports(problem.dtype()));
    }

    private void note(ErrorFile.Problem problem, String kernel, Comparison errors) {
        results.add(ErrorFile.Result.ours(problem, kernel, errors));
        good &= errors.passed();
        row(
                problem.toString(),
                kernel,
                "%.2e".formatted(errors.rmse()),
                "%.2e".formatted(errors.maxError()),
                "%.2e".formatted(errors.limit()) + (errors.passed() ? "" : " FAILED"),
                "%.2e".formatted(errors.relativeError()));
    }

    /** Printed as it comes, since the oracle takes its time. */
    private void row(String... cells) {
        out.println("%-30s %-14s %-9s %-14s %-9s %s".formatted((Object[]) cells).stripTrailing());
        out.flush();
    }

    private void write(ErrorFile.Problem problem, Tensor q, Tensor k, Tensor v) throws IOException {
        new SafetensorsWriter()
                .tensor("q", q)
                .tensor("k", k)
                .tensor("v", v)
                .metadata("inputs", problem.inputs())
                .writeTo(directory.get().resolve(problem.toString().replace(' ', '_') + ".safetensors"));
    }
}
