package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.BrokenTornadoVm;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.device.Platform;

/** Commands that are to compute on the JVM, where TornadoVM's driver is missing. */
class WithoutDriverTest {

    private static final Path GOLDEN = Invocation.GOLDENS.resolve("alibi_causal_f32_64_d32.safetensors");

    private static final List<String> COMMANDS = List.of(
            "demo --backend jvm --length 64",
            "run --backend jvm " + GOLDEN + " --check -o",
            "verify --backend jvm " + GOLDEN,
            "bench --backend jvm --batch 1 --heads 1 --seq 32 --head-dim 16 --type f32 --warm-up 0 --repeat 3 --seconds 0",
            "bench-decode --backend jvm --keys 64 --heads 2 --kv-heads 2 --head-dim 16 --warm-up 0 --repeat 3");

    /** What runs in that JVM, with a file that it may write. */
    public static void main(String[] arguments) {
        for (String command : COMMANDS) {
            String whole = command.endsWith("-o") ? command + " " + arguments[0] : command;
            Invocation invocation = Invocation.of((Object[]) whole.split(" "));
            System.out.printf("%s: %d %s%s%n", command, invocation.exitCode(), invocation.out(), invocation.err());
        }
        System.out.println(Invocation.of("explain").err());
    }

    @Test
    void theJvmIsEnough(@TempDir Path directory) throws IOException {
        assumeTrue(Platform.current().simulator(), "SKIPPED: the class path of an SDK is its own");
        String output = JavaProcess.run(
                        BrokenTornadoVm.options(directory),
                        WithoutDriverTest.class.getName(),
                        directory.resolve("out.safetensors").toString())
                .output();
        for (String command : COMMANDS) {
            assertThat(output).contains(command + ": 0 ");
        }
        assertThat(output)
                .contains("TornadoVM did not load: ", "No CUDADriver platforms found")
                .contains("--backend jvm needs none of it");
    }
}
