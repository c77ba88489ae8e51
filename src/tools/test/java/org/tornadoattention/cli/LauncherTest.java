package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What the launcher refuses before it builds or starts anything. */
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {

    @TempDir
    private Path directory;

    @Test
    void aTornadoVmHomeThatIsNoDirectoryIsNeverReplacedByTheSimulator() throws Exception {
        assertThat(launch("TORNADOVM_HOME", directory.resolve("none"), "--help"))
                .startsWith("1 attention: TORNADOVM_HOME is ")
                .contains("which is not a directory", "unset it to run on the simulator");
    }

    @Test
    void aTornadoVmHomeWithoutAnSdkIsRefused() throws Exception {
        assertThat(launch("TORNADOVM_HOME", directory, "--help"))
                .startsWith("1 ")
                .contains("holds no TornadoVM SDK");
    }

    @Test
    void anotherVersionOfTornadoVmIsRefusedByName() throws Exception {
        Path jars = Files.createDirectories(directory.resolve("share/java/tornado"));
        Files.createFile(jars.resolve("tornado-api-4.0.0-jdk21.jar"));
        assertThat(launch("TORNADOVM_HOME", directory, "--help"))
                .startsWith("1 ")
                .contains("is a TornadoVM 4.0.0-jdk21");
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

    /** Runs {@code ./attention} with one environment variable: its exit code and all that it printed. */
    private static String launch(String variable, Path value, String argument)
            throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder("./attention", argument).redirectErrorStream(true);
        builder.environment().remove("TORNADOVM_HOME");
        builder.environment().put(variable, value.toString());
        Process process = builder.start();
        process.getOutputStream().close();
        String text = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        return process.exitValue() + " " + text;
    }
}
