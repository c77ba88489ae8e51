package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionException;
import org.tornadoattention.file.UnusableFileException;
import org.tornadoattention.tensor.SafetensorsException;
import picocli.CommandLine;

class FailuresTest {

    private final StringWriter err = new StringWriter();
    private final CommandLine commandLine = Main.commandLine().setErr(new PrintWriter(err, true));

    private int handle(Exception failure) {
        return new Failures().handleExecutionException(failure, commandLine, null);
    }

    @Test
    void aDeviceThatFailsIsAFailureInItsOwnWords() {
        assertThat(handle(new AttentionException("The device is gone."))).isEqualTo(1);
        assertThat(err).hasToString("attention: The device is gone." + System.lineSeparator());
    }

    @Test
    void aFullDiskIsAFailure() {
        assertThat(handle(new IOException("No space left on device"))).isEqualTo(1);
    }

    @Test
    void argumentsAndFilesThatDoNotFitAreBadUsage() {
        assertThat(handle(new IllegalArgumentException("no"))).isEqualTo(2);
        assertThat(handle(new SafetensorsException(Path.of("x"), "no"))).isEqualTo(2);
        assertThat(handle(new UnusableFileException(Path.of("x"), "no"))).isEqualTo(2);
    }

    @Test
    void whatNobodyExpectedIsNamedAndPointsToTheStackTrace() {
        assertThat(handle(new ArrayIndexOutOfBoundsException("7"))).isEqualTo(1);
        assertThat(err.toString()).contains("ArrayIndexOutOfBoundsException: 7", "--stacktrace");
    }

    @Test
    void aFileSystemsFailureNamesTheFileAndTheReason() {
        assertThat(Failures.message(new NoSuchFileException("data")))
                .isEqualTo("data: there is no such file or directory");
        assertThat(Failures.message(new AccessDeniedException("data"))).isEqualTo("data: no permission");
        assertThat(Failures.message(new FileSystemException("data", null, "Read-only file system")))
                .isEqualTo("data: Read-only file system");
    }

    @Test
    void aTornadoVmThatDoesNotLoadIsSaidByItsRootCause() {
        Throwable failure = new ExceptionInInitializerError(new IllegalStateException("no driver"));
        assertThat(Failures.message(failure)).startsWith("TornadoVM did not load: no driver.");
    }

    @Test
    void tooLittleMemorySaysHowToGetMore() {
        assertThat(Failures.message(new OutOfMemoryError("Java heap space"))).contains("Java heap space", "-Xmx");
    }
}
