package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.bench.BenchFiles;

class MarkdownTablesTest {

    @TempDir
    private Path directory;

    @BeforeEach
    void writeResults() throws IOException {
        Files.writeString(directory.resolve("ours.json"), BenchFiles.ours().toJson());
        Files.writeString(directory.resolve("peers.json"), BenchFiles.pytorch().toJson());
    }

    private String table(String what) throws IOException {
        return MarkdownTables.renewed(
                "before\n<!-- table %s -->\nold | rubbish\n<!-- end of table -->\nafter\n".formatted(what), directory);
    }

    @Test
    void theLadderIsMadeOfTheResultsAndTheRestStays() throws IOException {
        String text = table("ladder ours.json");
        assertThat(text)
                .startsWith("before\n<!-- table ladder ours.json -->\n")
                .endsWith("<!-- end of table -->\nafter\n")
                .doesNotContain("rubbish")
                .contains("| `standard` F32 | 1 TFLOP/s |", "| `tiled` F32 | 27 TFLOP/s |", "| 27× |", "7.5 TFLOP/s ~")
                .contains(
                        "Measured on NVIDIA H200, TornadoVM 5.2.0-jdk25 (cuda), driver 580.159.04; commit 0123456789ab, 2026-11-22.");
        assertThat(MarkdownTables.renewed(text, directory)).isEqualTo(text);
    }

    @Test
    void otherTables() throws IOException {
        assertThat(table("throughput ours.json dtype=F16 causal=true"))
                .contains(
                        "| TFLOP/s | N = 512 | N = 1024 | N = 2048 |", "| tiled, F16, d = 64, causal | 26 | 26 | 26 |");
        assertThat(table("peers ours.json peers.json dtype=F32 seq=1024"))
                .contains("| F32 16x32x1024x64 | `tiled` 27 TFLOP/s | 18 TFLOP/s (0.667×) | 35 TFLOP/s (1.3×) |");
        assertThat(table("wall ours.json peers.json dtype=F32 seq=1024"))
                .contains("| problem | our wall time (above the kernels) | PyTorch")
                .contains("| F32 16x32x1024x64 | ");
        assertThat(table("decode ours.json peers.json dtype=F32 seq=1024"))
                .contains("| batch | keys | ours | kernel time | wall time | PyTorch")
                .contains("| 16 | 1024 | 0.05 TB/s | 5.09 ms | ", "| 0.04 TB/s (150 %) | 0.07 TB/s (77.1 %) |");
        assertThat(table("traffic ours.json seq=512")).contains("| F32 32x32x512x64 | 8x8 | 1,073,741,824 | ");
    }

    /** An unknown kind is told though its file is not there; a table without an end is one that would never be made. */
    @Test
    void aTableThatCannotBeMadeIsRefusedBeforeItsFilesAreRead() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> table("ladders none.json"))
                .withMessageContaining("choose one of ladder, throughput, peers, wall, decode, traffic, errors");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MarkdownTables.renewed("<!-- table ladder ours.json -->\n\n| a |\n", directory))
                .withMessageContaining("1 tables begin and 0 end");
    }

    @Test
    void aSourceWithoutACommitNamesNone() throws IOException {
        assertThat(table("peers ours.json peers.json dtype=F32 seq=1024")).doesNotContain("null");
    }

    @Test
    void whatCannotBeMadeIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> table("ladders ours.json"))
                .withMessageContaining("choose one of ladder");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> table("ladder ours.json headDim=3"))
                .withMessageContaining("would be empty");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> table("ladder ours.json colour=red"))
                .withMessageContaining("use dtype");
    }

    /** What './attention tables docs/results.md docs/ladder.md' would write is what stands there. */
    @ParameterizedTest
    @ValueSource(strings = {"docs/results.md", "docs/ladder.md", "docs/accuracy.md"})
    void theProjectsTablesAreWhatTheCommittedResultsSay(String path) throws IOException {
        String text = Files.readString(Path.of(path));
        assertThat(MarkdownTables.count(text)).isPositive();
        assertThat(MarkdownTables.renewed(text, Path.of("")))
                .as("run './attention tables %s'", path)
                .isEqualTo(text);
    }
}
