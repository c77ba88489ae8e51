package org.tornadoattention.artifacts;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Programs as a user types them, with the JDK of this process and nothing of its environment that chooses an engine.
 */
final class Command {

    private static final int MINUTES = 5;

    /** What the build made, in the simulator's mode. */
    static final Path JARS = Path.of("target", "lib").toAbsolutePath();

    private static final Path JAVA_HOME = Path.of(System.getProperty("java.home"));

    private Command() {}

    /** One of the JDK's programs. */
    static String tool(String name) {
        return JAVA_HOME.resolve("bin").resolve(name).toString();
    }

    /** A path of jars of the build, by name, and other places. */
    static String path(List<String> jars, Path... others) {
        return Stream.concat(
                        Arrays.stream(others).map(Path::toString),
                        jars.stream().map(jar -> JARS.resolve(jar + ".jar").toString()))
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** Runs a program in a directory to its end, which must be a good one, and returns all that it printed. */
    static String run(Path directory, String... command) throws IOException, InterruptedException {
        Path output = Files.createTempFile("output", ".txt");
        try {
            ProcessBuilder builder = new ProcessBuilder(command)
                    .directory(directory.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile());
            builder.environment().keySet().removeAll(List.of("TORNADOVM_HOME", "JDK_JAVA_OPTIONS", "CLASSPATH"));
            builder.environment().put("JAVA_HOME", JAVA_HOME.toString());
            builder.environment().put("ATTENTION_BUILD", "never");
            builder.environment().put("MAVEN_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
            Process process = builder.start();
            process.getOutputStream().close();
            if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
                process.destroyForcibly().waitFor();
            }
            String text = new String(Files.readAllBytes(output), StandardCharsets.UTF_8);
            assertThat(process.exitValue()).as("%s\n%s", List.of(command), text).isZero();
            return text;
        } finally {
            Files.delete(output);
        }
    }
}
