package org.tornadoattention.reference;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The golden cases of the test resources. */
final class GoldenFiles {
    static final Path DIRECTORY = Path.of("src/library/test/resources/goldens");

    private GoldenFiles() {}

    static List<Path> all() throws IOException {
        try (Stream<Path> files = Files.list(DIRECTORY)) {
            return files.filter(file -> file.toString().endsWith(".safetensors"))
                    .sorted()
                    .toList();
        }
    }
}
