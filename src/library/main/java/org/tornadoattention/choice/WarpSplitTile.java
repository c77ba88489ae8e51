package org.tornadoattention.choice;

import org.tornadoattention.kernel.WarpSplitKeyAttention;

/**
 * How {@link WarpSplitKeyAttention} divides its work.
 *
 * @param rows pairs of a token and a query head in a tile
 * @param warps of a group, each with 16 keys of a tile
 * @param headsOfGroup KV heads of a group, each with warps of its own
 * @param stages tiles in local memory
 * @param splits parts of the keys
 */
public record WarpSplitTile(int rows, int warps, int headsOfGroup, int stages, int splits) implements LaunchedTile {

    private static final int LANES = 32;

    @Override
    public DecodeKernel kernel() {
        return DecodeKernel.WARP_SPLIT_KEY;
    }

    @Override
    public int groupSize(int headDim) {
        return LANES * warps;
    }

    @Override
    public Launch launch() {
        return Launch.of("-attention", WarpSplitKeyAttention.class, "attention")
                .with("warps", warps)
                .with("headsOfGroup", headsOfGroup)
                .with("stages", stages);
    }

    /** {@return keys that a group looks at in one turn} */
    public int tileKeys() {
        return warps / headsOfGroup * WarpSplitKeyAttention.WARP_KEYS;
    }

    /** {@return whether the last group of a tile's parts merges them} */
    public boolean mergesParts() {
        return splits <= WarpSplitKeyAttention.MOST_MERGED_PARTS;
    }

    /**
     * {@return the same tile of other parts}
     *
     * @param parts of the keys
     */
    public WarpSplitTile withSplits(int parts) {
        return new WarpSplitTile(rows, warps, headsOfGroup, stages, parts);
    }

    /** Bytes of local memory of a group. */
    int localMemoryBytes(int headDim) {
        return WarpSplitKeyAttention.localMemoryBytes(headDim, rows, warps, stages);
    }

    /** Such as {@code 4 rows, 4 warps, 3 stages, 33 splits}, with {@code 8 heads} where a group has several. */
    @Override
    public String toString() {
        String heads = headsOfGroup == 1 ? "" : " %d heads,".formatted(headsOfGroup);
        return "%d rows, %d warps,%s %d stages, %d splits".formatted(rows, warps, heads, stages, splits);
    }
}
