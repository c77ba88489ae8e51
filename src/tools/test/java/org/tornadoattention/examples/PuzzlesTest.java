package org.tornadoattention.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.device.Platform;

/** Every puzzle can be solved, within its bounds to the element, and is not solved as it stands. */
class PuzzlesTest {

    private static final String HOLE = "        // Your code here.\n";
    private static final Pattern BOUND = Pattern.compile("✓ ([\\d,]+) [a-z -]+, at most ([\\d,]+)");

    @TempDir
    static Path directory;

    private static ClassLoader holes;
    private static ClassLoader solutions;

    @BeforeAll
    static void compile() throws IOException {
        holes = compiled("holes", false);
        solutions = compiled("solutions", true);
    }

    @AfterAll
    static void forget() {
        holes = null;
        solutions = null;
        System.clearProperty("attention.progress");
    }

    static List<String> puzzles() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("puzzles"))) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".java"))
                    .map(name -> name.replace(".java", ""))
                    .sorted()
                    .toList();
        }
    }

    private static ClassLoader compiled(String folder, boolean solved) throws IOException {
        Path sources = Files.createDirectories(directory.resolve(folder));
        for (String puzzle : puzzles()) {
            String source = Files.readString(Path.of("puzzles", puzzle + ".java"));
            assertThat(source.split(Pattern.quote(HOLE.strip()), -1))
                    .as("one hole in " + puzzle)
                    .hasSize(2);
            String solution =
                    solved ? Files.readString(Path.of("src/tools/test/resources/puzzles", puzzle + ".txt")) : "";
            Files.writeString(
                    sources.resolve(puzzle + ".java"), source.replaceFirst(" *" + HOLE.strip() + "\\n", solution));
        }
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, UTF_8);
                Stream<Path> all = Files.list(sources)) {
            List<Path> paths = all.toList();
            assertThat(compiler.getTask(
                                    null,
                                    files,
                                    null,
                                    List.of(
                                            "-g",
                                            "-proc:none",
                                            "-d",
                                            sources.toString(),
                                            "-cp",
                                            System.getProperty("java.class.path")),
                                    null,
                                    files.getJavaFileObjectsFromPaths(paths))
                            .call())
                    .isTrue();
        }
        return new URLClassLoader(new URL[] {sources.toUri().toURL()}, PuzzlesTest.class.getClassLoader());
    }

    /** What grading printed, and in its first line the exit code. */
    private static String graded(ClassLoader loader, String puzzle, String... arguments)
            throws ReflectiveOperationException {
        Method grade = loader.loadClass(puzzle).getDeclaredMethod("grade", String[].class);
        grade.setAccessible(true);
        PrintStream before = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (PrintStream captured = new PrintStream(bytes, true, UTF_8)) {
            System.setOut(captured);
            return grade.invoke(null, (Object) arguments) + "\n" + bytes.toString(UTF_8);
        } finally {
            System.setOut(before);
        }
    }

    @ParameterizedTest
    @MethodSource("puzzles")
    void aSolutionIsGradedAsOneAndNeedsAllThatIsAllowed(String puzzle) throws ReflectiveOperationException {
        assumeTrue(Platform.current().simulator(), "only the simulator counts");
        String output = graded(solutions, puzzle);
        assertThat(output).startsWith("0\n").contains("✓ no fault", "elements are right", "Solved.");
        List<MatchResult> bounds = BOUND.matcher(output).results().toList();
        assertThat(bounds)
                .as(output)
                .isNotEmpty()
                .allSatisfy(
                        bound -> assertThat(bound.group(1)).as(bound.group()).isEqualTo(bound.group(2)));
    }

    @ParameterizedTest
    @MethodSource("puzzles")
    void aHoleIsNoSolutionAndGetsAHint(String puzzle) throws ReflectiveOperationException {
        assumeTrue(Platform.current().simulator(), "only the simulator gives hints that follow from a fault");
        String output = graded(holes, puzzle);
        assertThat(output).startsWith("1\n").contains("✗ ", "hint: ").doesNotContain("Solved.");
        assertThat(graded(holes, puzzle, "--hint").lines().filter(line -> line.startsWith("  hint: ")))
                .hasSizeGreaterThan(1);
    }

    @Test
    void progressIsNotedOnceForEachPuzzle() throws Exception {
        Path file = directory.resolve("solved.txt");
        System.setProperty("attention.progress", file.toString());
        assertThat(graded(solutions, "Puzzle01Map")).contains("1 solved so far");
        assertThat(graded(solutions, "Puzzle02Guard")).contains("2 solved so far");
        assertThat(graded(solutions, "Puzzle01Map")).contains("2 solved so far");
        assertThat(Files.readAllLines(file)).containsExactly("01", "02");
    }

    @Test
    void argumentsThatThereAreNotAreBadUsage() throws ReflectiveOperationException {
        assertThat(graded(holes, "Puzzle01Map", "--solve")).startsWith("2\n");
    }

    @Test
    void thereAreSixteenAndTheReadmeNamesThemAll() throws IOException {
        String readme = Files.readString(Path.of("puzzles/README.md"));
        assertThat(puzzles())
                .hasSize(16)
                .allSatisfy(puzzle -> assertThat(readme).contains("(" + puzzle + ".java)"));
    }
}
