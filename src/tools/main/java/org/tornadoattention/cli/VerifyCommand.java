package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.tornadoattention.cli.Verdict.Status;
import org.tornadoattention.device.ComputeDevice;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code attention verify}: golden cases against the kernels. */
@Command(
        name = "verify",
        mixinStandardHelpOptions = true,
        description = {
            "Compare kernels with known solutions.",
            "",
            "A golden case is a safetensors file with q, k, v, the options as metadata, the output o and its"
                    + " log-sum-exp lse computed in float64, and for the backward pass do, dq, dk and dv. Each line gives"
                    + " the largest error of each beside what is allowed: twice the error of standard attention in the"
                    + " same precision, three times for gradients, plus a floor. Exit code 0 only if all are within it.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention verify src/library/test/resources/goldens",
            "  ./attention verify --kernel tiled --backend opencl case.safetensors",
            "  ./attention verify --json src/library/test/resources/goldens >verdicts.json"
        })
final class VerifyCommand implements Callable<Integer> {

    @Parameters(arity = "1..*", paramLabel = "PATH", description = "Golden files, or directories that hold some.")
    private List<Path> paths = List.of();

    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        List<Path> files = goldenFiles();
        ComputeDevice device = compute.device();
        ComputeOptions.announce(json ? spec.commandLine().getErr() : out, device);
        VerdictTable table = new VerdictTable(out, files);
        List<Verdict> verdicts = new ArrayList<>();
        try (GoldenVerifier verifier = new GoldenVerifier(device, compute.kernel());
                Progress progress = json ? Progress.of("verify", files.size()) : Progress.none()) {
            for (Path file : files) {
                List<Verdict> ofFile = verifier.verify(file);
                verdicts.addAll(ofFile);
                progress.step();
                if (!json) {
                    ofFile.forEach(table::print);
                }
            }
        }
        if (json) {
            Json.print(out, VerdictReport.of(device, verdicts));
        } else {
            table.printSummary(verdicts);
        }
        return passed(verdicts) ? Main.GOOD : Main.FAILED;
    }

    /** Nothing failed, and something was compared. */
    static boolean passed(List<Verdict> verdicts) {
        return verdicts.stream()
                        .allMatch(verdict -> verdict.status() == Status.OK || verdict.status() == Status.SKIPPED)
                && verdicts.stream().anyMatch(verdict -> verdict.status() == Status.OK);
    }

    private List<Path> goldenFiles() throws IOException {
        List<Path> files = new ArrayList<>();
        for (Path path : paths) {
            if (!Files.exists(path)) {
                throw new IllegalArgumentException("There is no file or directory %s.".formatted(path));
            }
            if (!Files.isDirectory(path)) {
                files.add(path);
                continue;
            }
            try (Stream<Path> inside = Files.walk(path)) {
                List<Path> found = inside.filter(file -> file.toString().endsWith(".safetensors"))
                        .sorted()
                        .toList();
                if (found.isEmpty()) {
                    throw new IllegalArgumentException("%s holds no .safetensors files.".formatted(path));
                }
                files.addAll(found);
            }
        }
        return files;
    }
}
