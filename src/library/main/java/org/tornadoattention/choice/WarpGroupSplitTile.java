package org.tornadoattention.choice;

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

    /** Such as {@code 128x128/8, 4 splits}. */
    @Override
    public String toString() {
        return "%s, %d splits".formatted(tile, splits);
    }
}
