package org.tornadoattention.choice;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpGroupFlashAttention;

/**
 * How {@link WarpGroupFlashAttention} divides its work over the pages of a cache.
 *
 * @param tile queries of one head by keys
 * @param splits parts of the keys
 */
public record WarpGroupSplitTile(Tile tile, int splits) implements LaunchedTile {

    @Override
    public DecodeKernel kernel() {
        return DecodeKernel.WARP_GROUP;
    }

    @Override
    public int rows() {
        return tile.blockQ();
    }

    @Override
    public int groupSize(int headDim) {
        return tile.groupSize(headDim);
    }

    @Override
    public Launch launch() {
        return Launch.of("-attention", WarpGroupFlashAttention.class, "attention")
                .with("blockQ", tile.blockQ())
                .with("blockK", tile.blockK())
                .with("addedValueDim", 0)
                .with("staying", 0)
                .adding(tile.features());
    }

    /**
     * {@return the work-groups that stay for all tiles of queries, or 0 where each tile has its own}
     *
     * @param shape of the chunks, over as many keys as there is room for
     * @param device where it is to run
     */
    public int staying(AttentionShape shape, ComputeDevice device) {
        return splits == 1 && WarpGroupSpec.stay(tile, shape, device) ? device.computeUnits() : 0;
    }

    /** Such as {@code 128x128/8, 4 splits}. */
    @Override
    public String toString() {
        return "%s, %d splits".formatted(tile, splits);
    }
}
