package org.tornadoattention.simulator.engine;

/**
 * The permutations of tiles in local memory that keep rows out of each other's banks: some bits of the row are xored
 * into the position within the row, so that a column of a tile is spread over all banks.
 */
public final class Swizzle {

    private static final int ROW_BITS = 0b111;

    private Swizzle() {}

    /** Returns the index of an element of a tile of halves, permuted in pieces of 16 bytes over 128. */
    public static int wideHalf(int row, int col, int stride) {
        return permute16(2 * (row * stride + col)) / 2;
    }

    /** Returns the index of an element of a tile of halves, permuted in pieces of 8 bytes over 64. */
    public static int narrowHalf(int row, int col, int stride) {
        int offset = 2 * (row * stride + col);
        return (offset ^ (offset >> 6 & ROW_BITS) << 3) / 2;
    }

    /** Returns the index of an element of a tile of bytes, permuted in pieces of 16 bytes over 128. */
    public static int bytes(int row, int col, int stride) {
        return permute16(row * stride + col);
    }

    static int permute16(int byteOffset) {
        return byteOffset ^ (byteOffset >> 7 & ROW_BITS) << 4;
    }
}
