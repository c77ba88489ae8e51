package org.tornadoattention.plan;

import org.tornadoattention.kernel.TiledQueryGradient;

/**
 * The square tile of scores of the tiled backward kernels.
 *
 * @param block queries, and keys, in a tile, a multiple of 8
 */
public record BackwardTile(int block) implements Tile {

    /** Checks the multiple that the kernels' register tiles need. */
    public BackwardTile {
        if (block < 8 || block % 8 != 0) {
            throw new IllegalArgumentException(
                    "The tile is %d by %d: it must be a multiple of 8.".formatted(block, block));
        }
    }

    @Override
    public int blockQ() {
        return block;
    }

    @Override
    public int blockK() {
        return block;
    }

    @Override
    public int groupSize(int headDim) {
        return TiledQueryGradient.groupSize(headDim, block);
    }

    @Override
    public int localMemoryBytes(int headDim) {
        return TiledQueryGradient.localMemoryBytes(headDim, block);
    }

    /** Queries by keys, such as {@code 32x32}. */
    @Override
    public String toString() {
        return block + "x" + block;
    }
}
