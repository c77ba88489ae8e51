package org.tornadoattention;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.tornadoattention.device.Platform;

/**
 * A JVM started like this one, with the same platform behind TornadoVM's API, that ran to its end.
 *
 * @param exitCode what it returned
 * @param output all that it printed, errors included
 */
public record JavaProcess(int exitCode, String output) {

    private static final int MINUTES = 10;

    /**
     * Runs a JVM.
     *
     * @param options for the JVM, after those of this one
     * @param mainAndArguments a class or source file, and what follows it
     */
    public static JavaProcess run(List<String> options, String... mainAndArguments) {
        return run(_ -> true, options, mainAndArguments);
    }

    /**
     * Runs a JVM with some of the options of this one.
     *
     * @param kept whether it gets an option of this JVM's too
     * @param options for the JVM, after those
     * @param mainAndArguments a class or source file, and what follows it
     */
    public static JavaProcess run(Predicate<String> kept, List<String> options, String... mainAndArguments) {
        try {
            return wait(command(kept, options, mainAndArguments));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Starts a JVM and leaves it running; its errors are in its output. */
    public static Process start(List<String> options, String... mainAndArguments) throws IOException {
        return builder(options, mainAndArguments).redirectErrorStream(true).start();
    }

    /** What starts a JVM, for a test that says where its output goes. */
    public static ProcessBuilder builder(List<String> options, String... mainAndArguments) {
        return new ProcessBuilder(command(_ -> true, options, mainAndArguments));
    }

    private static List<String> command(Predicate<String> kept, List<String> options, String... mainAndArguments) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(argument -> !argument.startsWith("-agentlib") && !argument.startsWith("-javaagent"))
                .filter(kept)
                .forEach(command::add);
        if (Platform.current().simulator()) {
            // It ends before a second tier of compiling would pay.
            command.add("-XX:TieredStopAtLevel=1");
        }
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.addAll(options);
        command.addAll(List.of(mainAndArguments));
        return command;
    }

    private static JavaProcess wait(List<String> command) throws IOException, InterruptedException {
        Path output = Files.createTempFile("output", ".txt");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
                process.destroyForcibly().waitFor();
                throw new IllegalStateException("No end after %d minutes: %s".formatted(MINUTES, command));
            }
            // Drivers may print what is not UTF-8.
            return new JavaProcess(process.exitValue(), new String(Files.readAllBytes(output), StandardCharsets.UTF_8));
        } finally {
            Files.delete(output);
        }
    }
}
