package org.tornadoattention.artifacts;

import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The jars and POMs that the build makes, used by programs that have nothing else of this project. */
class ArtifactsIT {

    /** All that a program needs: the library, its one dependency, and the simulator in TornadoVM's place. */
    private static final List<String> NEEDED =
            List.of("tornado-attention", "jackson-core", "tornado-attention-simulator");

    private static final String PRINTED = "F16[1, 2, 32, 64] by online; 6.0; module ";

    private static final String PROGRAM = """
            %simport org.tornadoattention.AttentionOptions;
            import org.tornadoattention.FlashAttention;
            import org.tornadoattention.tensor.DType;
            import org.tornadoattention.tensor.Tensor;
            import uk.ac.manchester.tornado.api.TaskGraph;
            import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
            import uk.ac.manchester.tornado.api.annotations.Parallel;
            import uk.ac.manchester.tornado.api.enums.DataTransferMode;
            import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

            public class Program {
                public static void twice(FloatArray a) {
                    for (@Parallel int i = 0; i < a.getSize(); i++) {
                        a.set(i, 2 * a.get(i));
                    }
                }

                public static void main(String[] arguments) throws Exception {
                    Tensor x = Tensor.random(DType.F16, 1, 1, 2, 32, 64);
                    FloatArray a = new FloatArray(16);
                    a.init(3);
                    TaskGraph graph = new TaskGraph("g")
                            .transferToDevice(DataTransferMode.FIRST_EXECUTION, a)
                            .task("twice", Program::twice, a)
                            .transferToHost(DataTransferMode.EVERY_EXECUTION, a);
                    try (FlashAttention attention = FlashAttention.create();
                            TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                        var result = attention.forward(x, x, x, AttentionOptions.causal());
                        attention.backward(result, x);
                        plan.execute();
                        System.out.println(result.output() + " by online; " + a.get(0) + "; module "
                                + FlashAttention.class.getModule().getName());
                    }
                }
            }
            """;

    @TempDir
    private Path directory;

    private Path write(String file, String text) throws IOException {
        Path path = directory.resolve(file);
        Files.createDirectories(path.getParent());
        return Files.writeString(path, text);
    }

    private String program(String packageLine) {
        return PROGRAM.formatted(packageLine);
    }

    @Test
    void aSingleFileRunsOnTheClassPath() throws Exception {
        Path file = write("Program.java", program(""));
        assertThat(Command.run(directory, Command.tool("java"), "-cp", Command.path(NEEDED), file.toString()))
                .contains(PRINTED + "null");
    }

    /** With the module path alone, and then as a run-time image of its own that needs no jar any more. */
    @Test
    void aModuleCompilesRunsAndIsLinked() throws Exception {
        Path source = write("src/app/Program.java", program("package app;\n\n"));
        Path module = write("src/module-info.java", """
                module app {
                    requires org.tornadoattention;
                }
                """);
        Path classes = directory.resolve("classes");
        // The library may use the JDK's incubating module for vectors, and the compiler says so to all who use the
        // library.
        Command.run(
                directory,
                Command.tool("javac"),
                "-Xlint:all,-incubating",
                "-Werror",
                "-g",
                "-d",
                classes.toString(),
                "-p",
                Command.path(NEEDED),
                module.toString(),
                source.toString());
        assertThat(Command.run(
                        directory, Command.tool("java"), "-p", Command.path(NEEDED, classes), "-m", "app/app.Program"))
                .contains(PRINTED + "org.tornadoattention");
        Path image = directory.resolve("image");
        Command.run(
                directory,
                Command.tool("jlink"),
                "-p",
                Command.path(NEEDED, classes),
                "--add-modules",
                "app",
                "--output",
                image.toString());
        assertThat(Command.run(directory, image.resolve("bin/java").toString(), "-m", "app/app.Program"))
                .contains(PRINTED + "org.tornadoattention");
    }

    /** A project that names the library and the simulator, with a repository of what 'install' puts there. */
    @Test
    void aMavenProjectGetsTheLibraryAndOneDependency() throws Exception {
        Path installed = directory.resolve("repository");
        String version = install(installed);
        write("project/src/main/java/Program.java", program(""));
        write("project/pom.xml", """
                <project xmlns="http://maven.apache.org/POM/4.0.0">
                    <modelVersion>4.0.0</modelVersion>
                    <groupId>com.example</groupId>
                    <artifactId>program</artifactId>
                    <version>1</version>
                    <properties>
                        <maven.compiler.release>25</maven.compiler.release>
                        <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
                    </properties>
                    <dependencies>
                        <dependency>
                            <groupId>org.tornadoattention</groupId>
                            <artifactId>tornado-attention</artifactId>
                            <version>VERSION</version>
                        </dependency>
                        <dependency>
                            <groupId>org.tornadoattention</groupId>
                            <artifactId>tornado-attention-simulator</artifactId>
                            <version>VERSION</version>
                        </dependency>
                    </dependencies>
                    <build>
                        <plugins>
                            <plugin>
                                <artifactId>maven-resources-plugin</artifactId>
                                <version>RESOURCES</version>
                            </plugin>
                            <plugin>
                                <artifactId>maven-compiler-plugin</artifactId>
                                <version>COMPILER</version>
                            </plugin>
                            <plugin>
                                <artifactId>maven-dependency-plugin</artifactId>
                                <version>DEPENDENCY</version>
                            </plugin>
                        </plugins>
                    </build>
                </project>
                """.replace("VERSION", version)
                .replace("RESOURCES", pluginVersion("maven-resources-plugin"))
                .replace("COMPILER", pluginVersion("maven-compiler-plugin"))
                .replace("DEPENDENCY", pluginVersion("maven-dependency-plugin")));
        Path classPath = directory.resolve("class.path");
        Command.run(
                directory.resolve("project"),
                Path.of("mvnw").toAbsolutePath().toString(),
                "-q",
                "-B",
                "-o",
                "-Dmaven.repo.local=" + installed,
                "-Dmaven.repo.local.tail=" + System.getProperty("attention.localRepository"),
                "-Dmdep.outputFile=" + classPath,
                "compile",
                "dependency:build-classpath");
        String jars = Files.readString(classPath).strip();
        assertThat(jars.split(File.pathSeparator))
                .hasSize(3)
                .anyMatch(jar -> jar.endsWith("tornado-attention-" + version + ".jar"))
                .anyMatch(jar -> jar.endsWith("tornado-attention-simulator-" + version + ".jar"))
                .anyMatch(jar -> jar.matches(".*jackson-core-[0-9.]+\\.jar"));
        assertThat(Command.run(
                        directory,
                        Command.tool("java"),
                        "-cp",
                        "project/target/classes" + File.pathSeparator + jars,
                        "Program"))
                .contains(PRINTED + "null");
    }

    /** Puts POMs and jars where Maven's install puts them, and returns their version. */
    private static String install(Path repository) throws IOException {
        Matcher version = Pattern.compile(
                        "<artifactId>tornado-attention-parent</artifactId>\\s*<version>(.+)</version>")
                .matcher(Files.readString(Path.of("pom.xml")));
        assertThat(version.find()).isTrue();
        install(repository, "tornado-attention-parent", version.group(1), Path.of("pom.xml"));
        install(repository, "tornado-attention", version.group(1), Path.of("src/library/pom.xml"));
        install(repository, "tornado-attention-simulator", version.group(1), Path.of("src/simulator/pom.xml"));
        return version.group(1);
    }

    private static void install(Path repository, String artifact, String version, Path pom) throws IOException {
        Path place = Files.createDirectories(
                repository.resolve("org/tornadoattention").resolve(artifact).resolve(version));
        Files.copy(pom, place.resolve(artifact + "-" + version + ".pom"));
        Path jar = Command.JARS.resolve(artifact + ".jar");
        if (Files.exists(jar)) {
            Files.copy(jar, place.resolve(artifact + "-" + version + ".jar"));
        }
    }

    /** The version that this build has of a plugin, which is in the local repository then. */
    private static String pluginVersion(String plugin) throws IOException {
        Matcher version = Pattern.compile("<artifactId>" + plugin + "</artifactId>\\s*<version>(.+)</version>")
                .matcher(Files.readString(Path.of("pom.xml")));
        assertThat(version.find()).as(plugin).isTrue();
        return version.group(1);
    }

    @Test
    void theLibraryExportsWhatUsersImportAndNothingElse() {
        ModuleDescriptor library = descriptor("tornado-attention", "org.tornadoattention");
        assertThat(library.exports().stream()
                        .filter(export -> !export.isQualified())
                        .map(export -> export.source().replaceFirst("^org\\.tornadoattention\\.?", "")))
                .containsExactlyInAnyOrder("", "cache", "choice", "device", "intrinsic", "reference", "tensor");
        assertThat(library.exports().stream()
                        .filter(ModuleDescriptor.Exports::isQualified)
                        .flatMap(export -> export.targets().stream()))
                .containsOnly("org.tornadoattention.tools");
        assertThat(required(library, false)).containsExactlyInAnyOrder("tornado.api", "com.fasterxml.jackson.core");
        assertThat(required(library, true)).containsExactlyInAnyOrder("jdk.incubator.vector", "jdk.management");
    }

    @Test
    void theSimulatorStandsInForTornadoVmAndNeedsTheJdkAlone() {
        ModuleDescriptor simulator = descriptor("tornado-attention-simulator", "tornado.api");
        assertThat(required(simulator, false)).containsExactly("java.management");
        assertThat(required(simulator, true)).containsExactly("org.junit.jupiter.api");
        assertThat(simulator.exports().stream().map(ModuleDescriptor.Exports::source))
                .contains("uk.ac.manchester.tornado.api", "org.tornadoattention.simulator")
                .filteredOn(name -> name.startsWith("org.tornadoattention.simulator."))
                .containsExactly("org.tornadoattention.simulator.junit");
    }

    /** What a module needs beside {@code java.base}, or what it only makes use of where it is there. */
    private static List<String> required(ModuleDescriptor module, boolean optional) {
        return module.requires().stream()
                .filter(required -> !required.modifiers().contains(ModuleDescriptor.Requires.Modifier.MANDATED))
                .filter(required ->
                        required.modifiers().contains(ModuleDescriptor.Requires.Modifier.STATIC) == optional)
                .map(ModuleDescriptor.Requires::name)
                .toList();
    }

    private static ModuleDescriptor descriptor(String jar, String module) {
        return ModuleFinder.of(Command.JARS.resolve(jar + ".jar"))
                .find(module)
                .orElseThrow()
                .descriptor();
    }

    /** Sources are those of a module, as the jar beside them is one. */
    @Test
    void sourcesHaveTheDescriptorOfTheirModule() throws IOException {
        for (String artifact : List.of("tornado-attention", "tornado-attention-simulator")) {
            Path sources = Path.of("target", artifact, artifact + "-sources.jar");
            try (var jar = new JarFile(sources.toFile());
                    var classes =
                            new JarFile(Command.JARS.resolve(artifact + ".jar").toFile())) {
                assertThat(jar.getEntry("module-info.java")).as(artifact).isNotNull();
                assertThat(classes.stream().map(Object::toString))
                        .as(artifact)
                        .contains("module-info.class")
                        .noneMatch(name -> name.endsWith(".java"));
            }
        }
    }

    /** What Maven Central asks for: each artifact with its sources, its documentation and the licence. */
    @Test
    void eachArtifactHasSourcesDocumentationAndTheLicence() throws IOException {
        for (String artifact : List.of(
                "tornado-attention",
                "tornado-attention-simulator",
                "tornado-attention-embeddings",
                "tornado-attention-tools")) {
            Path built = Path.of("target", artifact);
            assertThat(built.resolve(artifact + "-sources.jar")).exists();
            assertThat(built.resolve(artifact + "-javadoc.jar")).exists();
            try (var jar = new JarFile(Command.JARS.resolve(artifact + ".jar").toFile())) {
                assertThat(jar.getEntry("META-INF/LICENSE")).isNotNull();
                assertThat(jar.stream()
                                .map(entry -> entry.getName().replaceFirst("/[^/]*$", ""))
                                .collect(toSet()))
                        .as("the packages of " + artifact)
                        .allMatch(name -> name.startsWith("META-INF")
                                || name.equals("module-info.class")
                                || Stream.of("org", "uk").anyMatch(name::startsWith));
            }
        }
        assertThat(Path.of("pom.xml")).content().contains("<url>", "<licenses>", "<developers>", "<scm>");
    }
}
