package org.tornadoattention.cli;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.ErrorInputs;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.tensor.DType;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IHelpSectionRenderer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.UsageMessageSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/**
 * The command line. Exit codes: 0 good, 1 a check or a computation failed or output was lost, 2 bad usage or files.
 * Failures are a line or two on standard error; {@code --stacktrace} adds where they came from.
 */
@Command(
        name = "attention",
        description = {"FlashAttention in pure Java, on any device that TornadoVM reaches, or on the JVM alone.", ""},
        subcommands = {
            DemoCommand.class,
            RunCommand.class,
            VerifyCommand.class,
            BenchCommand.class,
            ReportCommand.class,
            ExplainCommand.class,
            CostsCommand.class,
            TraceCommand.class,
            TablesCommand.class,
            BenchDecodeCommand.class,
            TuneCommand.class,
            AccuracyCommand.class,
            DevicesCommand.class,
            CommandLine.HelpCommand.class,
            AutoComplete.GenerateCompletion.class
        },
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        usageHelpAutoWidth = true,
        commandListHeading = "%nCommands:%n",
        optionListHeading = "%nOptions:%n",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:good",
            "1:a check or a computation failed, or output was lost",
            "2:bad usage, or a file that cannot be used"
        },
        footer = {
            "",
            "Examples:",
            "  ./attention demo                                     see it work, checked and timed",
            "  ./attention run qkv.safetensors -o out.safetensors --causal",
            "  ./attention verify src/library/test/resources/goldens        compare with known solutions",
            "  ./attention bench --preset quick                     measure every kernel, a minute on any machine",
            "  ./attention explain --seq 256 --causal               what happens to one problem",
            "  ./attention costs --kernel tiled                     what each line of a kernel costs a GPU",
            "  ./attention example HelloAttention                   compile and run a program of examples/",
            "  ./attention puzzle 1                                 learn to write kernels: sixteen exercises, graded",
            "  TORNADOVM_HOME=~/tornadovm ./attention devices       what an SDK offers",
            "",
            "With TORNADOVM_HOME set, kernels run on TornadoVM's devices; without, on the JVM's vector units, and those of",
            "task graphs in a simulator.",
            "'./attention COMMAND --help' says more. JDK_JAVA_OPTIONS=-Xmx16g gives the JVM more memory."
        })
public final class Main implements Runnable {

    static final int GOOD = 0;
    static final int FAILED = 1;
    static final int BAD_USAGE = 2;

    @Option(
            names = "--stacktrace",
            scope = ScopeType.INHERIT,
            description = "Say where in the program a failure came from.")
    boolean stackTrace;

    @Spec
    private CommandSpec spec;

    /** Runs a command and ends the process with its exit code. */
    public static void main(String[] arguments) {
        Locale.setDefault(Locale.ENGLISH);
        int exitCode = execute(commandLine(), arguments);
        System.exit(delivered(exitCode, System.out, System.err));
    }

    /** The exit code of a command once its output has left: output that was lost is a failure. */
    static int delivered(int exitCode, PrintStream out, PrintStream err) {
        if (!out.checkError()) {
            return exitCode;
        }
        err.println("attention: standard output could not be written whole: is the disk full, or its reader gone?");
        return exitCode == GOOD ? FAILED : exitCode;
    }

    /** The command line, with everything set but the arguments. */
    static CommandLine commandLine() {
        Failures failures = new Failures();
        CommandLine commandLine = new CommandLine(new Main())
                .registerConverter(AttentionKernel.class, text -> parsed(AttentionKernel::parse, text))
                .registerConverter(Backend.class, text -> parsed(Backend::parse, text))
                .registerConverter(Direction.class, text -> parsed(Direction::parse, text))
                .registerConverter(DecodeKernel.class, text -> parsed(DecodeKernel::parse, text))
                .registerConverter(ErrorInputs.class, text -> parsed(ErrorInputs::parse, text))
                .registerConverter(DType.class, text -> parsed(DType::parse, text))
                .registerConverter(Tile.class, text -> parsed(AttentionKernel.TILED::tile, text))
                .setParameterExceptionHandler(failures)
                .setExecutionExceptionHandler(failures)
                .setHelpFactory(WholeWordsHelp::new);
        keepWordsWhole(commandLine);
        return commandLine;
    }

    /**
     * Picocli breaks lines inside names of files too: texts are broken at blanks alone here, and the lines of examples,
     * which are to be copied, nowhere.
     */
    private static void keepWordsWhole(CommandLine commandLine) {
        Map<String, IHelpSectionRenderer> sections = commandLine.getHelpSectionMap();
        sections.put(
                UsageMessageSpec.SECTION_KEY_DESCRIPTION,
                help -> Arrays.stream(help.commandSpec().usageMessage().description())
                        .map(text ->
                                broken(text, help.commandSpec().usageMessage().width()))
                        .collect(Collectors.joining()));
        sections.put(
                UsageMessageSpec.SECTION_KEY_FOOTER,
                help -> Arrays.stream(help.commandSpec().usageMessage().footer())
                        .map(line -> line + System.lineSeparator())
                        .collect(Collectors.joining()));
        commandLine.setHelpSectionMap(sections);
        commandLine.getSubcommands().values().forEach(Main::keepWordsWhole);
    }

    private static String broken(String text, int width) {
        StringBuilder lines = new StringBuilder();
        int column = 0;
        for (String word : text.split(" ")) {
            if (column > 0 && column + 1 + word.length() >= width) {
                lines.append(System.lineSeparator());
                column = 0;
            }
            lines.append(column == 0 ? "" : " ").append(word);
            column += (column == 0 ? 0 : 1) + word.length();
        }
        return lines.append(System.lineSeparator()).toString();
    }

    /** What a parser makes of an option's value; its own message, and no other, says what is wrong with it. */
    static <T> T parsed(Function<String, T> parser, String text) {
        try {
            return parser.apply(text);
        } catch (IllegalArgumentException e) {
            throw new TypeConversionException(e.getMessage());
        }
    }

    /** Runs a command; what TornadoVM throws when it does not load, or breaks inside, are errors. */
    static int execute(CommandLine commandLine, String... arguments) {
        try {
            return commandLine.execute(arguments);
        } catch (Error e) {
            Main main = commandLine.getCommand();
            PrintWriter err = commandLine.getErr();
            Failures.print(err, "attention", e, main.stackTrace);
            return FAILED;
        }
    }

    /** Without a command: bad usage. */
    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(),
                "Name a command: " + String.join(", ", spec.subcommands().keySet()) + ".");
    }
}
