package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tornadoattention.bench.SimulatorBridge;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.file.ResultFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code attention trace}: pictures of what the work-items of a kernel do, by the simulator. */
@Command(
        name = "trace",
        mixinStandardHelpOptions = true,
        description = {
            "Draw what a kernel does, step by step: one HTML page for each launch, with the grid, sliders over barriers and the"
                    + " steps between them, work-items coloured by what they touch in device and local memory, the line of source"
                    + " beside it, bank conflicts and uncoalesced access marked, and the online softmax as it grows. No GPU is"
                    + " needed. A page opens from disk and needs no network.",
            "",
            "Instead of one of the library's kernels, a rung of the ladder with its arguments, a puzzle's number or a file of"
                    + " yours can be named: what it launches is drawn.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention trace tiled                      compare with",
            "  ./attention trace online                     which reads K and V once for each query",
            "  ./attention trace tiled --seq 64 --causal    with a mask",
            "  ./attention trace Ladder3LocalTiles 1 64     a rung of the ladder: 1 head of 64 tokens",
            "  ./attention trace 10                         puzzle 10, as you have solved it so far",
            "  ./attention trace Mine.java                  a program of your own"
        })
final class TraceCommand implements Callable<Integer> {

    @Parameters(
            paramLabel = "KERNEL",
            completionCandidates = KernelIds.class,
            description = "Of ${COMPLETION-CANDIDATES}; or an example, a puzzle, a Java file.")
    private AttentionKernel kernel;

    @Mixin
    private SimulatedProblem problem = new SimulatedProblem();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FOLDER",
            defaultValue = "trace",
            description = "Where the pages go (default ${DEFAULT-VALUE}).")
    private Path output;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        ResultFile.requireFolder(output);
        PrintWriter out = spec.commandLine().getOut();
        ComputeDevice device = Devices.bestForTaskGraphs();
        problem.on(device, Optional.of(kernel), "Pictures are drawn", out, work -> {
            List<Path> pages = SimulatorBridge.trace(output, work);
            pages.forEach(page -> out.println("Wrote %s: open it in a browser.".formatted(page)));
            out.flush();
        });
        return Main.GOOD;
    }
}
