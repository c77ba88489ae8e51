package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.bench.BenchFiles;
import picocli.CommandLine;

class MainTest {

    @TempDir
    private Path directory;

    @Test
    void helpListsCommandsExitCodesAndExamples() {
        Invocation help = Invocation.of("--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.out())
                .contains("demo", "run", "verify", "devices", "Exit codes:", "Examples:", "TORNADOVM_HOME");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "demo",
                "run",
                "verify",
                "bench",
                "report",
                "explain",
                "costs",
                "trace",
                "tables",
                "bench-decode",
                "tune",
                "devices"
            })
    void everyCommandTeachesByExample(String command) {
        Invocation help = Invocation.of(command, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.out()).contains("Usage: attention " + command, "Examples:", "./attention " + command);
        assertThat(help.err()).isEmpty();
    }

    @Test
    void versionNamesLibraryAndJava() {
        assertThat(Invocation.of("--version").out())
                .contains("tornado-attention ", "Java " + Runtime.version().feature());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "|Name a command: demo, run, verify",
                "rum|Did you mean: attention run?",
                "verify|Missing required parameter: 'PATH'",
                "demo --kernel fast|There is no kernel 'fast': choose one of standard, online, tiled",
                "demo --backend vulkan|There is no backend 'vulkan': choose one of cuda, opencl",
                "demo --backend metal|There is no device of backend metal here. Present: ",
                "demo --device one|'one' is no whole number",
                "demo --device 99|There is no device 99 here. Present: ",
                "demo --length 1|--length is 1: it must be from 2 to ",
                "demo --length 1000000|--length is 1000000: it must be from 2 to ",
                "demo extra|Unmatched argument at index 1: 'extra'",
                "devices --jsn|Possible solutions: --json",
            })
    void badUsageIsSaidInAFewLinesWithExitCode2(String arguments, String message) {
        Invocation bad = arguments == null ? Invocation.of() : Invocation.of((Object[]) arguments.split(" "));
        assertThat(bad.exitCode()).isEqualTo(2);
        assertThat(bad.out()).isEmpty();
        assertThat(bad.err()).contains(message).doesNotContain("\tat ", "Exception");
        assertThat(bad.err().lines()).hasSizeBetween(1, 2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "bench --seq 0|nothing to measure: --batch, --seq and --queries must be 1 or more",
                "bench --repeat 0 --seq 16|there must be 0 or more and 1 or more",
                "bench --seconds -1 --seq 16|--seconds is -1.0: it must be 0 or more",
                "bench --at-most 0 --seq 16|--at-most is 0.0: it must be above 0",
                "bench-decode --keys 0|There are 0 keys",
                "bench-decode --keys 16 --repeat 0|there must be 0 or more and 1 or more",
                "tune --tokens 0|--tokens, --width and --repeat must be 1 or more",
                "tune --width 0|--tokens, --width and --repeat must be 1 or more",
                "explain --batch 0|There is nothing to explain",
                "costs --seq 0|There is nothing to look at",
                "trace tiled --heads 0|There is nothing to look at",
                "bench-decode --batch 0|The batch is 0",
                "bench-decode --keys 16 --splits=-1|--splits is -1",
                "bench-decode --keys 16 --page-size=-4|The page size is -4",
                "bench-decode --heads 3 --kv-heads 2|3 query heads cannot share 2 key/value heads evenly",
            })
    void sizesThatCannotBeAreRefusedBeforeTheWork(String arguments, String message) {
        Invocation bad = Invocation.of((Object[]) arguments.split(" "));
        assertThat(bad.exitCode()).isEqualTo(2);
        assertThat(bad.err()).contains(message).doesNotContain("\tat ");
    }

    /** One name in all commands; the other one leads to it. */
    @ParameterizedTest
    @ValueSource(strings = {"run", "bench", "report", "tune", "accuracy"})
    void theFileToWriteIsNamedByOneOption(String command) {
        assertThat(Invocation.of(command, "--help").out()).contains("-o, --output=");
        assertThat(Invocation.of(command, "--out", "x").err()).contains("--output");
    }

    @Test
    void helpAndCompletionAreCommandsToo() {
        assertThat(Invocation.of("help").out())
                .isEqualTo(Invocation.of("--help").out());
        assertThat(Invocation.of("help", "bench").out()).contains("Usage: attention bench");
        assertThat(Invocation.of("generate-completion").out()).contains("complete -F", "attention");
    }

    /** What a full disk does, and a reader that goes away. */
    /** What a shell sees, of commands that print a table, a number of lines, and JSON. */
    @ParameterizedTest
    @ValueSource(strings = {"bench --from %s --json", "bench --from %s", "devices --json", "--help"})
    void aProcessWhoseOutputIsLostFails(String command) throws Exception {
        Path full = Path.of("/dev/full");
        assumeThat(full).exists();
        Path measured = directory.resolve("measured.json");
        Files.writeString(measured, BenchFiles.ours().toJson());
        Path errors = directory.resolve("errors.txt");
        Process process = JavaProcess.builder(
                        List.of(),
                        Stream.concat(
                                        Stream.of(Main.class.getName()),
                                        Stream.of(command.formatted(measured).split(" ")))
                                .toArray(String[]::new))
                .redirectOutput(full.toFile())
                .redirectError(errors.toFile())
                .start();
        assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
        assertThat(process.exitValue()).isEqualTo(Main.FAILED);
        assertThat(errors).content().contains("standard output could not be written whole");
    }

    @Test
    void outputThatIsLostIsAFailure() {
        PrintStream full = new PrintStream(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("No space left on device");
            }
        });
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        full.println("a result");
        assertThat(Main.delivered(Main.GOOD, full, new PrintStream(err))).isEqualTo(Main.FAILED);
        assertThat(err.toString()).contains("standard output could not be written whole");
        assertThat(Main.delivered(Main.BAD_USAGE, full, new PrintStream(err))).isEqualTo(Main.BAD_USAGE);
        PrintStream good = new PrintStream(new ByteArrayOutputStream());
        assertThat(Main.delivered(Main.GOOD, good, new PrintStream(err))).isEqualTo(Main.GOOD);
    }

    /** Every command that writes says before its work, here before it looks for its input, that it cannot. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "run none.safetensors -o %s",
                "report none.json -o %s",
                "tune -o %s",
                "accuracy --output %s",
                "accuracy --inputs %s",
                "trace tiled --output %s",
            })
    void whatCannotBeWrittenIsRefusedBeforeTheWork(String command) {
        assumeThat(Path.of("/dev/full")).exists();
        Invocation device =
                Invocation.of((Object[]) command.formatted("/dev/full").split(" "));
        assertThat(device.exitCode()).isEqualTo(2);
        assertThat(device.out()).isEmpty();
        assertThat(device.err()).contains("/dev/full: this is ").doesNotContain("\tat ");
    }

    @Test
    void benchRefusesADirectoryOfAGoodNameBeforeTheWork() throws IOException {
        Path taken = Files.createDirectory(directory.resolve("x.json"));
        Invocation bench = Invocation.of("bench", "-o", taken);
        assertThat(bench.exitCode()).isEqualTo(2);
        assertThat(bench.out()).isEmpty();
        assertThat(bench.err()).contains(taken + ": this is a directory: name a file in it");
        assertThat(taken).isDirectory();
    }

    /** Each word of a command's texts that has a full stop or a slash inside stands in its help in one piece. */
    @ParameterizedTest
    @MethodSource("commands")
    void helpDoesNotBreakInsideNamesOfFiles(String command) {
        CommandLine line = Main.commandLine();
        CommandLine.Model.CommandSpec spec =
                (command.isEmpty() ? line : line.getSubcommands().get(command)).getCommandSpec();
        String help = spec.commandLine().setUsageHelpWidth(80).getUsageMessage(CommandLine.Help.Ansi.OFF);
        Stream.of(
                        Stream.of(spec.usageMessage().description()),
                        Stream.of(spec.usageMessage().footer()),
                        spec.options().stream().flatMap(option -> Stream.of(option.description())))
                .flatMap(texts -> texts)
                .flatMap(text -> Stream.of(text.split("[\\s,;()]+")))
                .filter(word -> word.matches(".*\\w?[./:]\\w.*") && !word.contains("$"))
                .forEach(word -> assertThat(help).contains(word));
    }

    /** Examples of help can be typed as they stand: the project's files that they name are there. */
    @ParameterizedTest
    @MethodSource("commands")
    void helpNamesFilesThatAreThere(String command) {
        String help = command.isEmpty()
                ? Invocation.of("--help").out()
                : Invocation.of(command, "--help").out();
        assertThat(Pattern.compile("\\b(src|docs|bench|tornado-config)/[\\w./-]*\\w(?![\\w/*-])")
                        .matcher(help)
                        .results())
                .allSatisfy(name -> assertThat(Path.of(name.group())).exists());
    }

    static Stream<String> commands() {
        return Stream.concat(Stream.of(""), Main.commandLine().getSubcommands().keySet().stream());
    }

    @Test
    void theStackTraceComesWhenAskedFor() {
        assertThat(Invocation.of("demo", "--length", "1", "--stacktrace").err())
                .contains("\tat org.tornadoattention.cli.");
    }
}
