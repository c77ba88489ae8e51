package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the launcher refuses before it builds or starts anything. */
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {

    @TempDir
    private Path directory;

    @Test
    void aTornadoVmHomeThatIsNoDirectoryIsNeverReplacedByTheSimulator() throws Exception {
        assertThat(launch("TORNADOVM_HOME", directory.resolve("none"), "--help"))
                .startsWith("1 attention: TORNADOVM_HOME is ")
                .contains("which is not a directory", "unset TORNADOVM_HOME to run on the JVM itself");
    }

    @Test
    void aTornadoVmHomeWithoutAnSdkIsRefused() throws Exception {
        assertThat(launch("TORNADOVM_HOME", directory, "--help"))
                .startsWith("1 ")
                .contains("holds no TornadoVM SDK");
    }

    @ParameterizedTest
    @ValueSource(strings = {"4.0.0-jdk21", "6.1.0-jdk25"})
    void anotherVersionOfTornadoVmIsRefusedInOneSentence(String version) throws Exception {
        Path jars = Files.createDirectories(directory.resolve("share/java/tornado"));
        Files.createFile(jars.resolve("tornado-api-" + version + ".jar"));
        assertThat(launch("TORNADOVM_HOME", directory, "devices"))
                .startsWith("1 attention: TORNADOVM_HOME is ")
                .contains(
                        "a TornadoVM " + version + "; supported is TornadoVM 5.2.0-jdk25, which has the OpenCL, CUDA,")
                .contains("'sdk install tornadovm 5.2.0-jdk25-BACKEND' with one of opencl, cuda, ptx and spirv")
                .endsWith("or unset TORNADOVM_HOME to run on the JVM itself." + System.lineSeparator())
                .hasLineCount(1);
    }

    @Test
    void aJavaThatIsTooOldIsRefused() throws Exception {
        Path java = Files.createDirectories(directory.resolve("bin")).resolve("java");
        Files.createFile(java).toFile().setExecutable(true);
        Files.writeString(directory.resolve("release"), "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"17.0.1\"\n");
        assertThat(launch("ATTENTION_JAVA", directory, "--help"))
                .startsWith("1 ")
                .contains("which is not a JDK 25");
    }

    @Test
    void itTellsWhichJdkItFound() throws Exception {
        Path java = Path.of(System.getProperty("java.home"));
        assertThat(launch("ATTENTION_JAVA", java, "--java-home")).isEqualTo("0 " + java + System.lineSeparator());
    }

    @Test
    void whatIsAskedWronglyOfJavaIsToldBeforeAnythingIsBuilt() throws Exception {
        assertThat(launch("LC_ALL", Path.of("C"), "java", "--help"))
                .startsWith("0 usage: ./attention java FILE.java ARGUMENT…")
                .contains("--print", "javac -g");
        assertThat(launch("LC_ALL", Path.of("C"), "java")).startsWith("2 usage: ./attention java FILE.java");
        assertThat(launch("LC_ALL", Path.of("C"), "java", "none.java"))
                .isEqualTo("2 attention: there is no file none.java." + System.lineSeparator());
    }

    @Test
    void anExampleThatIsNotThereIsNamedAndTheOthersListed() throws Exception {
        assertThat(launch("ATTENTION_BUILD", Path.of("never"), "example", "nosuch"))
                .startsWith("2 attention: there is no example nosuch.")
                .contains("usage: ./attention example NAME", "  HelloAttention");
        assertThat(launch("ATTENTION_BUILD", Path.of("never"), "example", "--help"))
                .startsWith("0 usage: ./attention example NAME");
    }

    /** Those that read none, all that are in the folder. */
    static List<String> examplesWithoutArguments() throws IOException {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of("examples"), "*.java")) {
            for (Path file : files) {
                String source = Files.readString(file);
                if (!source.contains("Example.run(")) {
                    assertThat(source).as(file.toString()).contains("static void main()");
                    names.add(file.getFileName().toString().replace(".java", ""));
                }
            }
        }
        assertThat(names).contains("HelloAttention", "YourOwnAttention");
        return names;
    }

    @ParameterizedTest
    @MethodSource("examplesWithoutArguments")
    void anExampleWithoutArgumentsTakesNone(String example) throws Exception {
        assertThat(launch("ATTENTION_BUILD", Path.of("never"), "example", example, "--help"))
                .isEqualTo("0 usage: ./attention example " + example + System.lineSeparator());
        assertThat(launch("ATTENTION_BUILD", Path.of("never"), "example", example, "7"))
                .isEqualTo("2 attention: example " + example + " takes no arguments." + System.lineSeparator());
    }

    /** Runs {@code ./attention} with one environment variable: its exit code and all that it printed. */
    private static String launch(String variable, Path value, String... arguments)
            throws IOException, InterruptedException {
        List<String> command =
                Stream.concat(Stream.of("./attention"), Stream.of(arguments)).toList();
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().remove("TORNADOVM_HOME");
        builder.environment().put(variable, value.toString());
        Process process = builder.start();
        process.getOutputStream().close();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        return process.exitValue() + " " + text;
    }
}
