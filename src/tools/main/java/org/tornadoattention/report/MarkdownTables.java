package org.tornadoattention.report;

import static org.tornadoattention.report.Charts.grouped;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.Environment;
import org.tornadoattention.bench.ErrorFile;
import org.tornadoattention.tensor.DType;

/**
 * Tables of a Markdown text that are made of committed results and never typed. A table stands between two comments, of
 * which the first says what it is made of:
 *
 * <pre>{@code
 * <!-- table ladder docs/results/h200.json -->
 * <!-- end of table -->
 * }</pre>
 *
 * <p>Kinds: {@code ladder}, each kernel on the longest problem; {@code throughput}, TFLOP/s by length; {@code peers},
 * our fastest kernel beside the peers' of other files; {@code decode}, bytes of keys and values a second beside theirs;
 * {@code traffic}, bytes counted beside the formula; {@code errors}, those of {@code ./attention accuracy} and its
 * peers. Several files are separated by blanks; {@code key=value} after them picks problems: {@code dtype},
 * {@code headDim}, {@code causal}, {@code pass}, {@code seq}.
 */
public final class MarkdownTables {

    private static final Pattern TABLE = Pattern.compile(
            "(<!-- table (?<kind>\\S+) (?<from>[^>]*?) ?-->\\n).*?(<!-- end of table -->)", Pattern.DOTALL);

    private static final Pattern BEGIN = Pattern.compile("<!-- table \\S+ [^>]*-->");

    /** The kinds of tables. */
    public static final List<String> KINDS =
            List.of("ladder", "throughput", "peers", "wall", "decode", "traffic", "errors");

    private MarkdownTables() {}

    /**
     * The text with its tables made anew.
     *
     * @param root where the files' paths begin
     * @throws IOException if a file cannot be read
     * @throws IllegalArgumentException if a comment asks for what there is not
     */
    public static String renewed(String text, Path root) throws IOException {
        long begun = BEGIN.matcher(text).results().count();
        if (begun != count(text)) {
            throw new IllegalArgumentException("%d tables begin and %d end: each needs a line '<!-- end of table -->'."
                    .formatted(begun, count(text)));
        }
        Matcher table = TABLE.matcher(text);
        StringBuilder renewed = new StringBuilder();
        while (table.find()) {
            String made = make(table.group("kind"), table.group("from").strip().split("\\s+"), root);
            table.appendReplacement(renewed, Matcher.quoteReplacement(table.group(1) + made + table.group(4)));
        }
        return table.appendTail(renewed).toString();
    }

    /** How many tables a text has. */
    public static long count(String text) {
        return TABLE.matcher(text).results().count();
    }

    private static String make(String kind, String[] words, Path root) throws IOException {
        if (!KINDS.contains(kind)) {
            throw new IllegalArgumentException(
                    "There is no table '%s': choose one of %s.".formatted(kind, String.join(", ", KINDS)));
        }
        if (kind.equals("errors")) {
            List<ErrorFile> files = new ArrayList<>();
            for (String word : words) {
                files.add(ErrorFile.read(root.resolve(word)));
            }
            return table(
                    ErrorTable.rows(files),
                    files.stream().map(ErrorFile::environment).toList());
        }
        List<BenchFile> files = new ArrayList<>();
        List<String> picks = new ArrayList<>();
        for (String word : words) {
            if (word.contains("=")) {
                picks.add(word);
            } else {
                files.add(BenchFile.read(root.resolve(word)));
            }
        }
        List<Entry> entries = Entry.of(files).stream()
                .filter(entry -> picks.stream().allMatch(pick -> matches(entry.problem(), pick)))
                .toList();
        if (entries.isEmpty()) {
            throw new IllegalArgumentException(
                    "A table '%s' of %s would be empty: no result fits.".formatted(kind, String.join(" ", words)));
        }
        List<List<String>> rows = switch (kind) {
            case "ladder" -> ladder(entries);
            case "throughput" -> throughput(entries);
            case "peers" -> peers(entries);
            case "wall" -> wall(entries);
            case "decode" -> decode(entries);
            case "traffic" -> traffic(entries);
            default -> throw new IllegalStateException(kind);
        };
        return table(rows, files.stream().map(BenchFile::environment).toList());
    }

    private static String table(List<List<String>> rows, List<Environment> environments) {
        return "\n" + markdown(rows) + "\n" + source(environments) + "\n\n";
    }

    private static boolean matches(BenchCase problem, String pick) {
        String key = pick.substring(0, pick.indexOf('='));
        List<String> values = List.of(pick.substring(key.length() + 1).split(","));
        String value = switch (key) {
            case "dtype" -> problem.dtype().name();
            case "headDim" -> BenchCase.dims(problem.shape());
            case "causal" -> String.valueOf(problem.causal());
            case "window" -> String.valueOf(problem.window());
            case "pass" -> problem.pass().id();
            case "seq" -> String.valueOf(problem.shape().seqK());
            default ->
                throw new IllegalArgumentException(
                        "'%s' picks nothing: use dtype, headDim, causal, window, pass or seq.".formatted(pick));
        };
        return values.contains(value);
    }

    private static String source(List<Environment> environments) {
        return environments.stream()
                .map(environment -> "%s; %s%s"
                        .formatted(
                                environment.describe(),
                                environment.commit() == null ? "" : "commit %s, ".formatted(environment.commit()),
                                environment.time().substring(0, 10)))
                .distinct()
                .collect(Collectors.joining("; beside ", "Measured on ", "."));
    }

    private static List<List<String>> ladder(List<Entry> entries) {
        BenchCase problem = Tables.ladderCase(entries)
                .orElseThrow(
                        () -> new IllegalArgumentException("A ladder needs standard attention among its results."));
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of(
                "kernel",
                problem.as(DType.F32).toString().replace("F32 ", ""),
                "time",
                "× standard",
                "memory beyond inputs and outputs",
                "of ceiling"));
        double standard = entries.stream()
                .filter(entry -> entry.result().isStandard() && entry.problem().equals(problem))
                .findFirst()
                .orElseThrow()
                .milliseconds();
        record Rung(String name, DType dtype) {}
        Map<Rung, List<Entry>> rungs = grouped(
                entries.stream()
                        .filter(entry ->
                                entry.ours() && entry.problem().as(DType.F32).equals(problem.as(DType.F32)))
                        .toList(),
                entry -> new Rung(entry.name(), entry.problem().dtype()));
        for (Map.Entry<Rung, List<Entry>> rung : rungs.entrySet()) {
            Entry best = fastest(rung.getValue());
            rows.add(List.of(
                    "`%s` %s".formatted(rung.getKey().name, rung.getKey().dtype),
                    Amounts.rate(1e12 * best.result().requireTiming().teraflops()) + mark(best),
                    Amounts.time(best.milliseconds()),
                    Amounts.factor(standard / best.milliseconds()),
                    best.result().memory() == null ? "–" : Amounts.bytes(Charts.extraBytes(best)),
                    share(best)));
        }
        return rows;
    }

    private static String share(Entry entry) {
        return entry.result().shareOfCeiling() == null
                ? "–"
                : Amounts.percent(entry.result().shareOfCeiling());
    }

    private static String mark(Entry entry) {
        return entry.result().requireTiming().noisy() ? " ~" : "";
    }

    private static Entry fastest(List<Entry> entries) {
        return entries.stream()
                .min(Comparator.comparingDouble(Entry::milliseconds))
                .orElseThrow();
    }

    private static List<List<String>> throughput(List<Entry> entries) {
        TreeSet<Integer> lengths = new TreeSet<>();
        entries.forEach(entry -> lengths.add(entry.problem().shape().seqK()));
        List<List<String>> rows = new ArrayList<>();
        List<String> head = new ArrayList<>(List.of("TFLOP/s"));
        lengths.forEach(length -> head.add("N = " + length));
        rows.add(head);
        record Line(
                String name,
                DType dtype,
                String headDim,
                boolean causal,
                @Nullable Integer window,
                Direction pass) {}
        grouped(
                        entries,
                        entry -> new Line(
                                entry.name(),
                                entry.problem().dtype(),
                                BenchCase.dims(entry.problem().shape()),
                                entry.problem().causal(),
                                entry.problem().window(),
                                entry.problem().pass()))
                .forEach((line, here) -> {
                    Map<Integer, List<Entry>> byLength =
                            grouped(here, entry -> entry.problem().shape().seqK());
                    List<String> row = new ArrayList<>(List.of("%s, %s, d = %s%s%s%s"
                            .formatted(
                                    line.name,
                                    line.dtype,
                                    line.headDim,
                                    line.causal ? ", causal" : "",
                                    line.window == null ? "" : ", window " + line.window,
                                    line.pass == Direction.FORWARD ? "" : ", backward")));
                    lengths.forEach(length -> {
                        List<Entry> found = byLength.get(length);
                        row.add(
                                found == null
                                        ? "–"
                                        : Amounts.digits(fastest(found)
                                                        .result()
                                                        .requireTiming()
                                                        .teraflops())
                                                + mark(fastest(found)));
                    });
                    rows.add(row);
                });
        return rows;
    }

    private static List<List<String>> peers(List<Entry> entries) {
        return besidePeers(
                entries,
                "our fastest",
                "our time ÷ its",
                best -> "`%s` %s%s".formatted(best.name(), rate(best), mark(best)),
                (best, peer) -> "%s (%s)%s"
                        .formatted(
                                rate(fastest(peer)),
                                Amounts.factor(
                                        best.milliseconds() / fastest(peer).milliseconds()),
                                mark(fastest(peer))));
    }

    private static String rate(Entry entry) {
        return Amounts.rate(1e12 * entry.result().requireTiming().teraflops());
    }

    /** Whole calls, beside what they cost above the kernels. */
    private static List<List<String>> wall(List<Entry> entries) {
        return besidePeers(
                entries,
                "our wall time (above the kernels)",
                "our wall time ÷ its",
                best -> "%s (%s)"
                        .formatted(
                                Amounts.time(wallMilliseconds(best)),
                                Amounts.time(Math.max(0, wallMilliseconds(best) - best.milliseconds()))),
                (best, peer) -> {
                    double its = peer.stream()
                            .mapToDouble(MarkdownTables::wallMilliseconds)
                            .min()
                            .orElseThrow();
                    return "%s (%s)".formatted(Amounts.time(its), Amounts.factor(wallMilliseconds(best) / its));
                });
    }

    /**
     * A row for each problem that ours and a peer have: our fastest kernel, and a column for each peer.
     *
     * @param ours what stands for our fastest
     * @param its what stands for a peer's results of the problem, beside our fastest
     */
    private static List<List<String>> besidePeers(
            List<Entry> entries,
            String head,
            String ratio,
            Function<Entry, String> ours,
            BiFunction<Entry, List<Entry>, String> its) {
        List<String> names = entries.stream()
                .filter(entry -> !entry.ours())
                .map(Entry::name)
                .distinct()
                .toList();
        List<List<String>> rows = new ArrayList<>();
        List<String> heads = new ArrayList<>(List.of("problem", head));
        names.forEach(name -> heads.add("%s (%s)".formatted(name, ratio)));
        rows.add(heads);
        grouped(entries, Entry::problem).forEach((problem, here) -> {
            List<Entry> own = here.stream().filter(Entry::ours).toList();
            if (own.isEmpty() || own.size() == here.size()) {
                return;
            }
            Entry best = fastest(own);
            List<String> row = new ArrayList<>(List.of(problem.toString(), ours.apply(best)));
            for (String name : names) {
                List<Entry> peer =
                        here.stream().filter(entry -> entry.name().equals(name)).toList();
                row.add(peer.isEmpty() ? "–" : its.apply(best, peer));
            }
            rows.add(row);
        });
        return rows;
    }

    private static double wallMilliseconds(Entry entry) {
        return entry.result().requireTiming().wallMilliseconds();
    }

    private static List<List<String>> decode(List<Entry> entries) {
        List<String> names = entries.stream()
                .filter(entry -> !entry.ours())
                .map(Entry::name)
                .distinct()
                .toList();
        List<List<String>> rows = new ArrayList<>();
        List<String> head = new ArrayList<>(List.of("batch", "keys", "ours", "kernel time", "wall time"));
        names.forEach(name -> head.add(name + " (our share of it)"));
        rows.add(head);
        grouped(entries, Entry::problem).forEach((problem, here) -> {
            List<Entry> ours = here.stream().filter(Entry::ours).toList();
            if (ours.isEmpty()) {
                return;
            }
            Entry best = fastest(ours);
            List<String> row = new ArrayList<>(List.of(
                    String.valueOf(problem.shape().batch()),
                    String.valueOf(problem.shape().seqK()),
                    keyValueRate(best) + mark(best),
                    Amounts.time(best.milliseconds()),
                    Amounts.time(best.result().requireTiming().wallMilliseconds())));
            for (String name : names) {
                List<Entry> peer =
                        here.stream().filter(entry -> entry.name().equals(name)).toList();
                row.add(
                        peer.isEmpty()
                                ? "–"
                                : "%s (%s)%s"
                                        .formatted(
                                                keyValueRate(fastest(peer)),
                                                Amounts.percent(fastest(peer).milliseconds() / best.milliseconds()),
                                                mark(fastest(peer))));
            }
            rows.add(row);
        });
        return rows;
    }

    private static String keyValueRate(Entry entry) {
        AttentionShape shape = entry.problem().shape();
        double bytes = (double) shape.batch()
                * shape.kvHeads()
                * shape.seqK()
                * (shape.headDim() + shape.valueDim())
                * entry.problem().dtype().byteSize();
        return "%.2f TB/s".formatted(bytes / entry.milliseconds() / 1e9);
    }

    private static List<List<String>> traffic(List<Entry> entries) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("problem", "tile", "counted", "formula", "standard, at the least"));
        for (Entry entry : entries) {
            BenchResult result = entry.result();
            if (result.tile() != null && result.requireMemory().globalBytes() != null) {
                rows.add(List.of(
                        entry.problem().toString(),
                        result.tile(),
                        "%,d".formatted(result.requireMemory().globalBytes()),
                        "%,.0f".formatted(Charts.flashBytes(entry.problem(), Charts.blockQ(result.tile()))),
                        "%,.0f".formatted(Charts.standardBytes(entry.problem()))));
            }
        }
        return rows;
    }

    private static String markdown(List<List<String>> rows) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < rows.size(); i++) {
            text.append("| ").append(String.join(" | ", rows.get(i))).append(" |\n");
            if (i == 0) {
                text.append("|")
                        .append(String.join(
                                "", Collections.nCopies(rows.getFirst().size(), "---|")))
                        .append("\n");
            }
        }
        return text.toString();
    }
}
