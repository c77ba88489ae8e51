package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The files of arguments for the JVM and the page that explains them. */
class ArgumentFilesTest {

    private static final Path DIRECTORY = Path.of("tornado-config");

    static List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(DIRECTORY)) {
            return files.filter(file -> file.toString().endsWith(".args")).toList();
        }
    }

    /** Access to the insides of modules is one matter, whatever their number. */
    @ParameterizedTest
    @MethodSource("files")
    void everyLineIsExplained(Path file) throws IOException {
        String page = Files.readString(DIRECTORY.resolve("README.md"));
        assertThat(page).contains("`" + file.getFileName() + "`");
        assertThat(Files.readAllLines(file))
                .filteredOn(line -> !line.startsWith("#") && !line.isBlank())
                .allSatisfy(line -> assertThat(page).contains(line.replaceAll("^(--add-(exports|opens)).*", "$1")));
    }
}
