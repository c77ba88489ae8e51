package org.tornadoattention.artifacts;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Programs of a user's, run by the launcher or with what it prints. */
@DisabledOnOs(OS.WINDOWS)
class LauncherIT {

    /** What Java itself says first where the JVM engine's vectors are on. */
    private static final String INCUBATING =
            "WARNING: Using incubator modules: jdk.incubator.vector" + System.lineSeparator();

    private static final String LAUNCHER = Path.of("attention").toAbsolutePath().toString();

    @TempDir
    private Path directory;

    private Path program;

    /** A program in a package, with a second file beside it, in a folder whose name has a space. */
    @BeforeEach
    void write() throws IOException {
        Path folder = Files.createDirectories(directory.resolve("my programs/com/example"));
        Files.writeString(folder.resolve("Shape.java"), """
                package com.example;

                final class Shape {
                    static int[] of(String text) {
                        return java.util.Arrays.stream(text.split(",")).mapToInt(Integer::parseInt).toArray();
                    }
                }
                """);
        program = Files.writeString(folder.resolve("Program.java"), """
                package com.example;

                import org.tornadoattention.FlashAttention;
                import org.tornadoattention.tensor.DType;
                import org.tornadoattention.tensor.Tensor;

                class Program {
                    public static void main(String[] arguments) {
                        Tensor x = Tensor.random(DType.F32, 1, Shape.of(arguments[0]));
                        try (FlashAttention attention = FlashAttention.create()) {
                            System.out.println(arguments[1] + ": " + attention.forward(x, x, x).output());
                        }
                    }
                }
                """);
    }

    @Test
    void aProgramOfOnesOwnIsCompiledAndRun() throws Exception {
        assertThat(Command.run(directory, LAUNCHER, "java", program.toString(), "1,2,16,32", "two words"))
                .isEqualTo(INCUBATING + "two words: F32[1, 2, 16, 32]" + System.lineSeparator());
    }

    @Test
    void whatItPrintsIsWhatJavaNeeds() throws Exception {
        Path arguments = directory.resolve("attention.args");
        String printed = Command.run(directory, LAUNCHER, "java", "--print");
        assertThat(printed).startsWith("# For ").contains("--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC");
        Files.writeString(arguments, printed);
        String classPath = printed.lines()
                .filter(line -> line.startsWith("-cp "))
                .findFirst()
                .orElseThrow()
                .replaceAll("^-cp \"|\"$", "");
        Path classes = directory.resolve("classes");
        Command.run(
                program.getParent(),
                Command.tool("javac"),
                "-g",
                "-d",
                classes.toString(),
                "-cp",
                classPath,
                "Program.java",
                "Shape.java");
        Files.writeString(arguments, printed.replace("-cp \"", "-cp \"" + classes + ":"));
        assertThat(Command.run(
                        directory, Command.tool("java"), "@" + arguments, "com.example.Program", "1,1,8,16", "printed"))
                .isEqualTo(INCUBATING + "printed: F32[1, 1, 8, 16]" + System.lineSeparator());
    }

    /** Java, in the C locale, finds no file whose name is not ASCII; containers have that locale. */
    @Test
    void pathsThatAreNotAsciiWorkInTheLocaleC() throws Exception {
        String script = """
                set -eu
                folder=$(printf '\\303\\244')
                ln -s "$1" "$folder"
                cp "$2" "$folder.java"
                sed -i.old 's/^package.*//; s/class Program/class \\xc3\\xa4/; s/Shape.of(arguments.0.)/1, 1, 8, 16/' "$folder.java"
                unset LANG LC_CTYPE
                LC_ALL=C "$folder/attention" --version
                LC_ALL=POSIX "$folder/attention" java "$folder.java" 0 named
                LC_ALL= "$folder/attention" run "$folder.safetensors" -o out.safetensors 2>&1 || true
                rm "$folder"
                """;
        String output = Command.run(
                directory,
                "sh",
                "-c",
                script,
                "sh",
                Path.of("").toAbsolutePath().toString(),
                program.toString());
        assertThat(output)
                .contains("tornado-attention ", "named: F32[1, 1, 8, 16]")
                .contains("ä.safetensors")
                .doesNotContain("Malformed", "Could not find or load");
    }
}
