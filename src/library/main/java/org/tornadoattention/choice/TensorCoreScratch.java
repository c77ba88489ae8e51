package org.tornadoattention.choice;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.TensorCoreAttention;

/**
 * The groups of the tensor-core kernel, which each take one tile of queries after another, and their scratch memory.
 *
 * @param groups work-groups
 * @param elements floats in the scratch array
 */
public record TensorCoreScratch(int groups, int elements) {

    /** Several times as many as fit on a large GPU at once, so that none waits long for the last. */
    private static final int GROUPS_AT_MOST = 2048;

    /** Those of a shape and a tile. */
    public static TensorCoreScratch of(AttentionShape shape, Tile tile) {
        long tiles = (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.blockQ());
        int groups = (int) Math.min(tiles, GROUPS_AT_MOST);
        return new TensorCoreScratch(
                groups, groups * TensorCoreAttention.scratchElements(shape.headDim(), tile.blockQ(), tile.blockK()));
    }

    /** Bytes of the scratch array. */
    public long bytes() {
        return (long) elements * Float.BYTES;
    }
}
