package org.tornadoattention.report;

import java.util.List;
import java.util.Locale;

/**
 * A chart as SVG in an HTML figure, with its legend. Colours come from the page, so that it follows the theme; each
 * name has one colour and one mark on all charts of a page.
 *
 * @param title heading of the figure
 * @param x horizontal axis
 * @param y vertical axis
 * @param series the lines
 * @param caption what to see in it; may be empty
 */
record Chart(String title, Axis x, Axis y, List<Series> series, String caption) {

    static final int WIDTH = 440;
    static final int HEIGHT = 300;
    private static final int LEFT = 74;
    private static final int RIGHT = 14;
    private static final int TOP = 12;
    private static final int BOTTOM = 46;
    private static final int COLOURS = 10;

    /** The figure. */
    String toHtml(Palette palette) {
        StringBuilder html = new StringBuilder();
        html.append("<figure><h3>").append(Html.escape(title)).append("</h3>\n");
        html.append("<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
                .formatted(WIDTH, HEIGHT, Html.escape("%s: %s against %s".formatted(title, y.label(), x.label()))));
        html.append(drawing(palette));
        html.append("</svg>\n<ul class=\"legend\">");
        for (Series one : series) {
            html.append(legend(one, palette.number(one.name())));
        }
        html.append("</ul>");
        if (!caption.isEmpty()) {
            html.append("<figcaption>").append(Html.escape(caption)).append("</figcaption>");
        }
        return html.append("</figure>\n").toString();
    }

    /** Axes, grid and series as SVG elements, {@link #WIDTH} by {@link #HEIGHT}. */
    String drawing(Palette palette) {
        Axis.Range across = x.over(least(true), greatest(true));
        Axis.Range up = y.over(least(false), greatest(false));
        StringBuilder svg = new StringBuilder();
        for (double tick : up.ticks()) {
            double at = down(up.place(tick));
            svg.append(line("tick", LEFT, at, WIDTH - RIGHT, at));
            svg.append(text(LEFT - 6, at + 4, "end", y.format().apply(tick)));
        }
        for (double tick : across.ticks()) {
            double at = right(across.place(tick));
            svg.append(line("tick", at, TOP, at, HEIGHT - BOTTOM));
            svg.append(text(at, HEIGHT - BOTTOM + 16, "middle", x.format().apply(tick)));
        }
        svg.append(line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM));
        svg.append(line("axis", LEFT, TOP, LEFT, HEIGHT - BOTTOM));
        svg.append(text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8, "middle", x.label()));
        svg.append("<text transform=\"translate(11 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n"
                .formatted((TOP + HEIGHT - BOTTOM) / 2, Html.escape(y.label())));
        for (Series one : series) {
            draw(one, palette.number(one.name()), across, up, svg);
        }
        return svg.toString();
    }

    private void draw(Series one, int number, Axis.Range across, Axis.Range up, StringBuilder svg) {
        if (one.style() != Series.Style.POINTS && one.points().size() > 1) {
            StringBuilder path = new StringBuilder();
            for (Series.Point point : one.points()) {
                path.append(path.isEmpty() ? 'M' : 'L')
                        .append(decimal(right(across.place(point.x()))))
                        .append(' ')
                        .append(decimal(down(up.place(point.y()))));
            }
            svg.append("<path class=\"series%s\" stroke=\"var(--c%d)\" d=\"%s\"/>\n"
                    .formatted(one.style() == Series.Style.FORMULA ? " dashed" : "", number % COLOURS, path));
        }
        if (one.style() == Series.Style.FORMULA) {
            return;
        }
        for (Series.Point point : one.points()) {
            svg.append(
                    "<path class=\"mark\" fill=\"var(--c%d)\" d=\"%s\" tabindex=\"0\" data-tip=\"%s\"><title>%s</title></path>\n"
                            .formatted(
                                    number % COLOURS,
                                    mark(number, right(across.place(point.x())), down(up.place(point.y()))),
                                    Html.escape(point.tip()),
                                    Html.escape(point.tip())));
        }
    }

    private static String legend(Series one, int number) {
        return "<li><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">%s</svg>%s</li>"
                .formatted(sample(one, number), Html.escape(one.name()));
    }

    /** A piece of a series for a legend, as SVG elements, 26 by 12. */
    static String sample(Series one, int number) {
        String stroke = one.style() == Series.Style.POINTS
                ? ""
                : "<path class=\"series%s\" stroke=\"var(--c%d)\" d=\"M1 6H25\"/>"
                        .formatted(one.style() == Series.Style.FORMULA ? " dashed" : "", number % COLOURS);
        String mark = one.style() == Series.Style.FORMULA
                ? ""
                : "<path fill=\"var(--c%d)\" d=\"%s\"/>".formatted(number % COLOURS, mark(number, 13, 6));
        return stroke + mark;
    }

    /** A circle, a square, a triangle or a diamond: colour is not all that tells lines apart. */
    private static String mark(int number, double x, double y) {
        return switch (number % 4) {
            case 0 -> path("M%s %sa4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z", x - 4.5, y);
            case 1 -> path("M%s %sh8v8h-8z", x - 4, y - 4);
            case 2 -> path("M%s %sl5 9h-10z", x, y - 5.5);
            default -> path("M%s %sl5 5l-5 5l-5 -5z", x, y - 5);
        };
    }

    private static String path(String shape, double x, double y) {
        return shape.formatted(decimal(x), decimal(y));
    }

    private static double right(double place) {
        return LEFT + place * (WIDTH - LEFT - RIGHT);
    }

    private static double down(double place) {
        return HEIGHT - BOTTOM - place * (HEIGHT - BOTTOM - TOP);
    }

    private static String line(String kind, double x1, double y1, double x2, double y2) {
        return "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n"
                .formatted(kind, decimal(x1), decimal(y1), decimal(x2), decimal(y2));
    }

    private static String text(double x, double y, String anchor, String text) {
        return "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n"
                .formatted(decimal(x), decimal(y), anchor, Html.escape(text));
    }

    private static String decimal(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }

    private double least(boolean horizontal) {
        return series.stream()
                .flatMap(one -> one.points().stream())
                .mapToDouble(point -> horizontal ? point.x() : point.y())
                .min()
                .orElseThrow();
    }

    private double greatest(boolean horizontal) {
        return series.stream()
                .flatMap(one -> one.points().stream())
                .mapToDouble(point -> horizontal ? point.x() : point.y())
                .max()
                .orElseThrow();
    }
}
