package org.tornadoattention.report;

import static org.tornadoattention.report.Charts.grouped;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.tensor.DType;

/** What the papers of the field promise, each with our figure, as far as the results have one. */
final class Claims {

    private static final String NOT_MEASURED = "not in these results";

    private final List<Entry> entries;
    private final List<Entry> timed;

    Claims(List<Entry> entries) {
        this.entries = entries;
        this.timed = Entry.ofDevices(entries);
    }

    HtmlTable table() {
        return new HtmlTable("claim", "the paper's figure", "ours", "from")
                .row(
                        "Faster than standard attention, the more so the longer the sequence",
                        "FlashAttention: 5.7× at N = 1024 (A100, forward and backward); FlashAttention-2: 3–10× over PyTorch",
                        speedUps(Direction.FORWARD),
                        "forward, our fastest kernel over standard attention in the same type, the best of each N; ours is naive, PyTorch's made of"
                                + " library products")
                .row(
                        "… in the backward pass too",
                        "FlashAttention: 1.6–1.7× at N = 1024–4096, forward and backward together, over PyTorch on an A100",
                        speedUps(Direction.BACKWARD),
                        "backward, likewise")
                .row(
                        "Memory grows linearly",
                        "FlashAttention: 20× less than standard at N = 4096, tensors included",
                        memory(),
                        "device memory as the runtime allocated it, tensors included")
                .row(
                        "Less traffic of device memory",
                        "FlashAttention: 40.3 GB against 4.4 GB, 9.2× less, at N = 1024, d = 64, forward and backward",
                        traffic(),
                        "forward; flash as the simulator counted it, standard at its least, 4Nd + 4N²")
                .row(
                        "Larger tiles take less time, until something else binds",
                        "FlashAttention: falls up to a block of 256, then stays",
                        tiles(),
                        "kernels measured with more than two tiles, smallest to largest")
                .row(
                        "Exact: no approximation",
                        "FlashAttention-3's table, F16 with outliers: 1.9e-4 where standard attention has 3.2e-4",
                        exactness(),
                        "largest error over what the field's rule allows: twice that of standard attention in the same type,"
                                + " and a floor")
                .row(
                        "Near the device's peak",
                        "FlashAttention-2: 73 % of an A100's F16 peak; FlashAttention-3: 75 % of an H100's",
                        shares(),
                        "of the ceiling that the same run measured, best problem");
    }

    /** Our fastest kernel over a peer's standard attention, as the papers have it, and over ours, in the same type. */
    private String speedUps(Direction pass) {
        String text = Stream.of(speedUps(pass, false), speedUps(pass, true))
                .filter(part -> !part.isEmpty())
                .collect(Collectors.joining("; "));
        return text.isEmpty() ? NOT_MEASURED : text;
    }

    private String speedUps(Direction pass, boolean overOurs) {
        record Kind(String standard, DType dtype) {}
        Map<Kind, Map<Integer, Double>> best = new LinkedHashMap<>();
        grouped(timed.stream().filter(entry -> entry.problem().pass() == pass).toList(), Entry::problem)
                .forEach((problem, here) -> {
                    Optional<Entry> ours = here.stream()
                            .filter(entry -> entry.ours() && !entry.result().isStandard())
                            .min(Comparator.comparingDouble(Entry::milliseconds));
                    Optional<Entry> standard = here.stream()
                            .filter(entry ->
                                    entry.ours() == overOurs && entry.result().isStandard())
                            .findFirst();
                    if (ours.isPresent() && standard.isPresent()) {
                        best.computeIfAbsent(
                                        new Kind(
                                                overOurs
                                                        ? "our standard"
                                                        : standard.get().name(),
                                                problem.dtype()),
                                        kind -> new TreeMap<>())
                                .merge(
                                        problem.shape().seqK(),
                                        standard.get().milliseconds()
                                                / ours.get().milliseconds(),
                                        Math::max);
                    }
                });
        return best.entrySet().stream()
                .map(entry -> "%s over %s: %s"
                        .formatted(
                                entry.getKey().dtype,
                                entry.getKey().standard,
                                entry.getValue().entrySet().stream()
                                        .map(at -> "%s at %d".formatted(Amounts.factor(at.getValue()), at.getKey()))
                                        .collect(Collectors.joining(", "))))
                .collect(Collectors.joining("; "));
    }

    private String memory() {
        Map<Integer, Double> ratios = new TreeMap<>();
        withStandard(entry ->
                        entry.result().memory() != null && !entry.problem().causal())
                .forEach((problem, here) -> {
                    Optional<Entry> flash = here.stream()
                            .filter(entry -> !entry.result().isStandard())
                            .findFirst();
                    Entry standard = standard(here);
                    flash.ifPresent(entry -> ratios.merge(
                            problem.shape().seqK(), deviceBytes(standard) / deviceBytes(entry), Math::max));
                });
        return ratios.isEmpty()
                ? NOT_MEASURED
                : ratios.entrySet().stream()
                        .map(at -> "%s less at %d".formatted(Amounts.factor(at.getValue()), at.getKey()))
                        .collect(Collectors.joining(", "));
    }

    private static double deviceBytes(Entry entry) {
        return Charts.extraBytes(entry) + entry.result().requireMemory().tensorBytes();
    }

    private String traffic() {
        return entries.stream()
                .filter(entry -> entry.ours()
                        && entry.result().tile() != null
                        && entry.problem().pass() == Direction.FORWARD
                        && !entry.problem().causal()
                        && Charts.counted(entry).isPresent())
                .max(Comparator.comparingInt(
                                (Entry entry) -> entry.problem().shape().seqK())
                        .thenComparingDouble(entry -> -Charts.counted(entry).orElseThrow()))
                .map(entry -> "%s less (%s against %s) at N = %d, d = %s, tile %s"
                        .formatted(
                                Amounts.factor(Charts.standardBytes(entry.problem())
                                        / Charts.counted(entry).orElseThrow()),
                                Amounts.bytes(Charts.counted(entry).orElseThrow()),
                                Amounts.bytes(Charts.standardBytes(entry.problem())),
                                entry.problem().shape().seqK(),
                                BenchCase.dims(entry.problem().shape()),
                                entry.result().tile()))
                .orElse(NOT_MEASURED);
    }

    private String tiles() {
        List<Chart> sweeps = Charts.tileTimes(timed);
        if (sweeps.isEmpty()) {
            return NOT_MEASURED;
        }
        return sweeps.stream()
                .map(sweep -> "%s: %s"
                        .formatted(
                                sweep.title().replace("Time, ", ""),
                                sweep.series().getFirst().points().stream()
                                        .map(point ->
                                                "%s at Br = %d".formatted(Amounts.time(point.y()), (int) point.x()))
                                        .collect(Collectors.joining(", "))))
                .collect(Collectors.joining("; "));
    }

    private String exactness() {
        record Kind(DType dtype) {}
        List<String> shares = new ArrayList<>();
        grouped(
                        entries.stream()
                                .filter(entry -> entry.ours()
                                        && entry.result().accuracy() != null
                                        && !entry.result().isStandard())
                                .toList(),
                        entry -> new Kind(entry.problem().dtype()))
                .forEach((kind, here) -> shares.add("%s: %s in %d results"
                        .formatted(
                                kind.dtype,
                                Amounts.digits(here.stream()
                                        .map(entry -> entry.result().accuracy())
                                        .mapToDouble(accuracy -> accuracy.maxError() / accuracy.allowedError())
                                        .max()
                                        .orElseThrow()),
                                here.size())));
        return shares.isEmpty() ? NOT_MEASURED : String.join("; ", shares);
    }

    private String shares() {
        List<String> shares = new ArrayList<>();
        grouped(
                        timed.stream()
                                .filter(entry -> entry.ours() && entry.share().isPresent())
                                .toList(),
                        Entry::name)
                .forEach((name, here) -> {
                    Entry best = here.stream()
                            .max(Comparator.comparingDouble(
                                    entry -> entry.share().orElseThrow()))
                            .orElseThrow();
                    shares.add("%s %s (%s)"
                            .formatted(name, Amounts.percent(best.share().orElseThrow()), best.problem()));
                });
        return shares.isEmpty() ? NOT_MEASURED : String.join("; ", shares);
    }

    private Map<BenchCase, List<Entry>> withStandard(Predicate<Entry> filter) {
        Map<BenchCase, List<Entry>> groups = grouped(
                entries.stream()
                        .filter(entry -> entry.ours() && entry.problem().pass() == Direction.FORWARD)
                        .filter(filter)
                        .toList(),
                Entry::problem);
        groups.values()
                .removeIf(
                        here -> here.stream().noneMatch(entry -> entry.result().isStandard()));
        return groups;
    }

    private static Entry standard(List<Entry> entries) {
        return entries.stream()
                .filter(entry -> entry.result().isStandard())
                .findFirst()
                .orElseThrow();
    }
}
