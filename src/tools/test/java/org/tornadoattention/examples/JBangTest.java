package org.tornadoattention.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every example and puzzle tells JBang what it needs. */
class JBangTest {

    private static final Pattern VERSION = Pattern.compile("<version>([^<]*)</version>");

    static List<Path> programs() throws IOException {
        try (Stream<Path> examples = Files.list(Path.of("examples"));
                Stream<Path> puzzles = Files.list(Path.of("puzzles"))) {
            return Stream.concat(examples, puzzles)
                    .filter(file -> file.toString().endsWith(".java"))
                    .sorted()
                    .toList();
        }
    }

    @ParameterizedTest
    @MethodSource("programs")
    void itNamesTheCommonSetupAndItsOtherSources(Path program) throws IOException {
        List<String> lines = Files.readAllLines(program);
        assertThat(lines.getFirst()).startsWith("//SOURCES ");
        Path setup = program.resolveSibling(lines.getFirst().substring("//SOURCES ".length()));
        assertThat(lines.contains("//SOURCES gpt/*.java"))
                .isEqualTo(lines.stream().anyMatch(line -> line.startsWith("import gpt.")));
        Matcher version = VERSION.matcher(Files.readString(Path.of("pom.xml")));
        assertThat(version.find()).isTrue();
        assertThat(Files.readString(setup))
                .contains(
                        "//DEPS org.tornadoattention:tornado-attention-tools:" + version.group(1) + "\n",
                        "//DEPS org.tornadoattention:tornado-attention-simulator:" + version.group(1) + "\n",
                        "//JAVAC_OPTIONS -g\n");
    }
}
