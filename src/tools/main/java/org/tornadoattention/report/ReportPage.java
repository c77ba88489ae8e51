package org.tornadoattention.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tornadoattention.bench.BenchFile;

/**
 * One HTML page made of benchmarks' files: charts, tables, and the papers' claims beside ours. It holds all that it
 * needs: no network, no other file.
 */
public final class ReportPage {

    /** A name in the template, in whose place a value goes. */
    private static final Pattern NAME = Pattern.compile("\\{\\{(\\w+)}}");

    private final List<BenchFile> files;
    private final List<Entry> entries;
    private final Palette palette = new Palette();

    /**
     * A page of these files.
     *
     * @throws IllegalArgumentException if nothing was measured in them
     */
    public ReportPage(List<BenchFile> files) {
        this.files = List.copyOf(files);
        this.entries = Entry.of(files);
        if (entries.isEmpty()) {
            throw new IllegalArgumentException(
                    "No result in these files was measured and right: run './attention bench' first.");
        }
    }

    /** The page. */
    public String toHtml() {
        StringBuilder html = new StringBuilder();
        html.append("<h1>FlashAttention in pure Java: what was measured</h1>\n");
        paragraph(
                html,
                "Every result was checked against a float64 oracle before it was timed. Times are medians; «~» marks those too"
                        + " noisy to quote. Point at, tap or tab to a mark for its figures.");
        html.append(Tables.sources(files).toHtml());

        Tables.ladderCase(entries).ifPresent(problem -> {
            section(html, "The ladder", "Each kernel adds one idea; standard attention is 1×.");
            paragraph(html, "Problem: " + problem.withoutType() + ".");
            html.append(Tables.ladder(entries, problem).toHtml());
        });

        charts(
                html,
                "Throughput against sequence length",
                "By the kernels' own time. Operations are counted by the field's formula: 4·N²·d a head, half of it for a"
                        + " causal mask, 2.5 times as many for the backward pass.",
                Charts.throughput(entries));
        charts(
                html,
                "Roofline",
                "The dashed roofs were measured in the same run: a copy, a loop of F32 multiply-adds, and a loop of tensor-core"
                        + " products where there are tensor cores.",
                Charts.roofline(files, Entry.ofDevices(entries)));
        charts(
                html,
                "Memory against sequence length",
                "Both axes are logarithmic: S and P, which standard attention stores, grow as N², with slope 2; flash attention"
                        + " stores only the log-sum-exp of each row, with slope 1.",
                Charts.memory(entries));
        charts(
                html,
                "Traffic of device memory as the tile grows",
                "Marks are loads and stores that the simulator counted in the kernel; the dashed lines are formulas.",
                Charts.traffic(entries));
        charts(html, "Time as the tile grows", "", Charts.tileTimes(Entry.ofDevices(entries)));

        section(
                html,
                "Errors against float64",
                "Allowed is twice the error of standard attention in the same type (three times for gradients) plus a floor.");
        html.append(Tables.errors(entries).toHtml());

        section(html, "What the papers promise", "");
        html.append(new Claims(entries).table().toHtml());

        HtmlTable missing = Tables.missing(files);
        if (!missing.isEmpty()) {
            section(html, "Not measured", "");
            html.append(missing.toHtml());
        }
        Map<String, String> values = Map.of(
                "title", "tornado-attention: benchmark report",
                "style", style(),
                "body", html.toString(),
                "script", resource("page.js"));
        return NAME.matcher(resource("page.html"))
                .replaceAll(name -> Matcher.quoteReplacement(values.get(name.group(1))));
    }

    /** The colours and forms of pages and charts. */
    static String style() {
        return resource("page.css") + resource("report.css");
    }

    private void charts(StringBuilder html, String title, String about, List<Chart> charts) {
        if (charts.isEmpty()) {
            return;
        }
        section(html, title, about);
        html.append("<div class=\"grid\">\n");
        charts.forEach(chart -> html.append(chart.toHtml(palette)));
        html.append("</div>\n");
    }

    private static void section(StringBuilder html, String title, String about) {
        html.append("<h2>").append(Html.escape(title)).append("</h2>\n");
        if (!about.isEmpty()) {
            paragraph(html, about);
        }
    }

    private static void paragraph(StringBuilder html, String text) {
        html.append("<p class=\"soft\">").append(Html.escape(text)).append("</p>\n");
    }

    static String resource(String name) {
        try (InputStream stream = ReportPage.class.getResourceAsStream(name)) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("%s is missing from the jar: build it again.".formatted(name), e);
        }
    }
}
