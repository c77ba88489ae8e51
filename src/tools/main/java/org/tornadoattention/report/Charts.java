package org.tornadoattention.report;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.Ceilings;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.report.Series.Point;
import org.tornadoattention.report.Series.Style;
import org.tornadoattention.tensor.DType;

/** The page's charts, made of results; each method gives none where nothing fits. */
final class Charts {

    private static final Axis LENGTH = new Axis("sequence length N (tokens)", Axis.Scale.LOG2, Amounts::count);

    private Charts() {}

    /** What charts of throughput have in common. */
    private record Panel(
            Direction pass,
            DType dtype,
            String headDim,
            boolean causal,
            @Nullable Integer window,
            boolean square,
            boolean simulated) {

        static Panel of(Entry entry) {
            BenchCase problem = entry.problem();
            AttentionShape shape = problem.shape();
            return new Panel(
                    problem.pass(),
                    problem.dtype(),
                    BenchCase.dims(shape),
                    problem.causal(),
                    problem.window(),
                    shape.seqQ() == shape.seqK(),
                    entry.simulated());
        }

        String title() {
            return "%s, %s, headDim %s%s%s%s%s"
                    .formatted(
                            switch (pass) {
                                case FORWARD -> "Forward";
                                case BACKWARD -> "Backward";
                                case FORWARD_BACKWARD -> "Forward and backward";
                            },
                            dtype,
                            headDim,
                            causal ? ", causal" : "",
                            window == null ? "" : ", window " + window,
                            square ? "" : ", few queries",
                            simulated ? ", simulator" : "");
        }
    }

    /** Throughput against N, a chart for each type, head dimension, mask and pass. */
    static List<Chart> throughput(List<Entry> entries) {
        List<Chart> charts = new ArrayList<>();
        grouped(entries, Panel::of).forEach((panel, here) -> {
            boolean tera = here.stream()
                            .mapToDouble(entry -> entry.result().requireTiming().teraflops())
                            .max()
                            .orElseThrow()
                    >= 0.5;
            List<Series> series = lines(
                    here,
                    Style.MEASURED,
                    entry -> entry.result().requireTiming().teraflops() * (tera ? 1 : 1e3));
            if (distinctLengths(here) > 1) {
                charts.add(new Chart(
                        panel.title(),
                        LENGTH,
                        new Axis(
                                "throughput (%sFLOP/s)".formatted(tera ? "T" : "G"),
                                Axis.Scale.LINEAR,
                                Amounts::digits),
                        series,
                        ""));
            }
        });
        return charts;
    }

    private static long distinctLengths(List<Entry> entries) {
        return entries.stream()
                .mapToInt(entry -> entry.problem().shape().seqK())
                .distinct()
                .count();
    }

    /** A series a name: the highest throughput at each length, of tiles and of numbers of heads. */
    private static List<Series> lines(List<Entry> entries, Style style, ToDoubleFunction<Entry> y) {
        List<Series> series = new ArrayList<>();
        grouped(entries, Entry::name).forEach((name, ofName) -> {
            List<Point> points = new ArrayList<>();
            grouped(ofName, entry -> entry.problem().shape().seqK())
                    .values()
                    .forEach(ofLength -> ofLength.stream()
                            .max(Comparator.comparingDouble(
                                    entry -> entry.result().requireTiming().teraflops()))
                            .ifPresent(best -> points.add(
                                    new Point(best.problem().shape().seqK(), y.applyAsDouble(best), best.tip()))));
            points.sort(Comparator.comparingDouble(Point::x));
            series.add(new Series(name, style, points));
        });
        return series;
    }

    /** Throughput against arithmetic intensity under the ceilings that were measured, a chart for each file of ours. */
    static List<Chart> roofline(List<BenchFile> files, List<Entry> entries) {
        List<Chart> charts = new ArrayList<>();
        for (BenchFile file : files) {
            List<Entry> here = entries.stream()
                    .filter(entry -> entry.file() == file && entry.ours())
                    .toList();
            Ceilings ceilings = file.ceilings();
            if (ceilings != null && !here.isEmpty()) {
                charts.add(roofline(file, ceilings, here));
            }
        }
        return charts;
    }

    private static Chart roofline(BenchFile file, Ceilings ceilings, List<Entry> entries) {
        boolean tera = ceilings.f32FlopsPerSecond() >= 1e12;
        double unit = tera ? 1e12 : 1e9;
        List<Series> series = new ArrayList<>();
        double most = 8 * ceilings.f32FlopsPerSecond() / ceilings.copyBytesPerSecond();
        for (Entry entry : entries) {
            most = Math.max(most, intensity(entry));
        }
        double least = Math.min(
                0.25, entries.stream().mapToDouble(Charts::intensity).min().orElseThrow());
        series.add(roof("F32 multiply-adds", ceilings, ceilings.f32FlopsPerSecond(), least, most, unit));
        if (ceilings.tensorFlopsPerSecond() != null) {
            series.add(roof("tensor cores", ceilings, ceilings.tensorFlopsPerSecond(), least, most, unit));
        }
        grouped(entries, entry -> entry.name() + ", " + entry.problem().dtype())
                .forEach((name, ofName) -> series.add(new Series(
                        name,
                        Style.POINTS,
                        ofName.stream()
                                .map(entry -> new Point(
                                        intensity(entry),
                                        1e12
                                                / unit
                                                * entry.result().requireTiming().teraflops(),
                                        entry.tip() + "\n%s FLOP a byte".formatted(Amounts.digits(intensity(entry)))))
                                .toList())));
        return new Chart(
                file.environment().device() + ", " + file.environment().runtime(),
                new Axis("arithmetic intensity (FLOP / byte)", Axis.Scale.LOG10, Amounts::digits),
                new Axis("throughput (%s)".formatted(tera ? "TFLOP/s" : "GFLOP/s"), Axis.Scale.LOG10, Amounts::digits),
                series,
                "Bytes are the least that the algorithm moves: each tensor once, and for standard attention S and P written"
                        + " and read.");
    }

    private static Series roof(String name, Ceilings ceilings, double peak, double least, double most, double unit) {
        double ridge = peak / ceilings.copyBytesPerSecond();
        List<Point> points = new ArrayList<>();
        if (least < ridge) {
            points.add(new Point(least, least * ceilings.copyBytesPerSecond() / unit, ""));
        }
        points.add(new Point(
                Math.max(least, Math.min(ridge, most)),
                Math.min(peak, most * ceilings.copyBytesPerSecond()) / unit,
                ""));
        points.add(new Point(most, Math.min(peak, most * ceilings.copyBytesPerSecond()) / unit, ""));
        return new Series("ceiling: " + name, Style.FORMULA, points);
    }

    private static double intensity(Entry entry) {
        BenchCase problem = entry.problem();
        double bytes = BenchFile.leastBytes(problem);
        if (entry.result().isStandard()) {
            bytes += 4.0 * problem.shape().scoreElements() * Float.BYTES;
        }
        return problem.flops() / bytes;
    }

    /** Device memory against N: what was measured, and the two formulas. */
    static List<Chart> memory(List<Entry> entries) {
        List<Entry> square = entries.stream()
                .filter(entry -> entry.result().memory() != null
                        && (entry.ours() || entry.result().requireMemory().deviceBytes() != null)
                        && growsWithTheSequence(entry)
                        && entry.problem().pass() == Direction.FORWARD
                        && !entry.problem().causal()
                        && entry.problem().shape().seqQ()
                                == entry.problem().shape().seqK())
                .toList();
        record Kind(DType dtype, String headDim) {}
        List<Chart> charts = new ArrayList<>();
        grouped(square, entry -> {
                    BenchCase problem = entry.problem();
                    return new Kind(problem.dtype(), BenchCase.dims(problem.shape()));
                })
                .forEach((kind, here) -> {
                    if (distinctLengths(here) < 2) {
                        return;
                    }
                    List<Series> series =
                            new ArrayList<>(lines(here, Style.MEASURED, entry -> extraBytes(entry) / heads(entry)));
                    double least = here.stream()
                            .mapToInt(entry -> entry.problem().shape().seqK())
                            .min()
                            .orElseThrow();
                    double most = here.stream()
                            .mapToInt(entry -> entry.problem().shape().seqK())
                            .max()
                            .orElseThrow();
                    series.add(formula("S and P in F32: 8 B per query and key", least, most, n -> 8.0 * n * n));
                    series.add(formula("log-sum-exp: 4 B per query", least, most, n -> 4.0 * n));
                    charts.add(new Chart(
                            "%s, headDim %s, one head".formatted(kind.dtype, kind.headDim),
                            LENGTH,
                            new Axis("memory beyond q, k, v, o (bytes)", Axis.Scale.LOG2, Amounts::bytes),
                            series,
                            ""));
                });
        return charts;
    }

    /**
     * A byte per query at least; less is nothing, or a constant of the runtime's, which no axis of bytes per head can
     * show.
     */
    private static boolean growsWithTheSequence(Entry entry) {
        return entry.result().requireMemory().beyondTensors()
                >= heads(entry) * entry.problem().shape().seqQ();
    }

    private static double heads(Entry entry) {
        AttentionShape shape = entry.problem().shape();
        return (double) shape.batch() * shape.heads();
    }

    /** What the runtime allocated beyond the tensors, or what the kernel asked for where it does not say. */
    static double extraBytes(Entry entry) {
        return Math.max(1, entry.result().requireMemory().beyondTensors()); // a logarithm is taken of it
    }

    private static Series formula(String name, double least, double most, Function<Double, Double> y) {
        List<Point> points = new ArrayList<>();
        for (double n = least; n <= most; n *= 2) {
            points.add(new Point(n, y.apply(n), ""));
        }
        return new Series(name, Style.FORMULA, points);
    }

    /** A kernel on a problem. */
    private record Sweep(BenchCase problem, String name) {}

    /** Results of a kernel with several tiles on one problem, in order of the tile's queries. */
    private static Map<Sweep, List<Entry>> sweeps(List<Entry> entries) {
        Map<Sweep, List<Entry>> sweeps = new LinkedHashMap<>();
        grouped(
                        entries.stream()
                                .filter(entry -> entry.ours() && entry.result().tile() != null)
                                .toList(),
                        entry -> new Sweep(entry.problem(), entry.name()))
                .forEach((sweep, here) -> {
                    if (here.stream()
                                    .map(entry -> entry.result().tile())
                                    .distinct()
                                    .count()
                            > 2) {
                        sweeps.put(
                                sweep,
                                here.stream()
                                        .sorted(Comparator.comparingInt(Charts::blockQ))
                                        .toList());
                    }
                });
        return sweeps;
    }

    private static int blockQ(Entry entry) {
        return blockQ(Objects.requireNonNull(entry.result().tile(), "tile"));
    }

    /** Queries of a tile that is written queries by keys. */
    static int blockQ(String tile) {
        return Integer.parseInt(tile.substring(0, tile.indexOf('x')));
    }

    /**
     * Traffic of device memory against the tile's queries, as the simulator counted and as the paper's formula says.
     */
    static List<Chart> traffic(List<Entry> entries) {
        List<Chart> charts = new ArrayList<>();
        sweeps(entries.stream().filter(entry -> counted(entry).isPresent()).toList())
                .forEach((sweep, here) -> {
                    BenchCase problem = sweep.problem;
                    AttentionShape shape = problem.shape();
                    List<Series> series = new ArrayList<>();
                    series.add(new Series(
                            "tiled, counted",
                            Style.POINTS,
                            here.stream()
                                    .map(entry -> new Point(
                                            blockQ(entry),
                                            counted(entry).orElseThrow(),
                                            "tile %s\ncounted %s\nformula %s"
                                                    .formatted(
                                                            entry.result().tile(),
                                                            Amounts.bytes(counted(entry)
                                                                    .orElseThrow()),
                                                            Amounts.bytes(flashBytes(problem, blockQ(entry))))))
                                    .toList()));
                    List<Point> formula = new ArrayList<>();
                    for (int rows = blockQ(here.getFirst()); rows <= blockQ(here.getLast()); rows *= 2) {
                        formula.add(new Point(rows, flashBytes(problem, rows), ""));
                    }
                    series.add(new Series("2Md + ⌈M/Br⌉·2Nd + M elements", Style.FORMULA, formula));
                    double standard = standardBytes(problem);
                    series.add(new Series(
                            "standard, at the least: 4Nd + 4N²",
                            Style.FORMULA,
                            List.of(
                                    new Point(formula.getFirst().x(), standard, ""),
                                    new Point(formula.getLast().x(), standard, ""))));
                    charts.add(new Chart(
                            "%d × %d, headDim %s, %d head%s"
                                    .formatted(
                                            shape.seqQ(),
                                            shape.seqK(),
                                            BenchCase.dims(shape),
                                            shape.batch() * shape.heads(),
                                            shape.batch() * shape.heads() == 1 ? "" : "s"),
                            new Axis("queries in a tile, Br", Axis.Scale.LOG2, Amounts::count),
                            new Axis("traffic of device memory (bytes)", Axis.Scale.LOG2, Amounts::bytes),
                            series,
                            standardCounted(problem, entries)));
                });
        return charts;
    }

    private static String standardCounted(BenchCase problem, List<Entry> entries) {
        return entries.stream()
                .filter(entry -> entry.problem().equals(problem)
                        && entry.result().isStandard()
                        && counted(entry).isPresent())
                .findFirst()
                .map(entry ->
                        "Standard attention's three kernels issued %s of loads and stores; caches hide what is more than the formula's least."
                                .formatted(Amounts.bytes(counted(entry).orElseThrow())))
                .orElse("");
    }

    /** Bytes of device memory that the simulator has counted. */
    static OptionalDouble counted(Entry entry) {
        var memory = entry.result().memory();
        return memory == null || memory.globalBytes() == null
                ? OptionalDouble.empty()
                : OptionalDouble.of(memory.globalBytes());
    }

    /** Bytes that FlashAttention-2's order moves: q in, o out, K and V once for each tile of queries, L out. */
    static double flashBytes(BenchCase problem, int blockQ) {
        AttentionShape shape = problem.shape();
        double m = shape.seqQ();
        double n = shape.seqK();
        double d = shape.headDim() + shape.valueDim();
        double elements = m * d + Math.ceilDiv(shape.seqQ(), blockQ) * n * d;
        return (double) shape.batch()
                * shape.heads()
                * (elements * problem.dtype().byteSize() + m * Float.BYTES);
    }

    /** Bytes that standard attention moves at the least: each tensor once, S and P written and read. */
    static double standardBytes(BenchCase problem) {
        AttentionShape shape = problem.shape();
        double tensors = ((double) shape.seqQ() + shape.seqK())
                * (shape.headDim() + shape.valueDim())
                * problem.dtype().byteSize();
        double scores = 4.0 * shape.seqQ() * shape.seqK() * problem.dtype().byteSize();
        return (double) shape.batch() * shape.heads() * (tensors + scores);
    }

    /** Time against the tile. */
    static List<Chart> tileTimes(List<Entry> entries) {
        List<Chart> charts = new ArrayList<>();
        sweeps(entries)
                .forEach((sweep, here) -> charts.add(new Chart(
                        "Time, %s, %s".formatted(sweep.name, sweep.problem),
                        new Axis("queries in a tile, Br", Axis.Scale.LOG2, Amounts::count),
                        new Axis("kernel time (ms)", Axis.Scale.LINEAR, Amounts::digits),
                        List.of(new Series(
                                here.getFirst().name(),
                                Style.MEASURED,
                                grouped(here, Charts::blockQ).values().stream()
                                        .map(ofRows -> ofRows.stream()
                                                .min(Comparator.comparingDouble(Entry::milliseconds))
                                                .orElseThrow())
                                        .map(entry -> new Point(blockQ(entry), entry.milliseconds(), entry.tip()))
                                        .toList())),
                        "")));
        return charts;
    }

    static <K> Map<K, List<Entry>> grouped(List<Entry> entries, Function<Entry, K> key) {
        return entries.stream().collect(groupingBy(key, LinkedHashMap::new, toList()));
    }
}
