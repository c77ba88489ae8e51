package org.tornadoattention.report;

import static org.tornadoattention.report.Charts.grouped;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.tensor.DType;

/** The page's tables, made of results. */
final class Tables {

    private Tables() {}

    /** Where the figures come from, a row a file. */
    static HtmlTable sources(List<BenchFile> files) {
        HtmlTable table =
                new HtmlTable("preset", "device", "runtime", "driver", "JDK", "commit", "time (UTC)", "results#");
        for (BenchFile file : files) {
            var environment = file.environment();
            table.row(
                    file.preset() + (file.complete() ? "" : " (interrupted)"),
                    environment.device(),
                    environment.runtime() + (environment.backend() == null ? "" : " (" + environment.backend() + ")"),
                    Objects.requireNonNullElse(environment.driver(), "–"),
                    Objects.requireNonNullElse(environment.java(), "–"),
                    Objects.requireNonNullElse(environment.commit(), "unknown"),
                    environment.time(),
                    file.results().size());
        }
        return table;
    }

    /**
     * The problem that the ladder is shown on: of those where standard attention was measured too, the one with the
     * most rungs, then the longest, without a mask.
     */
    static Optional<BenchCase> ladderCase(List<Entry> entries) {
        List<Entry> ours = Entry.ofDevices(entries).stream().filter(Entry::ours).toList();
        return ours.stream()
                .filter(entry -> entry.result().isStandard() && entry.problem().pass() == Direction.FORWARD)
                .map(Entry::problem)
                .distinct()
                .max(Comparator.comparing((BenchCase problem) -> rungs(ours, problem))
                        .thenComparing((BenchCase problem) -> !problem.causal())
                        .thenComparingInt(problem -> problem.shape().seqK())
                        .thenComparingDouble(BenchCase::flops)
                        .thenComparingInt(problem -> -problem.shape().headDim()));
    }

    private static long rungs(List<Entry> ours, BenchCase problem) {
        return ours.stream()
                .filter(entry -> sameBut(entry.problem(), problem))
                .map(entry -> entry.name() + entry.problem().dtype())
                .distinct()
                .count();
    }

    /** Each rung with its factors, for each device of ours that has the problem. */
    static HtmlTable ladder(List<Entry> entries, BenchCase problem) {
        HtmlTable table = new HtmlTable(
                "kernel", "type", "kernel time#", "throughput", "× standard#", "× the rung below#", "of ceiling#");
        List<Entry> ours = Entry.ofDevices(entries).stream()
                .filter(entry -> entry.ours() && sameBut(entry.problem(), problem))
                .toList();
        // Of each device the file with the most rungs, standard attention among them.
        grouped(
                        ours,
                        entry -> List.of(
                                entry.file().environment().device(),
                                entry.file().environment().backend()))
                .values()
                .forEach(ofDevice -> {
                    List<Entry> rungs = grouped(ofDevice, Entry::file).values().stream()
                            .filter(ofFile -> ofFile.stream()
                                    .anyMatch(entry -> entry.result().isStandard()))
                            .max(Comparator.comparingInt(List::size))
                            .orElse(List.of());
                    if (rungs.isEmpty()) {
                        return;
                    }
                    double fastest = rungs.stream()
                            .mapToDouble(entry -> entry.result().requireTiming().teraflops())
                            .max()
                            .orElseThrow();
                    double standard = rungs.stream()
                            .filter(entry -> entry.result().isStandard())
                            .findFirst()
                            .orElseThrow()
                            .milliseconds();
                    // A rung of another type is no rung below: it moves other bytes.
                    Map<DType, Entry> lastOfType = new HashMap<>();
                    for (Entry rung : bestTiles(rungs)) {
                        Entry below = lastOfType.put(rung.problem().dtype(), rung);
                        table.row(
                                rung.name()
                                        + (rung.result().tile() == null
                                                ? ""
                                                : " " + rung.result().tile()),
                                rung.problem().dtype(),
                                Amounts.time(rung.milliseconds())
                                        + (rung.result().requireTiming().noisy() ? " ~" : ""),
                                HtmlTable.bar(
                                        rung.result().requireTiming().teraflops() / fastest,
                                        Amounts.rate(1e12
                                                * rung.result().requireTiming().teraflops())),
                                Amounts.factor(standard / rung.milliseconds()),
                                below == null ? "–" : Amounts.factor(below.milliseconds() / rung.milliseconds()),
                                rung.result().shareOfCeiling() == null
                                        ? "–"
                                        : Amounts.percent(rung.result().shareOfCeiling()));
                    }
                });
        return table;
    }

    private static boolean sameBut(BenchCase problem, BenchCase other) {
        return problem.as(DType.F32).equals(other.as(DType.F32));
    }

    /** The best tile of each kernel and type, the portable types first. */
    private static List<Entry> bestTiles(List<Entry> rungs) {
        record Rung(String kernel, DType dtype) {}
        return grouped(rungs, entry -> new Rung(entry.name(), entry.problem().dtype())).values().stream()
                .map(ofRung -> ofRung.stream()
                        .min(Comparator.comparingDouble(Entry::milliseconds))
                        .orElseThrow())
                .sorted(Comparator.comparing((Entry entry) -> entry.problem().dtype()))
                .toList();
    }

    /** Errors of each kernel and type, the worst of its problems. */
    static HtmlTable errors(List<Entry> entries) {
        HtmlTable table = new HtmlTable(
                "kernel", "type", "pass", "problems#", "largest error#", "allowed there#", "relative error, worst#");
        record Kind(String name, DType dtype, Direction pass) {}
        grouped(
                        entries.stream()
                                .filter(entry -> entry.result().accuracy() != null)
                                .toList(),
                        entry -> new Kind(
                                entry.name(),
                                entry.problem().dtype(),
                                entry.problem().pass()))
                .forEach((kind, here) -> {
                    var worst = here.stream()
                            .map(entry -> entry.result().accuracy())
                            .max(Comparator.comparingDouble(accuracy -> accuracy.maxError() / accuracy.allowedError()))
                            .orElseThrow();
                    double relative = here.stream()
                            .mapToDouble(
                                    entry -> entry.result().requireAccuracy().relativeError())
                            .max()
                            .orElseThrow();
                    table.row(
                            kind.name,
                            kind.dtype,
                            kind.pass.id(),
                            here.size(),
                            "%.1e".formatted(worst.maxError()),
                            "%.1e".formatted(worst.allowedError()),
                            "%.1e".formatted(relative));
                });
        return table;
    }

    /** What was not measured, and why. */
    static HtmlTable missing(List<BenchFile> files) {
        HtmlTable table = new HtmlTable("problem", "kernel", "why");
        for (BenchFile file : files) {
            for (BenchResult result : file.results()) {
                if (!result.good()) {
                    String why = result.message() != null
                            ? result.message()
                            : "error %.1e, allowed %.1e"
                                    .formatted(
                                            result.requireAccuracy().maxError(),
                                            result.requireAccuracy().allowedError());
                    table.row(
                            result.measured(),
                            result.label(),
                            new HtmlTable.Markup("<span class=\"bad\">failed:</span> " + Html.escape(why)));
                } else if (result.timing() == null) {
                    table.row(
                            result.measured(),
                            result.provider() + " " + result.label(),
                            Objects.requireNonNullElse(result.message(), ""));
                }
            }
        }
        return table;
    }
}
