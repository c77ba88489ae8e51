package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The simulator with nothing else on any path: what somebody has who only checks kernels of his own. */
class SimulatorAloneTest {

    private static final Duration PATIENCE = Duration.ofMinutes(2);

    @TempDir
    static Path directory;

    private static Path simulator;

    @BeforeAll
    static void compileTheSimulatorAlone() throws IOException {
        simulator = Files.createDirectory(directory.resolve("simulator"));
        try (Stream<Path> sources = Files.walk(sources())) {
            compile(
                    simulator,
                    annotations(),
                    sources.filter(file -> file.toString().endsWith(".java"))
                            .filter(file -> !file.getParent().endsWith("junit")));
        }
    }

    @AfterAll
    static void forget() {
        simulator = null;
    }

    /** Where the annotations lie that say what may be null: compilers alone read them. */
    private static Path annotations() {
        return Path.of(URI.create(NullMarked.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toString()));
    }

    private static Path sources() {
        return Path.of("src/simulator/main/java");
    }

    private static void compile(Path target, Path classPath, Stream<Path> sources) {
        Stream<String> options =
                Stream.of("-g", "-proc:none", "-nowarn", "-cp", classPath.toString(), "-d", target.toString());
        String[] arguments = Stream.concat(options, sources.map(Path::toString)).toArray(String[]::new);
        assertThat(ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments))
                .isZero();
    }

    @Test
    void aKernelOfTheUsersRuns() throws Exception {
        assertThat(run("float[] shared = context.allocateFloatLocalArray(64);\n"
                        + "int i = context.localIdx;\n"
                        + "shared[i] = i;\n"
                        + "context.localBarrier();\n"
                        + "out.set(context.globalIdx, shared[63 - i]);"))
                .contains("out[5] = 58.0");
    }

    @Test
    void aFaultEndsTheProgramAndIsTold() throws Exception {
        assertThat(run("float[] shared = context.allocateFloatLocalArray(64);\n"
                        + "int i = context.localIdx;\n"
                        + "shared[i] = i;\n"
                        + "out.set(context.globalIdx, shared[i / 2]);"))
                .contains("SimulatorFaultException: data race on local memory: in kernel compute (Own.java:");
    }

    /** From its fourth launch on a task has a copy of its kernel for itself, here, where the JVM has both tiers. */
    @Test
    void aTaskThatIsLaunchedOftenIsCheckedAsBefore() throws Exception {
        assertThat(run("float[] shared = context.allocateFloatLocalArray(64);\n"
                        + "int i = context.localIdx;\n"
                        + "shared[i] = i;\n"
                        + "if (launch.get(0) < 5) {\n"
                        + "    context.localBarrier();\n"
                        + "}\n"
                        + "out.set(context.globalIdx, shared[i / 2]);"))
                .contains("launch 4")
                .doesNotContain("launch 5")
                .contains("SimulatorFaultException: data race on local memory: in kernel compute (Own.java:");
    }

    /** Compiles a kernel, runs it in a JVM of its own and returns what that printed. */
    private static String run(String body) throws IOException, InterruptedException {
        Path own = Files.createTempDirectory(directory, "own");
        Path source = own.resolve("Own.java");
        Files.writeString(source, """
                import uk.ac.manchester.tornado.api.*;
                import uk.ac.manchester.tornado.api.enums.DataTransferMode;
                import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
                import uk.ac.manchester.tornado.api.types.arrays.IntArray;

                class Own {
                    static void compute(KernelContext context, IntArray launch, FloatArray out) {
                %s
                    }

                    public static void main(String... arguments) throws Exception {
                        FloatArray out = new FloatArray(256);
                        IntArray launch = new IntArray(1);
                        TaskGraph graph = new TaskGraph("g")
                                .transferToDevice(DataTransferMode.EVERY_EXECUTION, launch)
                                .task("kernel", Own::compute, new KernelContext(), launch, out)
                                .transferToHost(DataTransferMode.EVERY_EXECUTION, out);
                        WorkerGrid1D grid = new WorkerGrid1D(256);
                        grid.setLocalWork(64, 1, 1);
                        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                            for (int i = 1; i <= 5; i++) {
                                launch.set(0, i);
                                plan.withGridScheduler(new GridScheduler("g.kernel", grid)).execute();
                                System.out.println("launch " + i);
                            }
                        }
                        System.out.println("out[5] = " + out.get(5));
                    }
                }
                """.formatted(body.indent(8)));
        compile(own, simulator, Stream.of(source));
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        Path output = own.resolve("output");
        Process process = new ProcessBuilder(List.of(
                        java.toString(),
                        "-Xshare:auto",
                        "-cp",
                        own + System.getProperty("path.separator") + simulator,
                        "Own"))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try (OutputStream nothing = process.getOutputStream()) {
            assertThat(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS))
                    .as("it ends")
                    .isTrue();
        } finally {
            process.destroyForcibly();
        }
        return Files.readString(output);
    }
}
