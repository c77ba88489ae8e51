package org.tornadoattention.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Execution;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.bench.Memory;
import org.tornadoattention.bench.WarmUp;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DeviceMemory;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention demo}: the main job in one go. */
@Command(
        name = "demo",
        mixinStandardHelpOptions = true,
        description = {
            "Attention on a real text: checked, timed, and read back.",
            "",
            "Eight induction heads read the Apache License and predict each next character from what followed the same"
                    + " last 1, 2, … 8 characters before. The result is compared with a float64 oracle; exit code 1 if"
                    + " an error is above what is allowed.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention demo",
            "  ./attention demo --kernel tiled --length 512",
            "  TORNADOVM_HOME=~/tornadovm ./attention demo --backend opencl"
        })
final class DemoCommand implements Callable<Integer> {

    private static final int TIMED_CALLS = 3;
    /** More on the JVM, where other work of the machine disturbs single calls. */
    private static final int TIMED_CALLS_ON_JVM = 11;

    private static final Duration ENOUGH = Duration.ofSeconds(10);
    private static final double WARM_UP_SECONDS = 1.5;

    @Option(
            names = {"-n", "--length"},
            paramLabel = "N",
            defaultValue = "2048",
            description = "Characters of the text, from 2 to all of its 10 thousand. Default: ${DEFAULT-VALUE}.")
    private int length;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        String text = text(length);
        ComputeDevice device = compute.device();
        ComputeOptions.announce(out, device);
        out.println("""
                Attention predicts each next character of the Apache License from what followed the same last 1, 2, … 8
                characters before (eight induction heads), and is checked against a float64 oracle.
                """);
        out.flush();

        InductionHeads heads = new InductionHeads(text);
        Tensor q = heads.queries();
        Tensor k = heads.keys();
        Tensor v = heads.values();
        int calls = device.isJvm() ? TIMED_CALLS_ON_JVM : TIMED_CALLS;
        List<Execution> timed = new ArrayList<>();
        AttentionShape shape = AttentionShape.of(q, k, v, heads.options());
        Execution first;
        AttentionResult last;
        KernelChoice choice;
        AccuracyCheck check;
        try (FlashAttention attention = compute.attention(device);
                Progress progress = Progress.of("demo", calls + 2)) {
            progress.say("first call, which compiles");
            last = attention.forward(q, k, v, heads.options());
            first = last.execution().orElseThrow();
            progress.step();
            if (device.isJvm()) {
                progress.say("the JVM compiles its engine");
                WarmUp.untilTimesStandStill(
                        () -> attention
                                .forward(q, k, v, heads.options())
                                .execution()
                                .orElseThrow()
                                .kernelTime()
                                .toNanos(),
                        WARM_UP_SECONDS);
            }
            progress.say("timed calls");
            Duration spent = first.wallTime();
            while (timed.isEmpty() || timed.size() < calls && spent.compareTo(ENOUGH) < 0) {
                last = attention.forward(q, k, v, heads.options());
                Execution execution = last.execution().orElseThrow();
                spent = spent.plus(execution.wallTime());
                timed.add(execution);
                progress.step();
            }
            choice = attention.choose(shape, q.dtype(), heads.options());
            progress.say("oracle");
            check = AccuracyCheck.of(q, k, v, heads.options())
                    .ofProducts(compute.kernel().filter(AttentionKernel::isFp8).isPresent());
            progress.step();
        }
        List<Comparison> comparisons = check.forward(last.output(), last.logSumExp());
        table(AttentionProblem.of(shape, q.dtype(), heads.options()), choice, first, timed, comparisons)
                .print(out);
        out.println();
        DemoReading.print(out, heads, text, last);
        return comparisons.stream().allMatch(Comparison::passed) ? Main.GOOD : Main.FAILED;
    }

    private static Table table(
            AttentionProblem problem,
            KernelChoice choice,
            Execution first,
            List<Execution> timed,
            List<Comparison> comparisons) {
        Duration kernelTime = median(timed.stream().map(Execution::kernelTime).toList());
        Duration wallTime = median(timed.stream().map(Execution::wallTime).toList());
        AttentionKernel kernel = choice.kernel();
        DeviceMemory needed = DeviceMemory.of(problem, choice);
        Memory memory =
                first.device().isJvm() ? Memory.onJvm(needed, first) : Memory.of(needed, first.deviceBytes(), null);
        long extra = memory.beyondTensors();
        long standard = DeviceMemory.of(problem, AttentionKernel.STANDARD).extraBytes();

        Table table = new Table("  ");
        table.row(
                "problem",
                "%d heads × %,d × %d, %s, causal"
                        .formatted(
                                problem.shape().heads(),
                                problem.shape().seqQ(),
                                problem.shape().headDim(),
                                problem.dtype()));
        table.row(
                "kernel",
                "%s%s: %s"
                        .formatted(
                                kernel.id(),
                                first.tile().map(tile -> ", tile " + tile).orElse(""),
                                kernel.summary()));
        table.row("chosen because", first.reason());
        table.row(
                "time",
                "%s in the kernel, %s the whole call (median of %d%s); the first call took %s"
                        .formatted(
                                Units.time(kernelTime),
                                Units.time(wallTime),
                                timed.size(),
                                first.device().isJvm() ? " after a warm-up" : "",
                                Units.time(first.wallTime())));
        table.row("throughput", Units.rate(problem.flops(), kernelTime) + " by the kernel's time");
        table.row(
                "device memory",
                "%s beyond inputs and outputs; standard attention takes %s, %,.0f times as much"
                        .formatted(Units.bytes(extra), Units.bytes(standard), (double) standard / extra));
        for (Comparison comparison : comparisons) {
            table.row(
                    comparison.name().equals("o") ? "error of output" : "error of log-sum-exp",
                    "%.1e, allowed %.1e: %s"
                            .formatted(
                                    comparison.maxError(), comparison.limit(), comparison.passed() ? "ok" : "FAILED"));
        }
        return table;
    }

    private static Duration median(List<Duration> times) {
        return times.stream().sorted().toList().get(times.size() / 2);
    }

    private static String text(int length) throws IOException {
        try (InputStream stream = DemoCommand.class.getResourceAsStream("LICENSE")) {
            if (stream == null) {
                throw new IOException("The text of the demonstration is missing from the jar: build it again.");
            }
            String all = new String(stream.readAllBytes(), StandardCharsets.UTF_8)
                    .strip()
                    .replaceAll("\\s+", " ");
            if (length < 2 || length > all.length()) {
                throw new IllegalArgumentException(
                        "--length is %d: it must be from 2 to %d.".formatted(length, all.length()));
            }
            return all.substring(0, length);
        }
    }
}
