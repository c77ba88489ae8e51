package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BrokenTornadoVm;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.TaskGraph;

class PlatformTest {

    @Test
    void aTornadoVmThatHidesFailuresIsRefused() {
        assertThatIllegalStateException()
                .isThrownBy(() -> new Platform(false, "/sdk", true, false).requireUsable())
                .withMessageContainingAll(
                        "sequential Java", "wrong numbers", "-Dtornado.recover.bailout=False", "tornadovm.args");
    }

    @Test
    void aSpirVBackendThatMiscompilesIsRefusedWithTheLineToAdd() {
        assertThatIllegalStateException()
                .isThrownBy(() -> new Platform(false, "/sdk", false, true).requireUsable())
                .withMessageContainingAll("SPIR-V", "-Dtornado.spirv.loadstore=False", "spirv.args");
    }

    /** The messages name the files that hold the lines. */
    @Test
    void theArgumentFilesHoldWhatTheMessagesSay() throws IOException {
        assertThat(Path.of("tornado-config/tornadovm.args")).content().contains("-Dtornado.recover.bailout=False");
        assertThat(Path.of("tornado-config/spirv.args")).content().contains("-Dtornado.spirv.loadstore=False");
    }

    /** As TornadoVM 5.2's runtime ends where its SPIR-V backend is installed and no Level Zero driver is. */
    @Test
    void aMissingLevelZeroDriverIsAnsweredWithTheLinesToAdd() {
        Throwable failure =
                new ExceptionInInitializerError(new IllegalStateException("[ERROR] Level Zero Driver Not Found"));
        assertThat(Platform.startFailure(failure).orElseThrow())
                .hasMessageContainingAll("-Dtornado.spirv.runtimes=opencl", "-Dtornado.spirv.loadstore=False")
                .hasCause(failure);
        assertThat(Platform.startFailure(new IllegalStateException("no driver")))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"false, false, false", "true, true, false", "true, false, true"})
    void othersAreNot(boolean simulator, boolean bailout, boolean spirvLoadStore) {
        assertThatCode(() -> new Platform(simulator, "", bailout, spirvLoadStore).requireUsable())
                .doesNotThrowAnyException();
    }

    /** TornadoVM's default is to hide failures, and any spelling but false is as good as that. */
    @ParameterizedTest
    @CsvSource({"True, true", "False, false", "false, false", "no, true"})
    void theSettingIsReadFromTheJvm(String setting, boolean bailout) {
        JavaProcess process =
                JavaProcess.run(List.of("-Dtornado.recover.bailout=" + setting), PrintPlatform.class.getName());
        assertThat(process.output()).contains("bailout=" + bailout);
    }

    /** The simulator's classes in a jar that has the name of another TornadoVM's. */
    @Test
    void anotherVersionOfTornadoVmIsRefusedInOneSentence(@TempDir Path directory) throws Exception {
        assumeTrue(Platform.current().simulator(), "SKIPPED: the test makes a jar of the simulator's classes");
        Path simulator = Path.of(TaskGraph.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        Path jar = directory.resolve("tornado-api-6.1.0-jdk25.jar");
        if (Files.isDirectory(simulator)) {
            assertThat(ToolProvider.findFirst("jar")
                            .orElseThrow()
                            .run(System.out, System.err, "-cf", jar.toString(), "-C", simulator.toString(), "."))
                    .isZero();
        } else {
            Files.copy(simulator, jar); // the build made one already
        }
        String classPath = System.getProperty("java.class.path").replace(simulator.toString(), jar.toString());
        JavaProcess process = JavaProcess.run(List.of("-cp", classPath), PrintPlatform.class.getName());
        assertThat(process.exitCode()).isEqualTo(1);
        assertThat(process.output())
                .contains("IllegalStateException: This is TornadoVM 6.1.0-jdk25; supported is 5.2.0-jdk25, which has")
                .contains("'sdk install tornadovm 5.2.0-jdk25-BACKEND'");
    }

    /** The JVM's engine needs no driver, and what needs one says so. */
    @Test
    void theJvmComputesWhereTornadoVmDoesNotStart(@TempDir Path directory) throws Exception {
        assumeTrue(Platform.current().simulator(), "SKIPPED: the class path of an SDK is its own");
        JavaProcess process = JavaProcess.run(BrokenTornadoVm.options(directory), ComputeOnJvm.class.getName());
        assertThat(process.output())
                .contains("No CUDADriver platforms found")
                .contains("Running on the JVM's vector units", "forward, backward, 3 tokens, threads of the caller's");
        assertThat(process.exitCode()).isZero();
    }

    /** All that the JVM's engine does, without TornadoVM; the best device and a task graph are not to be had. */
    static final class ComputeOnJvm {

        private ComputeOnJvm() {}

        public static void main(String[] arguments) {
            try {
                throw new IllegalStateException("There is a device: " + Devices.best());
            } catch (LinkageError e) {
                System.out.println(e.getCause());
            }
            ComputeDevice device = Devices.find(Optional.of(Backend.JVM), Optional.empty());
            System.out.println("Running on " + Platform.describe(device));
            Tensor q = Tensor.random(DType.F32, 1, 1, 2, 3, 16);
            try (FlashAttention attention = FlashAttention.on(device);
                    FlashAttention shared = FlashAttention.on(Devices.jvm(Runnable::run, 1));
                    KvCache cache = KvCache.builder()
                            .batch(1)
                            .heads(2)
                            .headDim(16)
                            .capacity(8)
                            .options(CacheOptions.of(DType.F32).on(device))
                            .build()) {
                AttentionResult result = attention.forward(q, q, q);
                Gradients gradients = attention.backward(result, q);
                cache.append(q, q);
                int tokens = cache.lengths()[0];
                float[] again = shared.forward(q, q, q).output().toFloatArray();
                if (Arrays.equals(again, result.output().toFloatArray())
                        && gradients.dQ().numberOfElements() == 96) {
                    System.out.println("forward, backward, " + tokens + " tokens, threads of the caller's");
                }
            }
        }
    }

    /** The library has it in its text, the build in its POM. */
    @Test
    void theSupportedVersionIsThatOfTheBuild() throws Exception {
        assertThat(Path.of("pom.xml")).content().contains("<tornadovm.version>5.2.0-jdk25</tornadovm.version>");
    }

    static final class PrintPlatform {

        private PrintPlatform() {}

        public static void main(String[] arguments) {
            System.out.println(Platform.current());
        }
    }

    @Test
    void thePlatformSaysWhichItIsAndWhy() {
        assertThat(new Platform(false, "/sdk", false, false).describe())
                .isEqualTo("TornadoVM at /sdk (TORNADOVM_HOME)");
        assertThat(new Platform(false, "", false, false).describe()).isEqualTo("TornadoVM");
        assertThat(new Platform(true, "", true, false).describe()).contains("simulator", "TORNADOVM_HOME is not set");
        assertThat(new Platform(true, "/sdk", true, false).describe())
                .contains("simulator", "TORNADOVM_HOME=/sdk is not used");
    }

    @Test
    void theDevicesAreThoseOfThePlatform() {
        assertThat(Devices.all())
                .filteredOn(device -> !device.isJvm())
                .isNotEmpty()
                .allMatch(device -> device.isSimulator() == Platform.current().simulator());
    }
}
