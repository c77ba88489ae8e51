package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.kernel.WarpFlashAttention;
import org.tornadoattention.tensor.DType;

/** {@link WarpFlashAttention}. */
record WarpSpec() implements KernelSpec {

    private static final Tiling TILING = new Tiles();

    @Override
    public String summary() {
        return "tensor cores, S and P in a warp's registers";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F16, DType.BF16);
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
    public Capability capability() {
        return Capability.WARP;
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
    public List<Launch> forward(Work work) {
        return List.of(work.warps(WarpFlashAttention.class));
    }

    private static final class Tiles extends WarpTiling {

        Tiles() {
            super(AttentionKernel.WARP);
        }

        @Override
        boolean share(int warps, int blockQ) {
            return blockQ == 16 * warps || blockQ == 32 * warps;
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpFlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        int listed(Tile tile, AttentionProblem problem) {
            return Math.ceilDiv(problem.shape().seqK(), tile.blockK());
        }

        @Override
        Stream<String> untuned() {
            return Stream.of("128x64/4", "128x32/4", "64x32/4", "64x16/4", "32x16/2", "16x16/1");
        }

        @Override
        public List<Tile> worthTrying() {
            return combinations(List.of("64/4", "128/8", "128/4"), 32, 64, 128);
        }
    }
}
