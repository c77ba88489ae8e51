package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {

    @Test
    void helpListsCommandsExitCodesAndExamples() {
        Invocation help = Invocation.of("--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.out())
                .contains("demo", "run", "verify", "devices", "Exit codes:", "Examples:", "TORNADOVM_HOME");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "demo",
                "run",
                "verify",
                "bench",
                "report",
                "explain",
                "tables",
                "bench-decode",
                "tune",
                "devices"
            })
    void everyCommandTeachesByExample(String command) {
        Invocation help = Invocation.of(command, "--help");
        assertThat(help.exitCode()).isZero();
        assertThat(help.out()).contains("Usage: attention " + command, "Examples:", "./attention " + command);
        assertThat(help.err()).isEmpty();
    }

    @Test
    void versionNamesLibraryAndJava() {
        assertThat(Invocation.of("--version").out())
                .contains("tornado-attention ", "Java " + Runtime.version().feature());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "|Name a command: demo, run, verify",
                "rum|Did you mean: attention run?",
                "verify|Missing required parameter: 'PATH'",
                "demo --kernel fast|There is no kernel 'fast': choose one of standard, online, tiled",
                "demo --backend vulkan|There is no backend 'vulkan': choose one of cuda, opencl",
                "demo --backend metal|There is no device of backend metal here. Present: ",
                "demo --device one|'one' is not an int",
                "demo --device 99|There is no device 99 here. Present: ",
                "demo --length 1|--length is 1: it must be from 2 to ",
                "demo --length 1000000|--length is 1000000: it must be from 2 to ",
                "demo extra|Unmatched argument at index 1: 'extra'",
                "devices --jsn|Possible solutions: --json",
            })
    void badUsageIsSaidInAFewLinesWithExitCode2(String arguments, String message) {
        Invocation bad = arguments == null ? Invocation.of() : Invocation.of((Object[]) arguments.split(" "));
        assertThat(bad.exitCode()).isEqualTo(2);
        assertThat(bad.out()).isEmpty();
        assertThat(bad.err()).contains(message).doesNotContain("\tat ", "Exception");
        assertThat(bad.err().lines()).hasSizeBetween(1, 2);
    }

    @Test
    void theStackTraceComesWhenAskedFor() {
        assertThat(Invocation.of("demo", "--length", "1", "--stacktrace").err())
                .contains("\tat org.tornadoattention.cli.");
    }
}
