package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.kernel.WarpTf32FlashAttention;
import org.tornadoattention.tensor.DType;

/** {@link WarpTf32FlashAttention}. */
record WarpTf32Spec() implements KernelSpec {

    private static final Tiling TILING = new Tiles();

    @Override
    public String summary() {
        return "tensor cores for F32, three products for one";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F32);
    }

    @Override
    public boolean dropout() {
        return false;
    }

    @Override
    public boolean onlyWhereAskedFor() {
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
        return new Backward.None(
                "what three products lose of F32, its log-sum-exp carries into the gradients of large scores. Choose tiled.");
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    @Override
    public List<Launch> forward(Work work) {
        return List.of(work.warps(WarpTf32FlashAttention.class));
    }

    private static final class Tiles extends WarpTiling {

        Tiles() {
            super(AttentionKernel.WARP_TF32);
        }

        @Override
        boolean share(int warps, int blockQ) {
            return blockQ == 16 * warps;
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpTf32FlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        Stream<String> untuned() {
            return Stream.of("128x32/8", "64x32/4", "32x16/2", "16x16/1");
        }
    }
}
