package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.WarpGroupFp8FlashAttention;
import org.tornadoattention.tensor.DType;

/** {@link WarpGroupFp8FlashAttention}, with the kernels that round its inputs. */
record WarpGroupFp8Spec() implements KernelSpec {

    private static final Tiling TILING = new Tiles();

    @Override
    public String summary() {
        return "asynchronous tensor cores, products of 8 bits";
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
    public boolean fp8() {
        return true;
    }

    @Override
    public boolean onlyWhereAskedFor() {
        return true;
    }

    @Override
    public Capability capability() {
        return Capability.WARP_GROUP;
    }

    @Override
    public Optional<Tiling> tiling() {
        return Optional.of(TILING);
    }

    @Override
    public Backward backward() {
        return new Backward.None("its log-sum-exp is that of rounded scores. Choose warp-group.");
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    @Override
    public List<Long> scratchBytes(AttentionShape shape, Optional<Tile> tile) {
        return tile.map(given -> QuantizedSizes.of(shape, given).buffers()).orElse(List.of());
    }

    private static final class Tiles extends WarpTiling {

        Tiles() {
            super(AttentionKernel.WARP_GROUP_FP8);
        }

        @Override
        boolean share(int warps, int blockQ) {
            return blockQ == 16 * warps && warps % 4 == 0;
        }

        @Override
        int keyStep() {
            return 32;
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupFp8FlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        Stream<String> untuned() {
            return Stream.of("128x128/8", "64x64/4", "64x32/4");
        }

        @Override
        public List<Tile> worthTrying() {
            return combinations(List.of("64/4", "128/8", "192/12", "256/16"), 64, 96, 128, 160, 192);
        }
    }
}
