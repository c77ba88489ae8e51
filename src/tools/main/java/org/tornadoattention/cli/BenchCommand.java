package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchJournal;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.BenchSession;
import org.tornadoattention.bench.CeilingBenchmark;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.Environment;
import org.tornadoattention.bench.Peer;
import org.tornadoattention.bench.Rounds;
import org.tornadoattention.bench.RunComparison;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.file.ResultFile;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention bench}: times, throughput, memory and errors of the kernels on many problems. */
@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        description = {
            "Measure all kernels of the ladder on a set of problems.",
            "",
            "Inputs stay on the device. Rows from the first, a middle and the last head are compared with the float64"
                    + " oracle before the first time is taken. Kernel time is the device's own, with the caches emptied"
                    + " before each execution; wall time is that of a user's loop over a ReplayedPlan,"
                    + " measured after it without the profiler, with warm caches. Times are medians with half the distance between the quartiles."
                    + " Operations are 4 x batch x heads x queries"
                    + " x keys x head dimension, half of it for a causal mask, 2.5 times as many for a backward pass,"
                    + " whatever a kernel really executes. The ceiling is the device's own, measured in the same run by"
                    + " a copy, by loops of multiply-adds and of products on tensor cores, or by whatever of the run was"
                    + " faster. '~' marks results that are too noisy to quote. Ctrl-C"
                    + " keeps what was measured. Exit code 0 only if every kernel was right.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention bench --preset quick                             a minute on any machine",
            "  ./attention bench --heads 8 --seq 512,1024 --head-dim 64",
            "  ./attention bench -p paper --head-dim 128 -o paper.json      a part of the papers' grid, kept in a file",
            "  ./attention bench -p traffic --kernel tiled                  bytes moved as the tile grows",
            "  ./attention bench --from paper.json --compare pytorch.json   ratios to the peers, nothing measured",
            "  ./attention bench -p paper --type f16 --compare paper.json   a second run beside the first",
            "  ./attention bench -p models --rounds 3 --beside 'python3 bench/peers.py --serve'   in turns with PyTorch",
            "  ./attention bench --from a.json --from b.json -o all.json    parts of a preset that were run one by one"
        })
final class BenchCommand implements Callable<Integer> {

    /** How to print. */
    private static final class Printed {
        @Option(names = "--json", description = "Print JSON instead of a table.")
        private boolean json;

        @Option(names = "--csv", description = "Print CSV instead of a table.")
        private boolean csv;

        @Option(names = "--markdown", description = "Print Markdown instead of a table.")
        private boolean markdown;
    }

    @Mixin
    private BenchOptions problems = new BenchOptions();

    @Option(
            names = "--warm-up",
            defaultValue = "2",
            description =
                    "Executions before (default ${DEFAULT-VALUE}); but for 0, the simulator adds more until times stand still.")
    private int warmUps;

    @Option(names = "--repeat", defaultValue = "15", description = "Executions that count (default ${DEFAULT-VALUE}).")
    private int repetitions;

    @Option(
            names = "--seconds",
            defaultValue = "3",
            description = "Begin no more after this time for a kernel, once three count (default ${DEFAULT-VALUE}).")
    private double seconds;

    @Option(
            names = "--rounds",
            defaultValue = "1",
            description =
                    "Measure each problem so often, all kernels in turns; the middle round counts, and what rounds differ"
                            + " by counts as noise (default ${DEFAULT-VALUE}).")
    private int rounds;

    @Option(
            names = "--beside",
            paramLabel = "COMMAND",
            description =
                    "Have a program measure others' kernels on each problem, in turns with ours, and set them beside:"
                            + " 'python3 bench/peers.py --serve'. Repeatable.")
    private List<String> commands = new ArrayList<>();

    @Option(
            names = "--beside-output",
            paramLabel = "FILE.json",
            description =
                    "What --beside measured, as a file for --compare and for './attention report'. Repeatable: one for each"
                            + " --beside, in their order.")
    private List<Path> besideOutputs = new ArrayList<>();

    @Option(
            names = "--at-most",
            paramLabel = "SECONDS",
            defaultValue = "1e9",
            showDefaultValue = CommandLine.Help.Visibility.NEVER,
            description =
                    "Leave out a kernel where an execution would take longer, by its speed on the problems before.")
    private double atMost;

    @ArgGroup(exclusive = true)
    private Printed printed = new Printed();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "Write to a file too: .json, .csv or .md. Repeatable.")
    private List<Path> outputs = new ArrayList<>();

    @Option(
            names = "--compare",
            paramLabel = "FILE",
            description =
                    "Set beside other results: of bench/peers.py, as ratios; of this command, as the distance between"
                            + " the medians of two runs, with exit code 1 if any that is not noisy is over 5 %%. Repeatable.")
    private List<Path> compared = new ArrayList<>();

    @Option(
            names = "--from",
            paramLabel = "FILE",
            description =
                    "Measure nothing: take the results from a JSON file. Repeatable: those of one device become one file.")
    private List<Path> from = new ArrayList<>();

    @Option(names = "--list", description = "Print the problems and measure nothing.")
    private boolean list;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    private final List<ResultFile> files = new ArrayList<>();
    private final List<BenchFile> read = new ArrayList<>();
    private final List<Peer> peers = new ArrayList<>();
    private final List<ResultFile> besideFiles = new ArrayList<>();
    private boolean finished;
    private PrintWriter out;

    @Override
    public Integer call() throws Exception {
        out = spec.commandLine().getOut();
        for (Path path : outputs) { // what cannot be written is refused before the work and not after it
            BenchFormat.of(path);
            files.add(ResultFile.at(path));
        }
        requireTurns();
        for (Path path : besideOutputs) {
            besideFiles.add(ResultFile.at(path));
        }
        if (list) {
            problems.cases().forEach(out::println);
            out.flush();
            return Main.GOOD;
        }
        for (Path path : compared) {
            read.add(BenchFile.read(path));
        }
        BenchFile results = from.isEmpty() ? measured() : taken();
        others().forEach(other -> warnOfAnotherDevice(results, other));
        if (format().isEmpty()) {
            printComparisons(results);
        }
        boolean repeated = others().stream()
                .flatMap(other -> RunComparison.of(other, results).stream())
                .allMatch(run -> run.noisy() || run.agrees());
        boolean any = results.results().stream().anyMatch(result -> result.timing() != null);
        return any && repeated && results.results().stream().allMatch(BenchResult::good) ? Main.GOOD : Main.FAILED;
    }

    private void requireTurns() {
        if (!(atMost > 0)) {
            throw refused("--at-most is %s: it must be above 0.".formatted(atMost));
        }
        if (rounds < 1) {
            throw refused("--rounds is %d: it must be 1 or more.".formatted(rounds));
        }
        if (!from.isEmpty() && (rounds > 1 || !commands.isEmpty())) {
            throw refused("--from measures nothing: leave out --rounds and --beside, or use --compare with a file.");
        }
        if (!besideOutputs.isEmpty() && commands.size() != besideOutputs.size()) {
            throw refused("Each --beside-output holds the results of one --beside: there are %d and %d."
                    .formatted(besideOutputs.size(), commands.size()));
        }
    }

    private CommandLine.ParameterException refused(String message) {
        return new CommandLine.ParameterException(spec.commandLine(), message);
    }

    private BenchFile taken() throws IOException {
        List<BenchFile> parts = new ArrayList<>();
        for (Path path : from) {
            parts.add(BenchFile.read(path));
        }
        BenchFile file = BenchFile.joined(parts);
        if (format().isEmpty()) {
            out.println("Results of %s, %s"
                    .formatted(
                            from.stream().map(Path::toString).collect(Collectors.joining(", ")),
                            file.environment().describe()));
            printHead(file);
            file.results().forEach(this::print);
        }
        deliver(file);
        return file;
    }

    private BenchFile measured() throws IOException {
        ComputeDevice device = compute.device();
        ComputeOptions.announce(format().isPresent() ? spec.commandLine().getErr() : out, device);
        List<BenchCase> cases = problems.cases();
        BenchJournal journal = new BenchJournal(problems.name(), Environment.of(device));
        Thread interrupted = new Thread(() -> interrupted(journal), "interrupted");
        Runtime.getRuntime().addShutdownHook(interrupted);
        try (BenchSession session =
                new BenchSession(device, new BenchSession.Settings(warmUps, repetitions, seconds))) {
            journal.flushedBytes(session.flushedBytes());
            if (!device.isJvm()) { // which are measured by kernels in task graphs
                journal.ceilings(CeilingBenchmark.measure(device));
            }
            if (format().isEmpty()) {
                printHead(journal.file());
            }
            for (String command : commands) {
                peers.add(Peer.start(command));
            }
            int number = 0;
            for (BenchCase problem : cases) {
                number++;
                String place = "%d/%d".formatted(number, cases.size());
                List<Turn> turns = turns(problem, session, device, journal);
                for (int round = 1; round <= rounds; round++) {
                    takeTurns(turns, problem, place, round, session, journal);
                }
            }
            journal.finish();
            finished = true;
            deliver(journal.file());
            return journal.file();
        } finally {
            removeHook(interrupted);
            peers.forEach(Peer::close);
        }
    }

    /** Something to measure: a kernel of ours on a problem. */
    private record Turn(String name, int executions, Function<Runnable, BenchResult> body, List<BenchResult> rounds) {

        Turn(String name, int executions, Function<Runnable, BenchResult> body) {
            this(name, executions, body, new ArrayList<>());
        }
    }

    private List<Turn> turns(BenchCase problem, BenchSession session, ComputeDevice device, BenchJournal journal) {
        List<Turn> turns = new ArrayList<>();
        for (Candidate candidate : candidates(problem, device)) {
            AttentionKernel kernel = candidate.kernel;
            OptionalDouble expected = journal.expectedSeconds(problem, kernel);
            turns.add(
                    expected.isPresent() && expected.getAsDouble() > atMost
                            ? new Turn(
                                    kernel.id(), 1, _ -> BenchResult.leftOut(problem, kernel, expected.getAsDouble()))
                            : new Turn(
                                    kernel.id(),
                                    session.executions(),
                                    progress -> session.measure(problem, kernel, candidate.tile, progress)));
        }
        if (isDecodeStep(problem) && compute.kernels().isEmpty() && !device.isJvm()) {
            turns.add(new Turn(
                    "decode", 1 + warmUps + 2 * repetitions, progress -> session.measureDecode(problem, progress)));
        }
        return turns;
    }

    private void takeTurns(
            List<Turn> turns, BenchCase problem, String place, int round, BenchSession session, BenchJournal journal)
            throws IOException {
        for (Turn turn : turns) {
            try (Progress progress = Progress.of(place + " " + turn.name, turn.executions)) {
                progress.say(problem.toString());
                turn.rounds.add(turn.body.apply(progress::step));
            }
            if (round == rounds) {
                note(journal, Rounds.together(turn.rounds));
            }
        }
        for (Peer peer : peers) {
            try (Progress progress = Progress.of(place + " " + peer.runtime(), 1)) {
                progress.say(problem.toString());
                peer.measure(problem, session.settings());
            }
        }
        writeFiles(journal.file());
    }

    private void note(BenchJournal journal, BenchResult result) throws IOException {
        BenchResult added = journal.add(result);
        if (format().isEmpty()) {
            print(added);
        }
        writeFiles(journal.file());
    }

    /** Whether the device runs a kernel; the simulator runs those of warps lane by lane, for those who ask for them. */
    private static boolean isMeasured(AttentionKernel kernel, ComputeDevice device) {
        return device.isSimulator() ? BenchFile.PORTABLE.contains(kernel) : kernel.supports(device);
    }

    private static boolean isDecodeStep(BenchCase problem) {
        return problem.pass() == Direction.FORWARD
                && problem.shape().seqQ() == 1
                && problem.shape().seqK() > 1;
    }

    /** A kernel, and a tile where one was asked for. */
    private record Candidate(AttentionKernel kernel, Optional<Tile> tile) {}

    /** The kernel that was asked for, or all that the device can run. */
    private List<Candidate> candidates(BenchCase problem, ComputeDevice device) {
        List<Candidate> candidates = Arrays.stream(AttentionKernel.values())
                .filter(kernel -> compute.kernels().isEmpty()
                        ? isMeasured(kernel, device)
                                && kernel.supports(problem.shape().headDim())
                        : compute.kernels().contains(kernel))
                .filter(kernel -> kernel.supports(problem.dtype()))
                .flatMap(kernel -> candidates(kernel, problems.tiles(problem, kernel)))
                .toList();
        problems.requireObeyed(candidates.stream().anyMatch(candidate -> candidate.tile.isPresent()));
        return candidates;
    }

    private static Stream<Candidate> candidates(AttentionKernel kernel, List<Tile> tiles) {
        return tiles.isEmpty()
                ? Stream.of(new Candidate(kernel, Optional.empty()))
                : tiles.stream().map(tile -> new Candidate(kernel, Optional.of(tile)));
    }

    /** Ctrl-C: what was measured is printed, or is in its files already. */
    private void interrupted(BenchJournal journal) {
        BenchFile file = journal.file();
        if (format().isPresent()) {
            out.print(format().get().text(file, others()));
        } else {
            out.println("Interrupted after %d results%s."
                    .formatted(file.results().size(), files.isEmpty() ? "" : ", which are in " + outputs));
        }
        out.flush();
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The JVM is on its way down, and the hook does its work.
        }
    }

    /** What the results are set beside: files, and what peers have measured so far. */
    private List<BenchFile> others() {
        return Stream.concat(read.stream(), peers.stream().map(peer -> peer.file(problems.name(), finished)))
                .toList();
    }

    private Optional<BenchFormat> format() {
        if (printed.json) {
            return Optional.of(BenchFormat.JSON);
        }
        if (printed.csv) {
            return Optional.of(BenchFormat.CSV);
        }
        return printed.markdown ? Optional.of(BenchFormat.MARKDOWN) : Optional.empty();
    }

    private void deliver(BenchFile file) throws IOException {
        writeFiles(file);
        if (format().isPresent()) {
            out.print(format().get().text(file, others()));
            out.flush();
            return;
        }
        if (file.results().stream().anyMatch(BenchFormat::noisy)) {
            out.println();
            out.println(BenchFormat.NOISY_NOTE);
        }
        out.flush();
    }

    private void writeFiles(BenchFile file) throws IOException {
        for (ResultFile each : files) {
            each.write(BenchFormat.of(each.path()).text(file, others()));
        }
        for (int i = 0; i < Math.min(besideFiles.size(), peers.size()); i++) {
            besideFiles.get(i).write(BenchFormat.JSON.text(peers.get(i).file(problems.name(), finished), List.of()));
        }
    }

    private void warnOfAnotherDevice(BenchFile results, BenchFile other) {
        if (!results.environment().isSameDeviceAs(other.environment())) {
            PrintWriter err = spec.commandLine().getErr();
            err.println("Warning: these results are of %s and the others of %s, so that ratios compare the devices too."
                    .formatted(
                            results.environment().device(), other.environment().device()));
            err.flush();
        }
    }

    private void printComparisons(BenchFile results) {
        for (BenchFormat.Section section : BenchFormat.sections(results, others())) {
            out.println();
            section.titles().forEach(out::println);
            Table table = new Table("");
            section.rows().forEach(row -> table.row(row.toArray(String[]::new)));
            table.print(out);
            if (!section.summary().isEmpty()) {
                out.println(section.summary());
            }
        }
        out.flush();
    }

    private static final String LINE = "%-34s %-19s %18s %17s %13s %10s %10s %13s %s";

    private void printHead(BenchFile file) {
        if (file.ceilings() != null) {
            out.println(BenchFormat.ceilings(file.ceilings()).strip());
        }
        out.println(LINE.formatted(BenchFormat.HEADS.toArray()));
        out.flush();
    }

    private void print(BenchResult result) {
        List<String> row = BenchFormat.row(result);
        out.println(
                row.size() == BenchFormat.HEADS.size()
                        ? LINE.formatted(row.toArray())
                        : "%-34s %-19s %s".formatted(row.toArray()));
        out.flush();
    }
}
