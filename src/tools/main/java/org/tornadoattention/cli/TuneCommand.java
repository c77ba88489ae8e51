package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.BenchSession;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.TileTuner;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.TuningTable;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.tensor.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention tune}: the best tiles of the tensor-core kernels on the present device. */
@Command(
        name = "tune",
        mixinStandardHelpOptions = true,
        description = {
            "Find the best tiles of the tensor-core kernels for a device.",
            "",
            "The kernels with warp intrinsics work on tiles of queries by keys, and which tile is fastest depends on the"
                    + " GPU, the head dimension and the length of the sequence. This command tries the candidates that"
                    + " fit the device. Each result is compared with the float64 oracle before it is timed; a candidate"
                    + " that does not run, or is wrong, is out and said to be. The fastest ones make a table, a line for"
                    + " each kernel, head dimension and class of sequences; a length stands for itself and longer ones,"
                    + " the shortest for all others too.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention tune -o my-gpu.csv",
            "  ./attention tune --head-dim 128 --seq 512,2048,8192 --causal -o my-gpu.csv",
            "  JDK_JAVA_OPTIONS=-Dtornadoattention.tuning=my-gpu.csv ./attention bench --type f16 --seq 4096",
            "",
            "To make a table the default, replace tornado-config/tuning.csv, which is built in, or add its lines there."
        })
final class TuneCommand implements Callable<Integer> {

    /** Time for the repetitions of one candidate. */
    private static final double SECONDS = 2;

    @Mixin
    private DeviceOptions where = new DeviceOptions();

    @Option(
            names = {"-k", "--kernel"},
            split = ",",
            defaultValue = "warp,warp-group",
            paramLabel = "NAME",
            completionCandidates = KernelIds.WithTilesToTune.class,
            description = "Of ${COMPLETION-CANDIDATES} (default ${DEFAULT-VALUE}).")
    private List<AttentionKernel> kernels = List.of();

    @Option(
            names = "--head-dim",
            split = ",",
            defaultValue = "64,96,128,192,256",
            paramLabel = "N",
            description = "Head dimensions; a line also holds for narrower heads (default ${DEFAULT-VALUE}).")
    private int[] headDims;

    @Option(
            names = "--seq",
            split = ",",
            defaultValue = "512,4096",
            paramLabel = "N",
            description = "Sequence lengths, where classes begin (default ${DEFAULT-VALUE}).")
    private int[] lengths;

    @Option(
            names = "--tokens",
            defaultValue = "16384",
            description = "Sequences times their length, at least one (default ${DEFAULT-VALUE}).")
    private int tokens;

    @Option(
            names = "--width",
            defaultValue = "2048",
            description = "Heads times their dimension, at least one (default ${DEFAULT-VALUE}).")
    private int width;

    @Option(names = "--type", defaultValue = "f16", description = "f16 or bf16 (default ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(names = "--causal", description = "With a causal mask.")
    private boolean causal;

    @Option(names = "--warm-up", defaultValue = "3", description = "Executions before (default ${DEFAULT-VALUE}).")
    private int warmUps;

    @Option(names = "--repeat", defaultValue = "10", description = "Executions that count (default ${DEFAULT-VALUE}).")
    private int repetitions;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "Write the table there.")
    private Optional<Path> output = Optional.empty();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        Optional<ResultFile> file = output.isPresent() ? Optional.of(ResultFile.at(output.get())) : Optional.empty();
        ComputeDevice device = Devices.forTaskGraphs(where.find());
        requireIntrinsics(device);
        List<BenchCase> cases = cases();
        ComputeOptions.announce(out, device);
        if (device.isSimulator()) {
            out.println(
                    "The simulator's times say nothing of a GPU: a table of them is a trial of this command alone.");
        }
        TuningTable table = tune(out, device, cases);
        if (table.rows().isEmpty()) {
            out.println("No candidate was right, so there is no table.");
            return Main.FAILED;
        }
        write(out, table, file);
        return Main.GOOD;
    }

    private TuningTable tune(PrintWriter out, ComputeDevice device, List<BenchCase> cases) {
        Table trials = new Table("").row("head dim", "sequence", "kernel", "tile", "TFLOP/s", "");
        try (TileTuner tuner =
                        new TileTuner(kernels, device, new BenchSession.Settings(warmUps, repetitions, SECONDS));
                Progress progress = Progress.of(
                        "tune",
                        cases.stream()
                                .mapToInt(each -> tuner.candidates(each).size())
                                .sum())) {
            for (BenchCase each : cases) {
                int headDim = each.shape().headDim();
                int length = each.shape().seqQ();
                progress.say("head dimension %d, sequence %d".formatted(headDim, length));
                tuner.tune(each, length == lengths[0] ? 0 : length, (tile, result) -> {
                    trials.row(
                            String.valueOf(headDim),
                            String.valueOf(length),
                            tile.kernel().id(),
                            tile.toString(),
                            result.times()
                                    .map(times -> "%.3g".formatted(times.teraflops()))
                                    .orElse("-"),
                            verdict(result));
                    progress.step();
                });
            }
            trials.print(out);
            return tuner.table();
        }
    }

    private static String verdict(BenchResult result) {
        if (result.times().isEmpty()) {
            String message = Objects.requireNonNullElse(result.message(), "")
                    .replaceAll("\u001B\\[[;\\d]*m", ""); // TornadoVM's come in colours
            return "out: " + message.lines().findFirst().orElse("failed");
        }
        return result.good()
                ? "ok"
                : "out: error %.1e of %.1e allowed"
                        .formatted(
                                result.requireAccuracy().maxError(),
                                result.requireAccuracy().allowedError());
    }

    private void requireIntrinsics(ComputeDevice device) {
        for (AttentionKernel kernel : kernels) {
            if (!TileTuner.KERNELS.contains(kernel)) {
                throw new IllegalArgumentException("--kernel names %s, which has no tiles to tune: choose of %s."
                        .formatted(
                                kernel.id(),
                                TileTuner.KERNELS.stream()
                                        .map(AttentionKernel::id)
                                        .collect(Collectors.joining(", "))));
            }
        }
        if (kernels.stream().noneMatch(kernel -> kernel.supports(device))) {
            throw new UnsupportedOnDeviceException(
                    device,
                    "the instructions of the kernels that have tiles to tune (%s)"
                            .formatted(device.extension().reason()),
                    "tune where './attention devices' says that there are warp intrinsics; the other kernels need no"
                            + " tuning");
        }
    }

    private List<BenchCase> cases() {
        if (dtype == DType.F32) {
            throw new IllegalArgumentException("--type is f32: the kernels with tiles to tune take f16 and bf16.");
        }
        Arrays.sort(lengths);
        if (lengths[0] < 1
                || Arrays.stream(headDims).min().orElse(0) < 1
                || warmUps < 0
                || repetitions < 1
                || tokens < 1
                || width < 1) {
            throw new IllegalArgumentException(
                    "--seq, --head-dim, --tokens, --width and --repeat must be 1 or more, --warm-up 0 or more.");
        }
        List<BenchCase> cases = new ArrayList<>();
        for (int headDim : headDims) {
            for (int length : lengths) {
                int heads = Math.max(1, width / headDim);
                int batch = Math.max(1, tokens / length);
                cases.add(new BenchCase(
                        Direction.FORWARD,
                        dtype,
                        new AttentionShape(batch, heads, heads, length, length, headDim),
                        causal));
            }
        }
        return cases;
    }

    private static void write(PrintWriter out, TuningTable table, Optional<ResultFile> file) throws IOException {
        out.println();
        out.print(table);
        out.println();
        if (file.isPresent()) {
            file.get().write(table.toString());
            out.println("Written to %s. To compute with it: JDK_JAVA_OPTIONS=-Dtornadoattention.tuning=%s ./attention …"
                    .formatted(file.get(), file.get().path().toAbsolutePath()));
        } else {
            out.println("Not written to a file: '-o FILE' does that.");
        }
    }
}
