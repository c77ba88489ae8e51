package org.tornadoattention.choice;

import org.tornadoattention.kernel.SplitKeyAttention;

/**
 * How {@link SplitKeyAttention} divides its work.
 *
 * @param rows pairs of a token and a query head in a tile
 * @param dims dimensions of a work-item
 * @param slots keys that a group looks at side by side
 * @param splits parts of the keys
 */
public record LaneSplitTile(int rows, int dims, int slots, int splits) implements LaunchedTile {

    /** {@return keys that a group looks at in one turn} */
    public int tileKeys() {
        return slots * SplitKeyAttention.KEYS;
    }

    /**
     * {@return the same tile of other parts}
     *
     * @param parts of the keys
     */
    public LaneSplitTile withSplits(int parts) {
        return new LaneSplitTile(rows, dims, slots, parts);
    }

    @Override
    public DecodeKernel kernel() {
        return DecodeKernel.SPLIT_KEY;
    }

    @Override
    public int groupSize(int headDim) {
        return slots * SplitKeyAttention.lanes(headDim, dims);
    }

    @Override
    public Launch launch() {
        return Launch.of("-attention", SplitKeyAttention.class, "attention")
                .with("dims", dims)
                .with("slots", slots);
    }

    @Override
    public boolean readsThroughStorage() {
        return true;
    }

    /** Such as {@code 4 rows, 8 dimensions, 8 slots, 16 splits}. */
    @Override
    public String toString() {
        return "%d rows, %d dimensions, %d slots, %d splits".formatted(rows, dims, slots, splits);
    }
}
