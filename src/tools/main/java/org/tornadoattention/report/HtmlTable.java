package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A table as HTML. A column whose head ends in {@code #} holds numbers. */
final class HtmlTable {

    private final List<String> heads;
    private final List<List<String>> rows = new ArrayList<>();

    HtmlTable(String... heads) {
        this.heads = List.of(heads);
    }

    /** Adds a row of text; {@link #markup} makes cells that are HTML already. */
    HtmlTable row(Object... cells) {
        rows.add(Arrays.stream(cells)
                .map(cell -> cell instanceof Markup markup ? markup.html() : Html.escape(String.valueOf(cell)))
                .toList());
        return this;
    }

    boolean isEmpty() {
        return rows.isEmpty();
    }

    /** HTML that is not to be escaped. */
    record Markup(String html) {}

    /** A bar of a share of the column's width, 0 to 1, with its number. */
    static Markup bar(double share, String text) {
        return new Markup("<span class=\"bar\" style=\"width:%.1f%%\"></span> %s"
                .formatted(50 * Math.max(0, Math.min(1, share)), Html.escape(text)));
    }

    String toHtml() {
        StringBuilder html = new StringBuilder("<div class=\"scroll\"><table><thead><tr>");
        for (String head : heads) {
            boolean number = head.endsWith("#");
            html.append("<th%s scope=\"col\">%s</th>"
                    .formatted(
                            number ? " class=\"number\"" : "",
                            Html.escape(number ? head.substring(0, head.length() - 1) : head)));
        }
        html.append("</tr></thead><tbody>\n");
        for (List<String> row : rows) {
            html.append("<tr>");
            for (int i = 0; i < row.size(); i++) {
                String kind = heads.get(i).endsWith("#")
                        ? "number"
                        : row.get(i).startsWith("<span class=\"bar") ? "bars" : "";
                html.append(kind.isEmpty() ? "<td>" : "<td class=\"%s\">".formatted(kind))
                        .append(row.get(i))
                        .append("</td>");
            }
            html.append("</tr>\n");
        }
        return html.append("</tbody></table></div>\n").toString();
    }
}
