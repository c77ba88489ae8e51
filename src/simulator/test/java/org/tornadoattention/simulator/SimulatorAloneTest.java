package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.NameAndTypeEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
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

    /** What the build has made of it, but for the package that is for tests with JUnit. */
    @BeforeAll
    static void copyTheSimulatorAlone() throws IOException {
        simulator = Files.createDirectory(directory.resolve("simulator"));
        Path classes = locationOf(Simulator.class);
        try (Stream<Path> files = Files.walk(classes)) {
            for (Path file : files.filter(file -> file.toString().endsWith(".class"))
                    .filter(file -> !file.getParent().endsWith("junit"))
                    .toList()) {
                Path copy = simulator.resolve(classes.relativize(file).toString());
                Files.createDirectories(copy.getParent());
                Files.copy(file, copy);
            }
        }
    }

    @AfterAll
    static void forget() {
        simulator = null;
    }

    private static Path locationOf(Class<?> type) {
        return Path.of(URI.create(
                type.getProtectionDomain().getCodeSource().getLocation().toString()));
    }

    /** No class names one that is neither the JDK's nor another of them; but for annotations, which compilers read. */
    @Test
    void itsClassesNeedNoOthers() throws IOException {
        Set<String> own = new HashSet<>();
        Map<String, Set<String>> named = new TreeMap<>();
        try (Stream<Path> files = Files.walk(simulator)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                ClassModel model = ClassFile.of().parse(file);
                own.add(model.thisClass().asInternalName());
                Set<String> others = named.computeIfAbsent(file.getFileName().toString(), _ -> new TreeSet<>());
                for (PoolEntry entry : model.constantPool()) {
                    if (entry instanceof ClassEntry other) {
                        String name = other.asInternalName();
                        classesIn(name.startsWith("[") ? name : "L" + name + ";")
                                .forEach(others::add);
                    } else if (entry instanceof NameAndTypeEntry member) {
                        classesIn(member.type().stringValue()).forEach(others::add);
                    }
                }
                model.fields()
                        .forEach(field ->
                                classesIn(field.fieldType().stringValue()).forEach(others::add));
                model.methods()
                        .forEach(method ->
                                classesIn(method.methodType().stringValue()).forEach(others::add));
            }
        }
        assertThat(own).hasSizeGreaterThan(100);
        named.forEach((file, others) ->
                assertThat(others).as(file).allMatch(other -> other.startsWith("java/") || own.contains(other)));
    }

    private static Stream<String> classesIn(String descriptor) {
        return Pattern.compile("L([^;]+);").matcher(descriptor).results().map(found -> found.group(1));
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
