package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.tornadoattention.file.InputFile;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.report.MarkdownTables;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code attention tables}: the measured tables of Markdown texts. */
@Command(
        name = "tables",
        mixinStandardHelpOptions = true,
        description = {
            "Make the tables of Markdown texts anew from committed results.",
            "",
            "A table stands between '<!-- table KIND FILE... [key=value...] -->' and '<!-- end of table -->'; KIND is ladder,"
                    + " throughput, peers, wall, decode, traffic or errors, and keys are dtype, headDim, causal, pass and seq. Run it in the"
                    + " project's directory, where the files' paths begin.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention tables docs/results.md docs/ladder.md",
            "  ./attention tables --check docs/results.md       exit code 1 if a table is not what its results say"
        })
final class TablesCommand implements Callable<Integer> {

    @Parameters(paramLabel = "TEXT", arity = "1..*", description = "Markdown files.")
    private List<Path> texts = new ArrayList<>();

    @Option(names = "--check", description = "Write nothing; say whether the tables are what their results say.")
    private boolean check;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        boolean same = true;
        for (Path path : texts) {
            String text = InputFile.text(path);
            String renewed = MarkdownTables.renewed(text, Path.of(""));
            boolean changed = !renewed.equals(text);
            if (changed && !check) {
                ResultFile.at(path).write(renewed);
            }
            same &= !changed;
            out.println("%s: %d tables, %s"
                    .formatted(
                            path,
                            MarkdownTables.count(text),
                            changed ? check ? "not what their results say" : "made anew" : "as their results say"));
        }
        out.flush();
        return same || !check ? Main.GOOD : Main.FAILED;
    }
}
