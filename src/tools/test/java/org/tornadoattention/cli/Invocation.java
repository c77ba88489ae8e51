package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Arrays;
import picocli.CommandLine;

/** One run of the command line in this process: its exit code and what it printed. */
record Invocation(int exitCode, String out, String err) {
    static final Path GOLDENS = Path.of("src/library/test/resources/goldens");

    static Invocation of(Object... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commandLine = Main.commandLine()
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .setUsageHelpWidth(200);
        int exitCode = Main.execute(
                commandLine, Arrays.stream(arguments).map(String::valueOf).toArray(String[]::new));
        return new Invocation(exitCode, out.toString(), err.toString());
    }
}
