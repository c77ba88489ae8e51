package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.TensorCoreAttention;
import org.tornadoattention.tensor.DType;

/** {@link TensorCoreAttention}. */
record TensorCoreSpec() implements KernelSpec {

    private static final Tiling TILING = new TensorCoreTiling();

    /** Several times as many as fit on a large GPU at once, so that none waits long for the last. */
    private static final long GROUPS_AT_MOST = 2048;

    @Override
    public String summary() {
        return "products on tensor cores, S through scratch memory";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F16, DType.BF16);
    }

    @Override
    public boolean dropout() {
        return false;
    }

    @Override
    public Capability capability() {
        return Capability.TENSOR_CORES;
    }

    @Override
    public Optional<Tiling> tiling() {
        return Optional.of(TILING);
    }

    @Override
    public Backward backward() {
        return new Backward.By(AttentionKernel.TILED);
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    @Override
    public List<Scratch> scratch(AttentionShape shape, Optional<Tile> tile) {
        return tile.map(given -> List.of(Scratch.floats(
                        "scratch",
                        groups(shape, given)
                                * TensorCoreAttention.scratchElements(
                                        shape.headDim(), given.blockQ(), given.blockK()))))
                .orElse(List.of());
    }

    /** Groups that each take one tile of queries after another, with scratch memory of their own. */
    private static long groups(AttentionShape shape, Tile tile) {
        long tiles = (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.blockQ());
        return Math.min(tiles, GROUPS_AT_MOST);
    }

    @Override
    public List<Launch> forward(Work work) {
        Tile tile = work.tile();
        return List.of(Launch.of("", TensorCoreAttention.class, "attention")
                .with("tileShape", TensorCoreAttention.packed(tile.blockQ(), tile.blockK()))
                .groups(groups(work.shape(), tile), tile.groupSize(work.shape().headDim())));
    }

    private static final class TensorCoreTiling extends Tiling {

        TensorCoreTiling() {
            super(AttentionKernel.TENSOR_CORE);
        }

        @Override
        void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
            requireNoWarps(kernel(), warps, rescaleThreshold);
            if (blockQ < 32 || blockQ % 32 != 0 || (blockK != 16 && blockK != 32 && blockK != 64)) {
                throw new IllegalArgumentException(
                        "The tile is %d by %d: queries must be a multiple of 32, keys 16, 32 or 64."
                                .formatted(blockQ, blockK));
            }
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return TensorCoreAttention.groupSize(headDim, tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return TensorCoreAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
            return Stream.of("128x32", "64x32", "32x32", "32x16")
                    .map(this::tile)
                    .filter(tile -> tile.blockQ() < problem.shape().seqQ() + 32);
        }
    }
}
