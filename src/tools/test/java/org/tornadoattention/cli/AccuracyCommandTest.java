package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.bench.ErrorFile;
import org.tornadoattention.bench.ErrorInputs;
import org.tornadoattention.report.MarkdownTables;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Safetensors;

class AccuracyCommandTest {

    @TempDir
    private Path directory;

    private Invocation accuracy(String arguments) {
        String all = "accuracy --batch 1 --heads 2 --seq 40 --head-dim 24 --kernel tiled --inputs %s -o %s %s"
                .formatted(directory, directory.resolve("errors.json"), arguments);
        return Invocation.of((Object[]) all.split(" "));
    }

    @Test
    void errorsArePrintedAndWrittenAndTheInputsToo() throws IOException {
        Invocation accuracy = accuracy("--type f16,f32");
        assertThat(accuracy.exitCode()).as(accuracy.out() + accuracy.err()).isZero();
        assertThat(accuracy.out())
                .startsWith("Running on ")
                .containsPattern("outliers F16 1x2x40x24 +tiled +\\d\\.\\d\\de-05")
                .containsPattern("normal F32 1x2x40x24 +formula +\\d\\.\\d\\de-0[78]");
        List<ErrorFile.Result> results =
                ErrorFile.read(directory.resolve("errors.json")).results();
        assertThat(results).hasSize(8).allSatisfy(result -> {
            assertThat(result.rmse()).isPositive().isLessThan(result.maxError());
            assertThat(result.relativeError()).isBetween(1e-8, 1e-3);
        });
        try (Safetensors inputs = Safetensors.open(directory.resolve("outliers_F16_1x2x40x24.safetensors"))) {
            assertThat(inputs.metadata()).containsEntry("inputs", "outliers");
            assertThat(inputs.tensor("k").toFloatArray())
                    .isEqualTo(ErrorInputs.OUTLIERS
                            .tensor(DType.F16, 2, 1, 2, 40, 24)
                            .toFloatArray());
        }
    }

    @Test
    void aTableSetsKernelsBesideTheYardstick() throws IOException {
        assertThat(accuracy("--type f32 --distribution normal").exitCode()).isZero();
        String table = MarkdownTables.renewed("<!-- table errors errors.json -->\n<!-- end of table -->\n", directory);
        assertThat(table)
                .contains("| RMSE | `formula` | `tiled` |")
                .containsPattern(
                        "\\| normal F32 1x2x40x24 \\| \\d\\.\\d\\de-0\\d \\(.+×\\) \\| \\d\\.\\d\\de-0\\d \\(1×\\) \\|")
                .contains("Measured on ");
    }

    /** PyTorch's file has the same form; without PyTorch there is nothing to compare. */
    @Test
    void peersReadTheInputs() throws IOException, InterruptedException {
        accuracy("--type f32,bf16 --distribution outliers");
        Path file = directory.resolve("peers.json");
        Process python;
        try {
            python = new ProcessBuilder(
                            "python3",
                            "bench/peers.py",
                            "--device",
                            "cpu",
                            "--inputs",
                            directory.toString(),
                            "--out",
                            file.toString())
                    .redirectErrorStream(true)
                    .redirectOutput(directory.resolve("log").toFile())
                    .start();
        } catch (IOException e) {
            Assumptions.abort("SKIPPED: no python3 here");
            return;
        }
        assertThat(python.waitFor(2, TimeUnit.MINUTES)).isTrue();
        String log = Files.readString(directory.resolve("log"));
        Assumptions.assumeFalse(log.contains("No module named 'torch'"), "SKIPPED: no PyTorch here");
        assertThat(python.exitValue()).as(log).isZero();
        ErrorFile ours = ErrorFile.read(directory.resolve("errors.json"));
        assertThat(ErrorFile.read(file).results())
                .extracting(ErrorFile.Result::problem)
                .containsOnlyElementsOf(
                        ours.results().stream().map(ErrorFile.Result::problem).toList());
        assertThat(ErrorFile.read(file).results())
                .filteredOn(result -> result.kernel().equals("formula"))
                .hasSize(2)
                .allSatisfy(formula -> assertThat(ours.results())
                        .filteredOn(result -> result.problem().equals(formula.problem()))
                        .allSatisfy(
                                result -> assertThat(result.rmse()).isBetween(formula.rmse() / 4, formula.rmse() * 4)));
    }
}
