package org.tornadoattention.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.report.Picture;
import org.tornadoattention.report.ReportPage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code attention report}: results as one page. */
@Command(
        name = "report",
        mixinStandardHelpOptions = true,
        description = {
            "Make one HTML page of benchmarks' results: charts, tables, and the papers' claims beside ours.",
            "",
            "The page opens from disk and needs no network. A file that ends with .svg becomes a picture instead: the charts of"
                    + " throughput, or those whose title begins with --chart.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention bench --preset quick -o quick.json && ./attention report quick.json",
            "  ./attention report docs/results/h200-*.json -o report.html",
            "  ./attention report ours.json pytorch.json --chart 'Forward, F16, headDim 128' -o throughput.svg"
        })
final class ReportCommand implements Callable<Integer> {

    @Parameters(paramLabel = "FILE", arity = "1..*", description = "JSON of './attention bench' or of bench/peers.py.")
    private List<Path> files = new ArrayList<>();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            defaultValue = "report.html",
            description = "The page to write (default ${DEFAULT-VALUE}).")
    private Path output;

    @Option(
            names = "--chart",
            paramLabel = "TITLE",
            description =
                    "For a picture: the beginning of the titles of the charts to draw; may be given several times.")
    private List<String> charts = new ArrayList<>();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        boolean picture = output.toString().endsWith(".svg");
        if (!charts.isEmpty() && !picture) {
            throw new ParameterException(
                    spec.commandLine(), "--chart is for pictures: end the file of -o with .svg, or leave --chart out.");
        }
        ResultFile page = ResultFile.at(output);
        List<BenchFile> read = new ArrayList<>();
        for (Path file : files) {
            read.add(BenchFile.read(file));
        }
        page.write(
                picture
                        ? new Picture(
                                        read,
                                        title -> charts.isEmpty()
                                                || charts.stream().anyMatch(title::startsWith))
                                .toSvg()
                        : new ReportPage(read).toHtml());
        spec.commandLine().getOut().println("Wrote %s: open it in a browser.".formatted(output));
        spec.commandLine().getOut().flush();
        return Main.GOOD;
    }
}
