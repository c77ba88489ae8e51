package org.tornadoattention.plan;

import org.tornadoattention.kernel.TiledFlashAttention;

/**
 * The tile of scores of the tiled kernel.
 *
 * @param blockQ queries in a tile (Br), a multiple of 8
 * @param blockK keys in a tile (Bc), a multiple of 4; {@code 4 * blockK} is a multiple of {@code blockQ}
 */
public record TileShape(int blockQ, int blockK) implements Tile {

    /** Checks the multiples that the tiled kernel's register tiles and its batches of loads need. */
    public TileShape {
        if (blockQ < 8 || blockQ % 8 != 0 || blockK < 4 || blockK % 4 != 0 || 4 * blockK % blockQ != 0) {
            throw new IllegalArgumentException(
                    "The tile is %d by %d: queries must be a multiple of 8, keys of 4, and 4 times the keys of the queries."
                            .formatted(blockQ, blockK));
        }
    }

    /**
     * The tile that {@link #toString} wrote, such as {@code 64x32}.
     *
     * @throws IllegalArgumentException if it is none
     */
    public static TileShape parse(String text) {
        String[] sides = text.split("x", -1);
        try {
            if (sides.length == 2) {
                return new TileShape(Integer.parseInt(sides[0]), Integer.parseInt(sides[1]));
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(notATile(text), e);
        }
        throw new IllegalArgumentException(notATile(text));
    }

    private static String notATile(String text) {
        return "'%s' is no tile: write queries by keys, such as 64x32.".formatted(text);
    }

    @Override
    public int groupSize(int headDim) {
        return TiledFlashAttention.groupSize(headDim, blockQ);
    }

    @Override
    public int localMemoryBytes(int headDim) {
        return TiledFlashAttention.localMemoryBytes(headDim, blockQ, blockK);
    }

    /** Queries by keys, such as {@code 64x32}. */
    @Override
    public String toString() {
        return blockQ + "x" + blockK;
    }
}
