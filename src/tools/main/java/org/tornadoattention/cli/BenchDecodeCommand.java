package org.tornadoattention.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.bench.DecodeBenchmark;
import org.tornadoattention.bench.DecodeCase;
import org.tornadoattention.bench.DecodeMeasurement;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention bench-decode}: bandwidth of decode steps over a key-value cache. */
@Command(
        name = "bench-decode",
        mixinStandardHelpOptions = true,
        description = {
            "Measure decode steps over a key-value cache.",
            "",
            "A step appends a token to each sequence and lets its query attend to all keys. Heads of the first step are"
                    + " compared with the float64 oracle before a time is taken. TB/s are bytes of keys and values over"
                    + " the time of all kernels of a step; wall time is the whole call, transfers included. On the JVM a copy of"
                    + " as many bytes by as many threads runs beside. Exit code 0 only if every result was right.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention bench-decode --keys 512 --heads 8 --kv-heads 2 --head-dim 64",
            "  ./attention bench-decode --backend cuda --batch 1,8,32 --keys 4096,16384",
            "  ./attention bench-decode --backend cuda --batch 8 --keys 65536 --splits 8,16,33 --json"
        })
final class BenchDecodeCommand implements Callable<Integer> {

    @Mixin
    private DeviceOptions where = new DeviceOptions();

    @Option(
            names = "--batch",
            split = ",",
            defaultValue = "1",
            paramLabel = "B",
            description = "Sequences (default ${DEFAULT-VALUE}).")
    private int[] batches;

    @Option(names = "--heads", description = "Query heads (default 32; in the simulator 8).")
    private Optional<Integer> heads = Optional.empty();

    @Option(names = "--kv-heads", description = "Key and value heads (default 8; in the simulator 2).")
    private Optional<Integer> kvHeads = Optional.empty();

    @Option(
            names = "--keys",
            split = ",",
            paramLabel = "N",
            description = "Keys of a sequence (default 4096; in the simulator 256).")
    private List<Integer> keys = List.of();

    @Option(names = "--head-dim", defaultValue = "128", description = "Elements per head (default ${DEFAULT-VALUE}).")
    private int headDim;

    @Option(names = "--type", defaultValue = "f16", description = "f32, f16 or bf16 (default ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(
            names = {"-k", "--kernel"},
            paramLabel = "NAME",
            completionCandidates = KernelIds.OfDecoding.class,
            description = "${COMPLETION-CANDIDATES}. Default: the best for the device.")
    private Optional<DecodeKernel> kernel = Optional.empty();

    @Option(names = "--fp8", description = "With the cache in FP8.")
    private boolean fp8;

    @Option(names = "--page-size", defaultValue = "0", description = "With a paged cache of this page size.")
    private int pageSize;

    @Option(
            names = "--splits",
            split = ",",
            defaultValue = "0",
            paramLabel = "S",
            description = "Parts of the keys; 0 chooses for the device (default ${DEFAULT-VALUE}).")
    private int[] splits;

    @Option(names = "--cuda-graph", description = "Take wall times of steps as one CUDA graph too.")
    private boolean cudaGraph;

    @Option(names = "--warm-up", defaultValue = "5", description = "Steps before (default ${DEFAULT-VALUE}).")
    private int warmUps;

    @Option(names = "--repeat", defaultValue = "20", description = "Steps that count (default ${DEFAULT-VALUE}).")
    private int repetitions;

    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        PrintWriter out = spec.commandLine().getOut();
        DecodeBenchmark.requireCounts(warmUps, repetitions);
        ComputeDevice device = device();
        List<Trial> trials = trials(device.isSimulator());
        ComputeOptions.announce(json ? spec.commandLine().getErr() : out, device);
        if (!json) {
            out.println("%-50s %-45s %20s %20s %13s %8s %9s %18s"
                    .formatted(
                            "case",
                            "tile",
                            "kernel time",
                            "wall time",
                            "as a graph",
                            "TB/s",
                            "of a copy",
                            "error (allowed)"));
        }
        List<DecodeRow> rows = new ArrayList<>();
        for (Trial trial : trials) {
            try (Progress progress = Progress.of("decode", steps())) {
                DecodeRow row =
                        DecodeRow.of(new DecodeBenchmark(device, kernel, trial.splits, cudaGraph, warmUps, repetitions)
                                .measure(trial.measured, progress::step));
                rows.add(row);
                if (!json) {
                    out.println(row);
                    out.flush();
                }
            }
        }
        if (json) {
            Json.print(out, rows);
        }
        return rows.stream().allMatch(DecodeRow::passed) ? Main.GOOD : Main.FAILED;
    }

    /** The device that was asked for, or the best for the kernel that was. */
    private ComputeDevice device() {
        ComputeDevice found = where.find();
        boolean graphs = cudaGraph || kernel.stream().anyMatch(wanted -> wanted != DecodeKernel.VECTOR);
        return !where.hasBackend() && graphs ? Devices.forTaskGraphs(found) : found;
    }

    /** A case and the parts that its keys are split into, 0 to choose for the device. */
    private record Trial(DecodeCase measured, int splits) {}

    /** All of them before the work, so that a case that cannot be is refused at once. */
    private List<Trial> trials(boolean simulated) {
        List<Trial> trials = new ArrayList<>();
        for (int batch : batches) {
            for (int length : keys.isEmpty() ? List.of(simulated ? 256 : 4096) : keys) {
                for (int parts : splits) {
                    if (parts < 0) {
                        throw new IllegalArgumentException(
                                "--splits is %d: it must be 1 or more, or 0 to choose for the device."
                                        .formatted(parts));
                    }
                    trials.add(new Trial(
                            new DecodeCase(
                                    batch,
                                    heads.orElse(simulated ? 8 : 32),
                                    kvHeads.orElse(simulated ? 2 : 8),
                                    length,
                                    headDim,
                                    dtype,
                                    fp8,
                                    pageSize),
                            parts));
                }
            }
        }
        return trials;
    }

    private int steps() {
        return 1 + warmUps + 2 * repetitions + (cudaGraph ? 1 + warmUps + repetitions : 0);
    }

    /** A measurement as a line of JSON or of a table; times are medians. */
    record DecodeRow(
            String problem,
            String tile,
            double kernelMilliseconds,
            double kernelRelativeSpread,
            double wallMilliseconds,
            double wallRelativeSpread,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Double graphMilliseconds,

            int repetitions,
            double terabytesPerSecond,

            @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Double shareOfACopy,

            double maxError,
            double allowedError,
            boolean passed) {

        static DecodeRow of(DecodeMeasurement measurement) {
            Comparison worst = measurement.comparisons().stream()
                    .max((a, b) -> Double.compare(a.maxError() / a.limit(), b.maxError() / b.limit()))
                    .orElseThrow();
            return new DecodeRow(
                    measurement.measured().toString(),
                    measurement.tile().toString(),
                    1e3 * measurement.kernelTime().medianSeconds(),
                    measurement.kernelTime().relativeSpread(),
                    1e3 * measurement.wallTime().medianSeconds(),
                    measurement.wallTime().relativeSpread(),
                    measurement
                            .graphTime()
                            .map(time -> 1e3 * time.medianSeconds())
                            .orElse(null),
                    measurement.kernelTime().repetitions(),
                    measurement.terabytesPerSecond(),
                    measurement.shareOfACopy().orElse(null),
                    worst.maxError(),
                    worst.limit(),
                    measurement.passed());
        }

        @Override
        public String toString() {
            return "%-50s %-45s %10.4f ms ± %4.1f%% %10.4f ms ± %4.1f%% %13s %8.4f %9s %8.1e (%.1e) %s"
                    .formatted(
                            problem,
                            tile,
                            kernelMilliseconds,
                            100 * kernelRelativeSpread,
                            wallMilliseconds,
                            100 * wallRelativeSpread,
                            graphMilliseconds == null ? "-" : "%.4f ms".formatted(graphMilliseconds),
                            terabytesPerSecond,
                            shareOfACopy == null ? "-" : "%.2f".formatted(shareOfACopy),
                            maxError,
                            allowedError,
                            passed ? "ok" : "FAILED");
        }
    }
}
