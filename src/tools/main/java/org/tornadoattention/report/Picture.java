package org.tornadoattention.report;

import java.io.IOException;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.tornadoattention.bench.BenchFile;

/**
 * Charts of throughput side by side as one SVG file, for pages that take pictures only. It brings the report's colours
 * with it and follows a reader's light or dark theme.
 */
public final class Picture {

    private static final int GAP = 24;
    private static final int HEADING = 26;
    private static final int LEGEND = 34;
    private static final int COLUMNS = 2;

    private final List<Chart> charts;
    private final Palette palette = new Palette();

    /**
     * The charts of throughput whose titles fit.
     *
     * @param titles chooses charts by their titles, such as {@code Forward, F16, headDim 128}
     * @throws IOException if no chart is left
     */
    public Picture(List<BenchFile> files, Predicate<String> titles) throws IOException {
        List<Entry> entries = Entry.of(files);
        charts = Charts.throughput(entries).stream()
                .filter(chart -> titles.test(chart.title()))
                .toList();
        if (charts.isEmpty()) {
            throw new IOException("No chart of throughput is left to draw; these files have: "
                    + Charts.throughput(entries).stream().map(Chart::title).toList());
        }
    }

    /** The picture. */
    public String toSvg() {
        int columns = Math.min(COLUMNS, charts.size());
        int rows = Math.ceilDiv(charts.size(), columns);
        int width = columns * (Chart.WIDTH + GAP) + GAP;
        int height = rows * (Chart.HEIGHT + HEADING) + GAP + LEGEND;
        StringBuilder svg = new StringBuilder();
        svg.append("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
                .formatted(width, height, Html.escape("Throughput against sequence length")));
        svg.append("<style>\n").append(ReportPage.style());
        svg.append("svg { font: 12.5px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }\n");
        svg.append("svg .heading { fill: var(--ink); font-size: 15px; font-weight: 600; }\n</style>\n");
        svg.append("<rect width=\"100%\" height=\"100%\" fill=\"var(--card)\"/>\n");
        for (int i = 0; i < charts.size(); i++) {
            Chart chart = charts.get(i);
            int x = GAP / 2 + i % columns * (Chart.WIDTH + GAP);
            int y = GAP / 2 + i / columns * (Chart.HEIGHT + HEADING);
            svg.append("<text class=\"heading\" x=\"%d\" y=\"%d\">%s</text>\n"
                    .formatted(x + GAP, y + 14, Html.escape(chart.title())));
            svg.append(
                    "<g transform=\"translate(%d %d)\">\n%s</g>\n".formatted(x, y + HEADING, chart.drawing(palette)));
        }
        int x = 2 * GAP;
        for (Series one : series()) {
            int y = height - LEGEND + 8;
            svg.append("<g transform=\"translate(%d %d)\">%s<text x=\"32\" y=\"10\">%s</text></g>\n"
                    .formatted(x, y, Chart.sample(one, palette.number(one.name())), Html.escape(one.name())));
            x += 60 + 8 * one.name().length();
        }
        return svg.append("</svg>\n").toString();
    }

    /** Each series once, by its name. */
    private Collection<Series> series() {
        Map<String, Series> byName = new LinkedHashMap<>();
        charts.stream().flatMap(chart -> chart.series().stream()).forEach(one -> byName.putIfAbsent(one.name(), one));
        return byName.values();
    }
}
