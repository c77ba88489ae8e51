package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.JavaProcess;

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
                .isNotEmpty()
                .allMatch(device -> device.isSimulator() == Platform.current().simulator());
    }
}
