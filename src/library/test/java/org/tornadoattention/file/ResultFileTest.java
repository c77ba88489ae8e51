package org.tornadoattention.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResultFileTest {

    @TempDir
    private Path directory;

    /** Nothing beside what each test made: no temporary file, whatever happened. */
    @AfterEach
    void nothingUnfinishedIsLeft() throws IOException {
        try (Stream<Path> all = Files.walk(directory)) {
            assertThat(all.map(Path::getFileName).map(String::valueOf)).noneMatch(name -> name.contains(".part"));
        }
    }

    @Test
    void checkingAPathMakesNoFile() throws IOException {
        Path path = directory.resolve("new.json");
        ResultFile file = ResultFile.at(path);
        assertThat(path).doesNotExist();
        assertThat(file.exists()).isFalse();
        file.write("täxt\n");
        assertThat(path).hasContent("täxt\n");
        assertThat(file.exists()).isTrue();
    }

    @Test
    void aDirectoryIsRefusedAndStays() throws IOException {
        Path empty = Files.createDirectory(directory.resolve("empty"));
        assertThatThrownBy(() -> ResultFile.at(empty))
                .isInstanceOf(UnusableFileException.class)
                .hasMessage(empty + ": this is a directory: name a file in it");
        assertThat(empty).isDirectory();
        Path link = Files.createSymbolicLink(directory.resolve("link"), empty);
        assertThatThrownBy(() -> ResultFile.at(link)).hasMessageContaining("this is a directory");
    }

    @Test
    void aDeviceIsRefusedAndStays() {
        Path device = Path.of("/dev/full");
        assumeTrue(Files.exists(device));
        assertThatThrownBy(() -> ResultFile.at(device))
                .isInstanceOf(UnusableFileException.class)
                .hasMessageContaining("this is a device or a pipe: name a regular file");
        assertThat(Files.isRegularFile(device)).isFalse();
    }

    @Test
    void aMissingDirectoryIsRefused() {
        assertThatThrownBy(() -> ResultFile.at(directory.resolve("no/file")))
                .hasMessageContaining("there is no directory " + directory.resolve("no") + ": create it first");
    }

    @Test
    void aDirectoryThatTakesNoFilesIsRefused() {
        Path inside = Path.of("/proc/new.json"); // no user may make a file there, not even root
        assumeTrue(Files.isDirectory(inside.getParent()));
        assertThatThrownBy(() -> ResultFile.at(inside))
                .isInstanceOf(UnusableFileException.class)
                .hasMessageStartingWith(inside + ": ")
                .hasMessageContaining("/proc");
    }

    @Test
    void aFileWithoutPermissionIsRefused() throws IOException {
        Path precious = Files.writeString(directory.resolve("precious"), "old");
        Files.setPosixFilePermissions(precious, PosixFilePermissions.fromString("r--r--r--"));
        assumeTrue(!Files.isWritable(precious), "root may write everywhere");
        assertThatThrownBy(() -> ResultFile.at(precious)).hasMessageContaining("no permission to replace this file");
        assertThat(precious).hasContent("old");
    }

    @Test
    void aLinkIsWrittenThroughAndTheModeIsKept() throws IOException {
        Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
        Path real = Files.writeString(elsewhere.resolve("real.html"), "old");
        Files.setPosixFilePermissions(real, PosixFilePermissions.fromString("rw-r-----"));
        Path link = Files.createSymbolicLink(directory.resolve("link.html"), Path.of("elsewhere/real.html"));
        Path second = Files.createSymbolicLink(directory.resolve("second.html"), link);
        ResultFile.at(second).write("new");
        assertThat(second).isSymbolicLink();
        assertThat(link).isSymbolicLink();
        assertThat(real).hasContent("new");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(real)))
                .isEqualTo("rw-r-----");
    }

    @Test
    void aLinkToNothingYetGetsItsTarget() throws IOException {
        Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("later"));
        ResultFile.at(link).write("new");
        assertThat(link).isSymbolicLink();
        assertThat(directory.resolve("later")).hasContent("new");
    }

    @Test
    void linksInACircleAreRefused() throws IOException {
        Path a = directory.resolve("a");
        Path b = Files.createSymbolicLink(directory.resolve("b"), a);
        Files.createSymbolicLink(a, b);
        assertThatThrownBy(() -> ResultFile.at(a)).hasMessageContaining("its links lead in a circle");
    }

    @Test
    void aWriteThatFailsLeavesWhatWasThere() throws IOException {
        Path path = Files.writeString(directory.resolve("old"), "old");
        ResultFile file = ResultFile.at(path);
        assertThatThrownBy(() -> file.write(channel -> {
                    channel.write(ByteBuffer.wrap(new byte[] {1, 2, 3}));
                    throw new IOException("No space left on device");
                }))
                .hasMessage(path + " was not written: No space left on device");
        assertThat(path).hasContent("old");
    }

    @Test
    void theLongestNameThatAFileSystemTakesIsTaken() throws IOException {
        Path path = directory.resolve("n".repeat(255));
        ResultFile.at(path).write("x");
        assertThat(path).hasContent("x");
    }
}
