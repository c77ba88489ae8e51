package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.tornadoattention.device.Devices;

class CostsCommandTest {

    @BeforeEach
    void onlyTheSimulatorCounts() {
        assumeThat(Devices.bestForTaskGraphs().isSimulator()).isTrue();
    }

    @Test
    void eachLineOfAKernelIsInTheTable() {
        Invocation run =
                Invocation.of("costs", "--kernel", "tiled", "--seq", "32", "--head-dim", "16", "--gpu", "A100");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out())
                .contains("Running on the simulator", "Costs of kernel ")
                .containsPattern("Storage\\.java:\\d+ +query +global read ")
                .containsPattern("TiledFlashAttention\\.java:\\d+ +keyValueTile +local write ")
                .contains("on A100", "operations per byte");
    }

    @Test
    void anEngineThatDoesNotCountIsRefused() {
        Invocation run = Invocation.of("costs", "--backend", "jvm");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("Costs are counted by the simulator, not by jvm:0");
    }

    @Test
    void withoutAKernelItIsTheBestOneOfTheSimulators() {
        Invocation run = Invocation.of("costs", "--seq", "16", "--head-dim", "16");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("Costs of kernel ", "on H100");
    }

    /** Names of files may be long, and lines be several. */
    @Test
    void columnsStandBelowTheirHeads() {
        Invocation run = Invocation.of("costs", "--seq", "16", "--head-dim", "16");
        List<String> table = run.out()
                .lines()
                .dropWhile(line -> !line.startsWith("line "))
                .takeWhile(line -> !line.startsWith("device memory"))
                .toList();
        assertThat(table).hasSizeGreaterThan(1);
        for (String head : List.of("array", "access")) {
            int column = table.getFirst().indexOf(head);
            assertThat(table)
                    .allSatisfy(line ->
                            assertThat(line.substring(column - 1, column + 1)).matches(" \\w"));
        }
    }

    @Test
    void aGpuThatIsNotKnownIsRefused() {
        Invocation run = Invocation.of("costs", "--gpu", "voodoo");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err())
                .contains("there is no GPU voodoo here; known are h200, h100, a100, l4, rtx4090, v100, t4");
    }
}
