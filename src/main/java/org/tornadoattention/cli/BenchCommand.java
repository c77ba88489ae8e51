package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.bench.BackwardBenchmark;
import org.tornadoattention.bench.BackwardCase;
import org.tornadoattention.bench.BackwardMeasurement;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.ForwardBenchmark;
import org.tornadoattention.bench.ForwardCase;
import org.tornadoattention.bench.ForwardMeasurement;
import org.tornadoattention.bench.Spread;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.AttentionKernel;
import org.tornadoattention.plan.DeviceMemory;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.plan.Tile;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention bench}: throughput of the kernels on a shape. */
@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        description = {
            "Measure the kernels on a shape, forward, backward or both.",
            "",
            "Inputs stay on the device. Rows from the first, a middle and the last head are compared with the float64"
                    + " oracle before the first time is taken. Times are medians with half the distance between the"
                    + " quartiles; GFLOP/s are 4 x batch x heads x queries x keys x head dimension, half of it for a"
                    + " causal mask and 2.5 times it for the backward pass, over the kernel time. Exit code 0 only if every"
                    + " kernel was right.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention bench --heads 8 --seq 512,1024 --head-dim 64",
            "  ./attention bench --backend cuda --kernel tiled --heads 16 --seq 4096 --head-dim 128 --causal",
            "  ./attention bench --direction backward --heads 16 --seq 4096 --head-dim 64",
            "  ./attention bench --type bf16 --heads 32 --kv-heads 8 --seq 2048 --json"
        })
final class BenchCommand implements Callable<Integer> {

    @Option(names = "--batch", defaultValue = "1", description = "Sequences (default ${DEFAULT-VALUE}).")
    private int batch;

    @Option(names = "--heads", defaultValue = "8", description = "Query heads (default ${DEFAULT-VALUE}).")
    private int heads;

    @Option(names = "--kv-heads", description = "Key and value heads (default: as many as query heads).")
    private Integer kvHeads;

    @Option(
            names = "--seq",
            split = ",",
            defaultValue = "512",
            paramLabel = "N",
            description = "Sequence lengths, separated by commas (default ${DEFAULT-VALUE}).")
    private int[] lengths;

    @Option(names = "--head-dim", defaultValue = "64", description = "Elements per head (default ${DEFAULT-VALUE}).")
    private int headDim;

    @Option(names = "--type", defaultValue = "f32", description = "f32, f16 or bf16 (default ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(
            names = "--direction",
            defaultValue = "forward",
            description = "forward, backward or forward-backward (default ${DEFAULT-VALUE}).")
    private Direction direction;

    @Option(names = "--causal", description = "With a causal mask.")
    private boolean causal;

    @Option(names = "--warm-up", defaultValue = "3", description = "Executions before (default ${DEFAULT-VALUE}).")
    private int warmUps;

    @Option(names = "--repeat", defaultValue = "10", description = "Executions that count (default ${DEFAULT-VALUE}).")
    private int repetitions;

    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        PrintWriter out = spec.commandLine().getOut();
        ComputeDevice device = compute.device();
        ComputeOptions.announce(json ? spec.commandLine().getErr() : out, device);
        List<AttentionKernel> kernels = compute.kernel()
                .map(List::of)
                .orElseGet(() -> Arrays.stream(AttentionKernel.values())
                        .filter(kernel -> kernel.supports(dtype) && kernel.supports(device))
                        .toList());
        if (!json) {
            out.println("%-30s %-10s %-10s %20s %20s %9s %18s"
                    .formatted("case", "kernel", "tile", "kernel time", "wall time", "GFLOP/s", "error (allowed)"));
        }
        List<BenchRow> rows = new ArrayList<>();
        for (int length : lengths) {
            AttentionShape shape =
                    new AttentionShape(batch, heads, kvHeads == null ? heads : kvHeads, length, length, headDim);
            for (AttentionKernel kernel : kernels) {
                try (FlashAttention attention = FlashAttention.on(device, kernel);
                        Progress progress = Progress.of(kernel.id(), 1 + warmUps + repetitions)) {
                    BenchRow row = measure(attention, shape, progress);
                    rows.add(row);
                    if (!json) {
                        print(out, row);
                    }
                } catch (UnsupportedOnDeviceException e) {
                    (json ? spec.commandLine().getErr() : out)
                            .println("%-30s %-9s %s".formatted(shape, kernel.id(), e.getMessage()));
                }
            }
        }
        if (json) {
            Json.print(out, rows);
        }
        boolean good = !rows.isEmpty() && rows.stream().allMatch(BenchRow::passed);
        return good ? Main.GOOD : Main.FAILED;
    }

    private BenchRow measure(FlashAttention attention, AttentionShape shape, Progress progress) {
        if (direction == Direction.FORWARD) {
            return BenchRow.of(new ForwardBenchmark(attention, warmUps, repetitions)
                    .measure(new ForwardCase(shape, dtype, causal), progress::step));
        }
        return BenchRow.of(new BackwardBenchmark(attention, warmUps, repetitions)
                .measure(
                        new BackwardCase(shape, dtype, causal, direction == Direction.FORWARD_BACKWARD),
                        progress::step));
    }

    private static void print(PrintWriter out, BenchRow row) {
        out.println("%-30s %-10s %-10s %10.3f ms ± %4.1f%% %10.3f ms ± %4.1f%% %,9.1f %8.1e (%.1e) %s"
                .formatted(
                        row.problem(),
                        row.kernel(),
                        row.tile() == null ? "-" : row.tile(),
                        row.kernelMilliseconds(),
                        100 * row.kernelRelativeSpread(),
                        row.wallMilliseconds(),
                        100 * row.wallRelativeSpread(),
                        1e3 * row.teraflops(),
                        row.maxError(),
                        row.allowedError(),
                        row.passed() ? "ok" : "FAILED"));
        out.flush();
    }

    /** A measurement as a line of JSON or of a table; times are medians. */
    record BenchRow(
            String problem,
            String kernel,
            String tile,
            double kernelMilliseconds,
            double kernelRelativeSpread,
            double wallMilliseconds,
            double wallRelativeSpread,
            int repetitions,
            double teraflops,
            long extraBytes,
            double maxError,
            double allowedError,
            boolean passed) {

        static BenchRow of(ForwardMeasurement measurement) {
            return of(
                    measurement.measured().toString(),
                    measurement.choice(),
                    measurement.kernelTime(),
                    measurement.wallTime(),
                    measurement.teraflops(),
                    measurement.memory(),
                    measurement.comparisons());
        }

        static BenchRow of(BackwardMeasurement measurement) {
            return of(
                    measurement.measured().toString(),
                    measurement.choice(),
                    measurement.kernelTime(),
                    measurement.wallTime(),
                    measurement.teraflops(),
                    measurement.memory(),
                    measurement.comparisons());
        }

        private static BenchRow of(
                String problem,
                KernelChoice choice,
                Spread kernelTime,
                Spread wallTime,
                double teraflops,
                DeviceMemory memory,
                List<Comparison> comparisons) {
            Comparison worst = comparisons.stream()
                    .max((a, b) -> Double.compare(a.maxError() / a.limit(), b.maxError() / b.limit()))
                    .orElseThrow();
            return new BenchRow(
                    problem,
                    choice.kernel().id(),
                    choice.tile().map(Tile::toString).orElse(null),
                    1e3 * kernelTime.medianSeconds(),
                    kernelTime.relativeSpread(),
                    1e3 * wallTime.medianSeconds(),
                    wallTime.relativeSpread(),
                    kernelTime.repetitions(),
                    teraflops,
                    memory.extraBytes(),
                    worst.maxError(),
                    worst.limit(),
                    comparisons.stream().allMatch(Comparison::passed));
        }
    }
}
