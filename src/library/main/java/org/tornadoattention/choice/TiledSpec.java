package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.TiledBiasGradient;
import org.tornadoattention.kernel.TiledFlashAttention;
import org.tornadoattention.kernel.TiledKeyValueGradients;
import org.tornadoattention.kernel.TiledQueryGradient;
import org.tornadoattention.tensor.DType;

/** {@link TiledFlashAttention} and its gradients. */
record TiledSpec() implements KernelSpec {

    private static final Tiling FORWARD = new ForwardTiling();
    private static final Tiling BACKWARD = new BackwardTiling();
    private static final Tiling BIAS_GRADIENT = new BiasGradientTiling();

    /**
     * No more is used even where a device has more, so that several groups share a multiprocessor and hide each other's
     * loads.
     */
    private static final long LOCAL_MEMORY_USED_AT_MOST = 48 * 1024;

    @Override
    public String summary() {
        return "tiles in local memory, products in registers";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.values());
    }

    @Override
    public Optional<Tiling> tiling() {
        return Optional.of(FORWARD);
    }

    @Override
    public int widestHead() {
        return AttentionShape.MAX_HEAD_DIM;
    }

    @Override
    public boolean ownValueDim() {
        return true;
    }

    @Override
    public boolean functions() {
        return true;
    }

    @Override
    public Optional<String> objection(Views views, AttentionShape shape) {
        return Optional.empty();
    }

    @Override
    public Backward backward() {
        return new Backward.Own(
                (problem, device) -> BACKWARD.choose(problem, device).map(List::of),
                Optional.empty(),
                TiledSpec::gradients);
    }

    private static List<Launch> gradients(Work work) {
        int block = work.tile().blockQ();
        int size = work.tile().groupSize(work.shape().widestDim());
        return List.of(
                work.rowTerms(TiledQueryGradient.parts(work.shape().widestDim(), block)),
                Launch.of("-dq", TiledQueryGradient.class, "queryGradient")
                        .summing(work.shape().seqK())
                        .with("block", block)
                        .groups(work.queryTiles(block), size),
                Launch.of("-dkdv", TiledKeyValueGradients.class, "keyValueGradients")
                        .summing(work.queriesOfKey())
                        .with("block", block)
                        .groups(work.keyTiles(block), size));
    }

    @Override
    public BiasGradients biasGradient(Work work, int biasBatch, int biasHeads) {
        return BIAS_GRADIENT
                .choose(work.problem(), work.device())
                .map(tile -> BiasGradients.byTiles(
                        work,
                        biasBatch,
                        biasHeads,
                        Launch.of("-dbias", TiledBiasGradient.class, "biasGradient")
                                .with("block", tile.blockQ()),
                        tile.blockQ(),
                        tile.blockK(),
                        tile.groupSize(work.shape().widestDim())))
                .orElseGet(() -> BiasGradients.byElement(work, biasBatch, biasHeads));
    }

    @Override
    public List<Launch> forward(Work work) {
        return List.of(
                work.tiled(TiledFlashAttention.class).summing(work.shape().seqK()));
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    /** A tile of many queries reads K and V less often; one of many keys rescales O less often. */
    private static final class ForwardTiling extends Tiling {

        ForwardTiling() {
            super(AttentionKernel.TILED);
        }

        @Override
        void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
            requireNoWarps(kernel(), warps, rescaleThreshold);
            if (blockQ < 8 || blockQ % 8 != 0 || blockK < 4 || blockK % 4 != 0 || 4 * blockK % blockQ != 0) {
                throw new IllegalArgumentException(
                        "The tile is %d by %d: queries must be a multiple of 8, keys of 4, and 4 times the keys of the queries."
                                .formatted(blockQ, blockK));
            }
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return TiledFlashAttention.groupSize(headDim, tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return TiledFlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        long localMemoryUsed(ComputeDevice device) {
            return Math.min(localMemory(device), LOCAL_MEMORY_USED_AT_MOST);
        }

        @Override
        Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
            int enough = Math.max(16, Math.ceilDiv(problem.shape().seqQ(), 8) * 8);
            return Stream.of("128x32", "64x32", "32x32", "32x16", "16x24", "16x16", "16x8", "8x8", "8x4")
                    .map(this::tile)
                    .filter(tile -> tile.blockQ() <= enough);
        }
    }

    /**
     * Squares: four tiles of Q, dO, K and V and one of S and dP must fit, so that they are smaller than those forward.
     */
    private static class BackwardTiling extends Tiling {

        BackwardTiling() {
            super(AttentionKernel.TILED);
        }

        @Override
        void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
            requireNoWarps(kernel(), warps, rescaleThreshold);
            if (blockQ != blockK || blockQ < 8 || blockQ % 8 != 0) {
                throw new IllegalArgumentException(
                        "The backward tile is %d by %d: it must be a square of a multiple of 8."
                                .formatted(blockQ, blockK));
            }
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return TiledQueryGradient.groupSize(headDim, tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return TiledQueryGradient.localMemoryBytes(headDim, tile.blockQ());
        }

        @Override
        long localMemoryUsed(ComputeDevice device) {
            return Math.min(localMemory(device), LOCAL_MEMORY_USED_AT_MOST);
        }

        @Override
        Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
            return Stream.of("32x32", "24x24", "16x16", "8x8").map(this::tile);
        }
    }

    /** Squares too, with the sums beside all that. */
    private static final class BiasGradientTiling extends BackwardTiling {

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return TiledBiasGradient.localMemoryBytes(headDim, tile.blockQ());
        }
    }
}
