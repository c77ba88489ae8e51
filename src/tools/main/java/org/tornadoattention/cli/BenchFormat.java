package org.tornadoattention.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.BenchResult.Status;
import org.tornadoattention.bench.Ceilings;
import org.tornadoattention.bench.ComparedResult;
import org.tornadoattention.bench.Environment;
import org.tornadoattention.bench.PeerComparison;
import org.tornadoattention.bench.RunComparison;

/** Files of benchmarks as text. */
enum BenchFormat {
    /** Everything, to be read again by {@code --compare} and {@code report}. */
    JSON,
    /** A line a result, for spreadsheets. */
    CSV,
    /** A table for people. */
    MARKDOWN;

    /** What the mark on noisy results means. */
    static final String NOISY_NOTE = "~ too noisy to quote: the median of another run may differ by more than 5 %.";

    /** What the mark on shares above 100 % means. */
    static final String CEILING_NOTE = "! above 100 %: what that run took for the ceiling is less than the device can"
            + " do, so that the share says nothing: measure again, which raises ceilings to what was reached.";

    /** The heads of {@link #row}. */
    static final List<String> HEADS = List.of(
            "problem",
            "kernel",
            "kernel time",
            "wall time",
            "throughput",
            "× standard",
            "of ceiling",
            "device memory",
            "error (allowed)");

    private static final List<String> COLUMNS =
            List.of(("provider,pass,dtype,batch,heads,kvHeads,seqQ,seqK,headDim,valueDim,causal,window,"
                            + "kernel,tile,status,kernelMilliseconds,kernelSpread,wallMilliseconds,wallSpread,repetitions,"
                            + "repeatability,noisy,teraflops,speedUp,shareOfCeiling,tensorBytes,extraBytes,deviceBytes,globalBytes,"
                            + "maxError,allowedError,relativeError,passed,message,device,runtime,driver,java,commit,time,timeRatio")
                    .split(","));

    /**
     * The format of a file by its name's ending.
     *
     * @throws IllegalArgumentException if it is none of {@code .json}, {@code .csv} and {@code .md}
     */
    static BenchFormat of(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        if (name.endsWith(".json")) {
            return JSON;
        }
        if (name.endsWith(".csv")) {
            return CSV;
        }
        if (name.endsWith(".md")) {
            return MARKDOWN;
        }
        throw new IllegalArgumentException(
                "%s has no ending that says what to write: use .json, .csv or .md.".formatted(file));
    }

    /** The text of a file of this format, with other results beside those of the file. */
    String text(BenchFile file, List<BenchFile> others) {
        return switch (this) {
            case JSON -> file.beside(others).toJson() + "\n";
            case CSV -> csv(file.beside(others));
            case MARKDOWN -> markdown(file, others);
        };
    }

    private static String csv(BenchFile file) {
        StringBuilder text = new StringBuilder(String.join(",", COLUMNS)).append('\n');
        for (BenchResult result : file.results()) {
            text.append(line(cells(result, file.environment(), null)));
        }
        for (ComparedResult other : Objects.requireNonNullElse(file.compared(), List.<ComparedResult>of())) {
            text.append(line(cells(other.result(), other.environment(), other.timeRatio())));
        }
        return text.toString();
    }

    private static String line(List<@Nullable Object> cells) {
        return cells.stream().map(BenchFormat::quoted).collect(Collectors.joining(",", "", "\n"));
    }

    private static String quoted(@Nullable Object cell) {
        String text = Objects.toString(cell, "");
        return text.matches("[^,\"\\n\\r]*") ? text : '"' + text.replace("\"", "\"\"") + '"';
    }

    private static List<@Nullable Object> cells(
            BenchResult result, Environment environment, @Nullable Double timeRatio) {
        var measured = result.measured();
        var shape = measured.shape();
        List<@Nullable Object> cells = new ArrayList<>(List.of(
                result.provider(),
                measured.pass().id(),
                measured.dtype(),
                shape.batch(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqQ(),
                shape.seqK(),
                shape.headDim()));
        cells.add(shape.valueDim());
        cells.add(measured.causal());
        cells.add(measured.window());
        cells.add(result.kernel());
        cells.add(result.tile());
        cells.add(result.status());
        cells.addAll(of(
                result.timing(),
                8,
                timing -> List.of(
                        timing.kernelMilliseconds(),
                        timing.kernelSpread(),
                        timing.wallMilliseconds(),
                        timing.wallSpread(),
                        timing.repetitions(),
                        timing.repeatability(),
                        timing.noisy(),
                        timing.teraflops())));
        cells.add(result.speedUp());
        cells.add(result.shareOfCeiling());
        cells.addAll(of(result.memory(), 4, memory -> {
            List<@Nullable Object> bytes = new ArrayList<>(List.of(memory.tensorBytes(), memory.extraBytes()));
            bytes.add(memory.deviceBytes());
            bytes.add(memory.globalBytes());
            return bytes;
        }));
        cells.addAll(of(
                result.accuracy(),
                4,
                accuracy -> List.of(
                        accuracy.maxError(), accuracy.allowedError(), accuracy.relativeError(), accuracy.passed())));
        cells.add(result.message());
        cells.add(environment.device());
        cells.add(environment.runtime());
        cells.add(environment.driver());
        cells.add(environment.java());
        cells.add(environment.commit());
        cells.add(environment.time());
        cells.add(timeRatio);
        return cells;
    }

    private static <T> List<@Nullable Object> of(
            @Nullable T part, int cells, Function<T, List<@Nullable Object>> values) {
        return part == null ? new ArrayList<@Nullable Object>(Collections.nCopies(cells, null)) : values.apply(part);
    }

    private static String markdown(BenchFile file, List<BenchFile> others) {
        StringBuilder text = new StringBuilder("%s.%s Commit %s, %s.\n\n"
                .formatted(
                        file.environment().describe(),
                        ceilings(file.ceilings()),
                        Objects.requireNonNullElse(file.environment().commit(), "unknown"),
                        file.environment().time()));
        List<List<String>> rows = new ArrayList<>(List.of(HEADS));
        file.results().forEach(result -> rows.add(row(result)));
        text.append(markdown(rows));
        if (file.results().stream().anyMatch(BenchFormat::noisy)) {
            text.append('\n').append(NOISY_NOTE).append('\n');
        }
        sections(file, others).forEach(section -> text.append(markdown(section)));
        return text.toString();
    }

    /** A result as cells of a table. */
    static List<String> row(BenchResult result) {
        if (result.status() != Status.MEASURED) {
            return List.of(
                    result.measured().toString(),
                    result.label(),
                    (result.status() == Status.FAILED ? "FAILED: " : "not here: ") + result.message());
        }
        var timing = result.requireTiming();
        return List.of(
                result.measured().toString(),
                result.label(),
                "%s ± %.1f%%%s"
                        .formatted(
                                Units.milliseconds(timing.kernelMilliseconds()),
                                100 * timing.kernelSpread(),
                                noisy(result) ? " ~" : ""),
                "%s ± %.1f%%".formatted(Units.milliseconds(timing.wallMilliseconds()), 100 * timing.wallSpread()),
                Units.rate(timing.teraflops()),
                result.speedUp() == null ? "" : Units.digits(result.speedUp()) + "×",
                result.shareOfCeiling() == null ? "" : "%.1f%%".formatted(100 * result.shareOfCeiling()),
                result.memory() == null
                        ? ""
                        : Units.bytes(result.requireMemory().tensorBytes()
                                + result.requireMemory().beyondTensors()),
                result.accuracy() == null
                        ? ""
                        : "%.1e (%.1e)%s"
                                .formatted(
                                        result.requireAccuracy().maxError(),
                                        result.requireAccuracy().allowedError(),
                                        result.requireAccuracy().passed() ? "" : " WRONG"));
    }

    /**
     * What other results say of the problems of a file of ours.
     *
     * @param titles whose they are
     * @param rows a table, the first row being its head; empty where no problem was measured on both sides
     * @param summary what it comes to, or empty
     */
    record Section(List<String> titles, List<List<String>> rows, String summary) {

        private static Section of(List<String> titles, List<List<String>> rows, String summary) {
            return rows.size() > 1
                    ? new Section(titles, rows, summary)
                    : new Section(titles, List.of(), "No problem was measured on both sides: run the same preset.");
        }
    }

    /** All peers in one table, and each earlier run of ours in one of its own. */
    static List<Section> sections(BenchFile file, List<BenchFile> others) {
        List<Section> sections = new ArrayList<>();
        List<BenchFile> peers = others.stream().filter(other -> !isOurs(other)).toList();
        if (!peers.isEmpty()) {
            List<BenchFile> all = new ArrayList<>(List.of(file));
            all.addAll(peers);
            sections.add(Section.of(
                    peers.stream()
                            .map(peer -> "Beside " + peer.environment().describe())
                            .toList(),
                    peers(PeerComparison.of(all)),
                    ""));
        }
        for (BenchFile run : others.stream().filter(BenchFormat::isOurs).toList()) {
            List<RunComparison> comparisons = RunComparison.of(run, file);
            sections.add(Section.of(
                    List.of("Beside the run of %s, %s"
                            .formatted(
                                    run.environment().time(), run.environment().describe())),
                    runs(comparisons),
                    summary(comparisons)));
        }
        return sections;
    }

    private static boolean isOurs(BenchFile file) {
        return file.results().stream().allMatch(result -> result.provider().equals(BenchResult.OURS));
    }

    private static String markdown(Section section) {
        return "\n%s.\n%s%s"
                .formatted(
                        String.join(".\n", section.titles()),
                        section.rows().isEmpty() ? "" : "\n" + markdown(section.rows()),
                        section.summary().isEmpty() ? "" : "\n" + section.summary() + "\n");
    }

    static boolean noisy(BenchResult result) {
        return result.timing() != null && result.requireTiming().noisy();
    }

    /** The ceilings as a sentence. */
    static String ceilings(@Nullable Ceilings ceilings) {
        if (ceilings == null) {
            return "";
        }
        String tensor = ceilings.tensorFlopsPerSecond() == null
                ? ""
                : ", products on tensor cores " + Units.rate(ceilings.tensorFlopsPerSecond() / 1e12);
        return " Ceilings, the fastest of this run: copy %,.1f GB/s read and written, F32 multiply-adds %s%s."
                .formatted(
                        ceilings.copyBytesPerSecond() / 1e9, Units.rate(ceilings.f32FlopsPerSecond() / 1e12), tensor);
    }

    /** The comparison with peers as a table's rows, the first being its head. */
    static List<List<String>> peers(List<PeerComparison> comparisons) {
        List<String> peers = comparisons.stream()
                .flatMap(comparison -> comparison.peers().stream())
                .map(peer -> peer.provider() + " " + peer.kernel())
                .distinct()
                .toList();
        List<List<String>> rows = new ArrayList<>();
        List<String> head = new ArrayList<>(List.of("problem", "our fastest", "throughput"));
        head.addAll(peers);
        rows.add(head);
        for (PeerComparison comparison : comparisons) {
            List<String> row = new ArrayList<>(List.of(
                    comparison.measured().toString(),
                    comparison.ours().label() + (noisy(comparison.ours()) ? " ~" : ""),
                    Units.rate(comparison.ours().requireTiming().teraflops())));
            for (String name : peers) {
                row.add(comparison.peers().stream()
                        .filter(peer -> name.equals(peer.provider() + " " + peer.kernel()))
                        .findFirst()
                        .map(peer -> "%s, %s× the time%s"
                                .formatted(
                                        Units.rate(peer.requireTiming().teraflops()),
                                        Units.digits(comparison.timeRatio(peer)),
                                        noisy(peer) ? " ~" : ""))
                        .orElse(""));
            }
            rows.add(row);
        }
        return rows;
    }

    /** Two runs as a table's rows, the first being its head. */
    static List<List<String>> runs(List<RunComparison> comparisons) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("problem", "kernel", "median then", "median now", "change", "within 5 %"));
        for (RunComparison comparison : comparisons) {
            rows.add(List.of(
                    comparison.now().measured().toString(),
                    comparison.now().label(),
                    Units.milliseconds(comparison.before().requireTiming().kernelMilliseconds()),
                    Units.milliseconds(comparison.now().requireTiming().kernelMilliseconds()),
                    "%+.1f%%".formatted(100 * comparison.change()),
                    (comparison.agrees() ? "yes" : "no") + (comparison.noisy() ? " ~" : "")));
        }
        return rows;
    }

    /** What two runs come to, as a sentence. */
    static String summary(List<RunComparison> comparisons) {
        List<RunComparison> quotable =
                comparisons.stream().filter(comparison -> !comparison.noisy()).toList();
        return ("%d of %d medians are within 5 %%, %d of the %d that neither run marks as noisy;"
                        + " the largest change of those is %.1f %%.")
                .formatted(
                        comparisons.stream().filter(RunComparison::agrees).count(),
                        comparisons.size(),
                        quotable.stream().filter(RunComparison::agrees).count(),
                        quotable.size(),
                        quotable.stream()
                                .mapToDouble(comparison -> 100 * Math.abs(comparison.change()))
                                .max()
                                .orElse(0));
    }

    /** Rows as a Markdown table. */
    static String markdown(List<List<String>> rows) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < rows.size(); i++) {
            text.append("| ").append(String.join(" | ", rows.get(i))).append(" |\n");
            if (i == 0) {
                text.append("|---".repeat(rows.getFirst().size())).append("|\n");
            }
        }
        return text.toString();
    }
}
