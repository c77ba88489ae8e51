package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** What forward and backward pass together move to and from global memory, as counted and as the model has it. */
@Isolated
class BackwardTrafficTest {

    /** Elements that forward and backward pass moved, and the tiles that they had. */
    private record Run(long forward, long backward, Tile forwardTile, Tile backwardTile) {

        static Run of(AttentionKernel kernel, DType dtype, AttentionShape shape, AttentionOptions options) {
            Tensor q = Tensor.random(dtype, 1, shape.queryShape());
            Tensor k = Tensor.random(dtype, 2, shape.keyShape());
            Tensor v = Tensor.random(dtype, 3, shape.keyShape());
            try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs(), kernel)) {
                AttentionResult result = attention.forward(q, k, v, options);
                long forward = elements(Simulator.lastStatistics());
                attention.backward(result, Tensor.random(dtype, 4, shape.queryShape()));
                return new Run(
                        forward,
                        elements(Simulator.lastStatistics()),
                        attention.choose(shape, dtype, options).tile().orElse(null),
                        attention.chooseBackward(shape, dtype, options).tile().orElse(null));
            }
        }

        private static long elements(List<KernelStatistics> kernels) {
            return kernels.stream()
                    .mapToLong(kernel -> kernel.globalElementsRead() + kernel.globalElementsWritten())
                    .sum();
        }
    }

    /** The row terms: dO and O in, L in, L and D out. */
    private static long rowTerms(long m, long d) {
        return 2 * m * d + 3 * m;
    }

    /**
     * The tiled kernels with square tiles: dQ reads K and V once per tile of queries, dK and dV the queries' once per
     * tile of keys.
     */
    private static long tiledBackward(long m, long n, long d, int block) {
        long dQ = 3 * m * d + 2 * m + Math.ceilDiv(m, block) * 2 * n * d;
        long dKdV = 4 * n * d + Math.ceilDiv(n, block) * (2 * m * d + 2 * m);
        return rowTerms(m, d) + dQ + dKdV;
    }

    @ParameterizedTest
    @CsvSource({
        "F32, 1, 1, 64, 64, 64",
        "F32, 2, 2, 100, 117, 40",
        "F32, 1, 1, 1, 100, 128",
        "F16, 1, 2, 70, 70, 72",
        "BF16, 1, 2, 33, 50, 256"
    })
    void theTiledBackwardPassReadsEachTileOncePerTileOfTheOtherSide(
            DType dtype, int batch, int heads, int queries, int keys, int headDim) {
        AttentionShape shape = new AttentionShape(batch, heads, heads, queries, keys, headDim);
        Run run = Run.of(AttentionKernel.TILED, dtype, shape, AttentionOptions.defaults());
        assertThat(run.backward)
                .isEqualTo(batch * heads * tiledBackward(queries, keys, headDim, run.backwardTile.blockQ()));
    }

    /** Under a causal mask, tiles above the diagonal are read by neither kernel. */
    @Test
    void wholeTilesThatTheMaskTakesAreNotRead() {
        AttentionShape shape = new AttentionShape(1, 1, 1, 128, 128, 64);
        Run run = Run.of(AttentionKernel.TILED, DType.F32, shape, AttentionOptions.causal());
        int block = run.backwardTile.blockQ();
        long tiles = 128 / block;
        long pairs = tiles * (tiles + 1) / 2;
        long dQ = 3 * 128 * 64 + 2 * 128 + pairs * block * 2 * 64;
        long dKdV = 4 * 128 * 64 + pairs * block * (2 * 64 + 2);
        assertThat(run.backward).isEqualTo(rowTerms(128, 64) + dQ + dKdV);
    }

    /** The paper's shape, a head of it: docs/performance.md sets these figures beside the paper's. */
    @Test
    void thePapersShape() {
        long n = 1024;
        long d = 64;
        AttentionShape shape = new AttentionShape(1, 1, 1, (int) n, (int) n, (int) d);
        Run flash = Run.of(AttentionKernel.TILED, DType.F32, shape, AttentionOptions.defaults());
        long tiles = n / flash.forwardTile.blockQ();
        assertThat(flash.forward).isEqualTo(2 * n * d + tiles * 2 * n * d + n);
        assertThat(flash.backward).isEqualTo(tiledBackward(n, n, d, flash.backwardTile.blockQ()));

        // Every work-item of standard attention reads its operands from global memory itself: both factors of each
        // product,
        // S three times in the softmax.
        Run standard = Run.of(AttentionKernel.STANDARD, DType.F32, shape, AttentionOptions.defaults());
        long pairs = n * n;
        long products = pairs * 2 * d;
        assertThat(standard.forward).isEqualTo(products + pairs + (4 * pairs + n) + products + n * d);
        long dS = 2 * products + 2 * pairs + 2 * pairs;
        long dQ = products + n * d;
        long dKdV = 2 * products + 2 * n * d;
        assertThat(standard.backward).isEqualTo(rowTerms(n, d) + dS + dQ + dKdV);

        double counted = (double) (standard.forward + standard.backward) / (flash.forward + flash.backward);
        assertThat(counted).isCloseTo(84.2, within(0.05));
    }
}
