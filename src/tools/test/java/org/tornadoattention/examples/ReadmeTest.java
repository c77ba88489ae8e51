package org.tornadoattention.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.JavaProcess;

/**
 * What the README shows as Java runs as it stands. Each block is a program: imports, and then either declarations with
 * a {@code main}, or the statements of one.
 */
class ReadmeTest {

    private static final Pattern BLOCK = Pattern.compile("(?ms)^```java\\n(.*?)^```$");

    @TempDir
    private Path directory;

    /** A block with the line that it begins on. */
    private record Snippet(int line, String text) {

        /** A compilation unit without a class: the compiler names one after the file. */
        String program() {
            if (text.contains("void main(")) {
                return text;
            }
            return text.lines().filter(Snippet::isImport).collect(Collectors.joining("\n"))
                    + "\nvoid main() throws Exception {\n"
                    + text.lines().filter(line -> !isImport(line)).collect(Collectors.joining("\n"))
                    + "\n}\n";
        }

        private static boolean isImport(String line) {
            return line.startsWith("import ");
        }

        @Override
        public String toString() {
            return "README.md:" + line;
        }
    }

    static Stream<Snippet> snippets() throws IOException {
        String readme = Files.readString(Path.of("README.md"));
        return BLOCK.matcher(readme).results().map(block -> new Snippet(lineOf(readme, block), block.group(1)));
    }

    private static int lineOf(String text, MatchResult block) {
        return (int) text.substring(0, block.start(1)).lines().count() + 1;
    }

    @ParameterizedTest
    @MethodSource("snippets")
    void everySnippetRuns(Snippet snippet) throws IOException {
        Path file = directory.resolve("Snippet.java");
        Files.writeString(file, snippet.program());
        String classPath = System.getProperty("java.class.path");
        ByteArrayOutputStream messages = new ByteArrayOutputStream();
        int compiled = ToolProvider.getSystemJavaCompiler()
                .run(null, messages, messages, "-g", "-proc:none", "-cp", classPath, file.toString());
        assertThat(compiled)
                .as("%s:%n%s%n%s", snippet, snippet.program(), messages)
                .isZero();
        // With both tiers of compiling: the JVM engine's vectors are nothing without the second.
        List<String> options = List.of("-XX:TieredStopAtLevel=4", "-cp", directory + File.pathSeparator + classPath);
        JavaProcess process = JavaProcess.run(options, "Snippet");
        assertThat(process.exitCode())
                .as("%s:%n%s%n%s", snippet, snippet.program(), process.output())
                .isZero();
    }

    @Test
    void thereIsOneForEachWayOfUse() throws IOException {
        assertThat(snippets().map(Snippet::text))
                .anyMatch(text -> text.contains("attention.backward("))
                .anyMatch(text -> text.contains("attention.appendTo("))
                .anyMatch(text -> text.contains("KvCache.builder()"));
    }
}
