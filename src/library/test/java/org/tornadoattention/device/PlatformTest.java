package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.JavaProcess;

class PlatformTest {

    @Test
    void aTornadoVmThatHidesFailuresIsRefused() {
        assertThatIllegalStateException()
                .isThrownBy(() -> new Platform(false, "/sdk", true).requireUsable())
                .withMessageContainingAll("sequential Java", "wrong numbers", "-Dtornado.recover.bailout=False");
    }

    @ParameterizedTest
    @CsvSource({"false, false", "true, true", "true, false"})
    void othersAreNot(boolean simulator, boolean bailout) {
        assertThatCode(() -> new Platform(simulator, "", bailout).requireUsable())
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
        assertThat(new Platform(false, "/sdk", false).describe()).isEqualTo("TornadoVM at /sdk (TORNADOVM_HOME)");
        assertThat(new Platform(false, "", false).describe()).isEqualTo("TornadoVM");
        assertThat(new Platform(true, "", true).describe()).contains("simulator", "TORNADOVM_HOME is not set");
        assertThat(new Platform(true, "/sdk", true).describe())
                .contains("simulator", "TORNADOVM_HOME=/sdk is not used");
    }

    @Test
    void theDevicesAreThoseOfThePlatform() {
        assertThat(Devices.all())
                .isNotEmpty()
                .allMatch(device -> device.isSimulator() == Platform.current().simulator());
    }
}
