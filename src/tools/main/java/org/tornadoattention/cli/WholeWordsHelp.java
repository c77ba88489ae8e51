package org.tornadoattention.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * Help whose options' descriptions are broken at blanks alone: picocli breaks inside {@code ./attention} and
 * {@code prefix:KEYS} too, which are to be typed as they stand.
 */
final class WholeWordsHelp extends Help {

    /** As picocli indents what it wraps. */
    private static final String INDENT = "  ";

    WholeWordsHelp(CommandSpec command, ColorScheme colors) {
        super(command, colors);
    }

    @Override
    public Layout createDefaultLayout(
            List<OptionSpec> options, List<PositionalParamSpec> positionals, ColorScheme colors) {
        Layout layout = super.createDefaultLayout(options, positionals, colors);
        return new Layout(colors, layout.textTable(), layout.optionRenderer(), layout.parameterRenderer()) {
            @Override
            public void layout(ArgSpec argument, Ansi.Text[][] rows) {
                Column last = textTable().columns()[textTable().columns().length - 1];
                super.layout(argument, broken(rows, last.width - last.indent, colors));
            }
        };
    }

    /** The same rows, of which those with long descriptions become several. */
    private static Ansi.Text[][] broken(Ansi.Text[][] rows, int width, ColorScheme colors) {
        List<Ansi.Text[]> result = new ArrayList<>();
        for (Ansi.Text[] row : rows) {
            Ansi.Text rest = row[row.length - 1];
            Ansi.Text[] first = row.clone();
            result.add(first);
            int end = end(rest.plainString(), width);
            first[row.length - 1] = rest.substring(0, end);
            while (end < rest.plainString().length()) {
                rest = rest.substring(end + 1);
                end = end(rest.plainString(), width - INDENT.length());
                Ansi.Text[] next = new Ansi.Text[row.length];
                Arrays.fill(next, colors.text(""));
                next[row.length - 1] = colors.text(INDENT).concat(rest.substring(0, end));
                result.add(next);
            }
        }
        return result.toArray(Ansi.Text[][]::new);
    }

    /** Where a line of a text ends: at its end, or at the last blank that fits, else at the first. */
    private static int end(String text, int width) {
        if (text.length() <= width) {
            return text.length();
        }
        int blank = text.lastIndexOf(' ', width);
        int end = blank > 0 ? blank : text.indexOf(' ');
        return end < 0 ? text.length() : end;
    }
}
