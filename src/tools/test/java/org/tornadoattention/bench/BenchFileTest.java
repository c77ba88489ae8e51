package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.BenchResult.Status;
import org.tornadoattention.tensor.DType;

class BenchFileTest {

    @TempDir
    private Path directory;

    @Test
    void aFileIsReadAsItWasWritten() throws IOException {
        BenchFile file = BenchFiles.ours();
        Path path = directory.resolve("bench.json");
        Files.writeString(path, file.toJson());
        assertThat(BenchFile.read(path)).isEqualTo(file);
        assertThat(Files.list(path.getParent())).containsExactly(path);
    }

    @Test
    void whatPythonWritesIsReadToo() throws IOException {
        Path path = directory.resolve("peer.json");
        Files.writeString(path, """
                {"format": "tornado-attention-bench/1", "preset": "paper", "complete": false, "flushedBytes": 0,
                 "environment": {"device": "NVIDIA H200", "runtime": "PyTorch 2.11.0", "processors": 16, "time": "2026-11-22T10:00:00Z"},
                 "results": [{"case": {"pass": "BACKWARD", "dtype": "F16", "causal": true,
                     "shape": {"batch": 16, "heads": 32, "kvHeads": 32, "seqQ": 1024, "seqK": 1024, "headDim": 64}},
                   "provider": "pytorch", "kernel": "flash", "status": "UNSUPPORTED", "message": "No available kernel."}]}
                """);
        BenchResult result = BenchFile.read(path).results().getFirst();
        assertThat(result.measured()).hasToString("F16 16x32x1024x64 causal backward");
        assertThat(result.status()).isEqualTo(Status.UNSUPPORTED);
    }

    @Test
    void aHeadDimensionOfValuesIsNamedWhereItIsAnother() throws IOException {
        Path path = directory.resolve("bench.json");
        BenchFile file = BenchFiles.ours();
        assertThat(file.toJson()).doesNotContain("valueDim");
        AttentionShape shape = new AttentionShape(1, 4, 2, 256, 256, 192, 128);
        BenchCase problem = new BenchCase(Direction.FORWARD, DType.BF16, shape, true);
        BenchFile other = BenchFile.of(
                "models",
                true,
                file.environment(),
                file.ceilings(),
                0,
                List.of(BenchResult.without(problem, "warp", null, Status.UNSUPPORTED, "no such device")));
        Files.writeString(path, other.toJson());
        BenchCase read = BenchFile.read(path).results().getFirst().measured();
        assertThat(read).isEqualTo(problem).hasToString("BF16 1x4x256x192/128 kv heads 2 causal");
        assertThat(BenchFile.leastBytes(read)).isEqualTo((4 + 2) * 256.0 * (192 + 128) * 2 + 4 * 256 * 4);
    }

    @Test
    void partsThatKnowNoCommitAreJoinedToAFileThatKnowsNone() {
        BenchFile file = BenchFiles.ours();
        BenchFile unknown = BenchFile.of(
                file.preset(), true, file.environment().at(null), file.ceilings(), file.flushedBytes(), file.results());
        assertThat(BenchFile.joined(List.of(unknown, unknown)).environment().commit())
                .isNull();
        assertThat(BenchFile.joined(List.of(unknown, file)).environment().commit())
                .isEqualTo("0123456789ab");
    }

    @Test
    void otherFilesAreRefusedByName() throws IOException {
        Path other = directory.resolve("other.json");
        Files.writeString(other, "{\"format\": \"x/2\"}");
        assertThatThrownBy(() -> BenchFile.read(other))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("x/2");
        Files.writeString(other, "no JSON");
        assertThatThrownBy(() -> BenchFile.read(other))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("other.json");
    }

    @Test
    void factorsAreOverStandardAttentionInTheSameTypeOrElseF32() {
        List<BenchResult> results = BenchFiles.ours().results();
        BenchResult tiled = BenchFiles.find(results, "tiled", DType.F32, 1024);
        BenchResult standard = BenchFiles.find(results, "standard", DType.F32, 1024);
        assertThat(standard.speedUp()).isEqualTo(1);
        assertThat(tiled.speedUp())
                .isEqualTo(
                        standard.timing().kernelMilliseconds() / tiled.timing().kernelMilliseconds());
        BenchResult half = BenchFiles.find(results, "tiled", DType.F16, 1024);
        assertThat(half.speedUp())
                .isEqualTo(
                        standard.timing().kernelMilliseconds() / half.timing().kernelMilliseconds());
    }

    @Test
    void theShareIsOfTheBoundThatTheCeilingsAllow() {
        BenchFile file = BenchFiles.ours();
        BenchResult tiled = BenchFiles.find(file.results(), "tiled", DType.F32, 1024);
        double least = tiled.measured().flops() / file.ceilings().f32FlopsPerSecond();
        assertThat(tiled.shareOfCeiling())
                .isEqualTo(1e3 * least / tiled.timing().kernelMilliseconds(), within(1e-9));
        assertThat(BenchFile.onTensorCores("tornado-attention", "tiled", DType.F16))
                .isFalse();
        assertThat(BenchFile.onTensorCores("tornado-attention", "tensor", DType.F16))
                .isTrue();
        assertThat(BenchFile.onTensorCores("pytorch", "flash", DType.F16)).isTrue();
        assertThat(BenchFile.onTensorCores("pytorch", "mem-efficient", DType.F32))
                .isFalse();
    }

    @Test
    void peersAreJoinedOnTheirProblems() {
        List<PeerComparison> comparisons = PeerComparison.of(List.of(BenchFiles.ours(), BenchFiles.pytorch()));
        assertThat(comparisons).isNotEmpty().allSatisfy(comparison -> {
            assertThat(comparison.ours().provider()).isEqualTo(BenchResult.OURS);
            assertThat(comparison.peers())
                    .allSatisfy(peer -> assertThat(peer.measured()).isEqualTo(comparison.measured()));
            BenchResult peer = comparison.peers().getFirst();
            assertThat(comparison.timeRatio(peer))
                    .isEqualTo(comparison.ours().timing().kernelMilliseconds()
                            / peer.timing().kernelMilliseconds());
        });
        assertThat(PeerComparison.of(List.of(BenchFiles.ours()))).isEmpty();
    }
}
