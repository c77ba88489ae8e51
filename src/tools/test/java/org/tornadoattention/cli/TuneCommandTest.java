package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.bench.TileTuner;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.TuningTable;
import org.tornadoattention.device.Devices;

class TuneCommandTest {

    @TempDir
    private Path directory;

    private static boolean hasIntrinsics() {
        return TileTuner.KERNELS.stream().anyMatch(kernel -> kernel.supports(Devices.bestForTaskGraphs()));
    }

    @Test
    void theBestTilesOfEachKernelAreWrittenAsATable() throws IOException {
        assumeTrue(hasIntrinsics(), "There are no warp intrinsics on this device");
        Path file = directory.resolve("tuning.csv");
        Invocation tune = Invocation.of(
                "tune",
                "--head-dim",
                "16",
                "--seq",
                "20",
                "--tokens",
                "20",
                "--width",
                "16",
                "--warm-up",
                "0",
                "--repeat",
                "1",
                "-o",
                file);
        assertThat(tune.exitCode()).as(tune.out() + tune.err()).isZero();
        assertThat(tune.out())
                .startsWith("Running on ")
                .containsPattern("16 +20 +warp +64x32/4 +\\d")
                .containsPattern("16 +20 +warp-group +192x128/12 +\\d")
                .contains("-Dtornadoattention.tuning=" + file.toAbsolutePath());
        TuningTable table = TuningTable.parse(Files.readAllLines(file), "the result");
        assertThat(table.rows())
                .extracting(TuningTable.Row::kernel)
                .contains(AttentionKernel.WARP)
                .doesNotHaveDuplicates();
        assertThat(table.rows()).allSatisfy(row -> {
            assertThat(row.computeCapability())
                    .isEqualTo(Devices.bestForTaskGraphs().extension().computeCapability());
            assertThat(row.headDimUpTo()).isEqualTo(16);
            assertThat(row.queriesFrom()).isZero();
            assertThat(tune.out()).contains(row.toString());
        });
    }

    @Test
    void aDeviceWithoutTheInstructionsIsNamed() {
        assumeFalse(hasIntrinsics(), "This device has warp intrinsics");
        Invocation tune = Invocation.of("tune");
        assertThat(tune.exitCode()).isEqualTo(1);
        assertThat(tune.err())
                .contains(Devices.bestForTaskGraphs().toString(), "lacks the instructions", "need no tuning");
        assertThat(tune.err().lines()).hasSizeBetween(1, 2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--type f32|--type is f32",
                "--seq 0|must be 1 or more",
                "--head-dim 0|must be 1 or more",
                "--repeat 0|must be 1 or more"
            })
    void whatCannotBeTunedIsRefused(String arguments, String message) {
        assumeTrue(hasIntrinsics(), "There are no warp intrinsics on this device");
        Invocation tune = Invocation.of((Object[]) ("tune " + arguments).split(" "));
        assertThat(tune.exitCode()).isNotZero();
        assertThat(tune.err()).contains(message);
    }
}
