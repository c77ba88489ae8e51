package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.function.ToLongFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The kernels move as many elements to and from global memory as the papers say. */
@Isolated
class TrafficTest {

    /** A run, and what its kernels moved. */
    private record Run(Optional<Tile> chosen, List<KernelStatistics> kernels) {

        static Run of(AttentionKernel kernel, DType dtype, AttentionShape shape, AttentionOptions options) {
            Tensor q = Tensor.random(dtype, 1, shape.queryShape());
            Tensor k = Tensor.random(dtype, 2, shape.keyShape());
            Tensor v = Tensor.random(dtype, 3, shape.keyShape());
            try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs(), kernel)) {
                attention.forward(q, k, v, options);
                return new Run(attention.choose(shape, dtype, options).tile(), Simulator.lastStatistics());
            }
        }

        long sum(ToLongFunction<KernelStatistics> property) {
            return kernels.stream().mapToLong(property).sum();
        }

        long read(String array) {
            return sum(kernel -> kernel.global().stream()
                    .filter(traffic -> traffic.name().equals(array))
                    .mapToLong(ArrayTraffic::elementsRead)
                    .sum());
        }

        long elements() {
            return sum(KernelStatistics::globalElementsRead) + sum(KernelStatistics::globalElementsWritten);
        }

        Tile tile() {
            return chosen.orElseThrow();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "F32, 1, 1, 64, 64, 64",
        "F32, 1, 1, 256, 256, 64",
        "F32, 2, 2, 100, 217, 40",
        "F32, 1, 1, 1, 300, 128",
        "F32, 1, 1, 129, 5, 59",
        "F16, 1, 2, 130, 130, 72",
        "BF16, 1, 2, 65, 130, 256"
    })
    void flashAttentionReadsKeysAndValuesOncePerTileOfQueries(
            DType dtype, int batch, int heads, int queries, int keys, int headDim) {
        AttentionShape shape = new AttentionShape(batch, heads, 1, queries, keys, headDim);
        Run run = Run.of(AttentionKernel.TILED, dtype, shape, AttentionOptions.defaults());
        long tiles = Math.ceilDiv(queries, run.tile().blockQ());
        long perHead = 2L * queries * headDim + tiles * 2L * keys * headDim + queries;
        assertThat(run.elements()).isEqualTo(batch * heads * perHead);
        assertThat(run.sum(KernelStatistics::globalElementsWritten))
                .isEqualTo((long) batch * heads * (queries * headDim + queries));
    }

    @ParameterizedTest
    @CsvSource({"256, 256", "100, 217", "217, 100"})
    void tilesAboveTheDiagonalAreNotRead(int queries, int keys) {
        AttentionShape shape = new AttentionShape(1, 1, 1, queries, keys, 64);
        Run run = Run.of(AttentionKernel.TILED, DType.F32, shape, AttentionOptions.causal());
        int blockQ = run.tile().blockQ();
        int blockK = run.tile().blockK();
        long keysRead = 0;
        for (int i0 = 0; i0 < queries; i0 += blockQ) {
            int lastKey = Math.min(i0 + blockQ, queries) - 1 + keys - queries;
            keysRead += lastKey < 0 ? 0 : Math.min(keys, (lastKey / blockK + 1) * blockK);
        }
        assertThat(run.elements()).isEqualTo(2L * queries * 64 + keysRead * 2 * 64 + queries);
    }

    /** Θ(Nd + N²d²s/M): keys and values of the tiles that are not empty, and no others. */
    @ParameterizedTest
    @CsvSource({"256, 256, 64", "384, 300, 128"})
    void aBlockMaskReadsItsTilesAndNoOthers(int queries, int keys, int block) {
        AttentionShape shape = new AttentionShape(1, 1, 1, queries, keys, 64);
        boolean[][] blocks = new boolean[Math.ceilDiv(queries, block)][Math.ceilDiv(keys, block)];
        for (int row = 0; row < blocks.length; row++) {
            for (int column = 0; column < blocks[row].length; column++) {
                blocks[row][column] = (row + 2 * column) % 3 == 0;
            }
        }
        BlockMask mask = BlockMask.of(blocks, queries, keys, block, block);
        Run run = Run.of(
                AttentionKernel.TILED,
                DType.F32,
                shape,
                AttentionOptions.defaults().withMask(Mask.blocks(mask)));
        long keysRead = 0;
        for (int i0 = 0; i0 < queries; i0 += run.tile().blockQ()) {
            for (int j0 = 0; j0 < keys; j0 += run.tile().blockK()) {
                boolean seen = false;
                for (int i = i0; i < Math.min(queries, i0 + run.tile().blockQ()); i++) {
                    for (int j = j0; j < Math.min(keys, j0 + run.tile().blockK()); j++) {
                        seen |= blocks[i / block][j / block];
                    }
                }
                keysRead += seen ? Math.min(keys - j0, run.tile().blockK()) : 0;
            }
        }
        assertThat(keysRead).isLessThan((long) Math.ceilDiv(queries, run.tile().blockQ()) * keys);
        assertThat(run.read("query")).isEqualTo(queries * 64L);
        assertThat(run.read("key")).isEqualTo(keysRead * 64);
        assertThat(run.read("value")).isEqualTo(keysRead * 64);
    }

    @Test
    void onlineSoftmaxReadsThemOncePerQuery() {
        int n = 128;
        int d = 32;
        AttentionShape shape = new AttentionShape(1, 1, 1, n, n, d);
        Run run = Run.of(AttentionKernel.ONLINE, DType.F32, shape, AttentionOptions.defaults());
        assertThat(run.elements()).isEqualTo(2L * n * d + (long) n * 2 * n * d + n);
    }

    @ParameterizedTest
    @CsvSource({"64, 16", "128, 32"})
    void standardAttentionStoresAndReadsTheScores(int n, int d) {
        AttentionShape shape = new AttentionShape(1, 1, 1, n, n, d);
        Run run = Run.of(AttentionKernel.STANDARD, DType.F32, shape, AttentionOptions.defaults());
        assertThat(run.kernels()).hasSize(3);
        assertThat(run.elements()).isGreaterThanOrEqualTo(4L * n * d + 4L * n * n);
        Run flash = Run.of(AttentionKernel.TILED, DType.F32, shape, AttentionOptions.defaults());
        assertThat(flash.elements()).isLessThan(4L * n * d + 4L * n * n);
    }
}
