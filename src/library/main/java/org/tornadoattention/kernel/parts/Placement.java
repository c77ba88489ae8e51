package org.tornadoattention.kernel.parts;

/**
 * Which tile a work-group computes, and where it lies in arrays {@code [batch, heads, seqQ, headDim]} of queries and
 * {@code [batch, kvHeads, seqK, headDim]} of keys and values.
 */
public final class Placement {

    private Placement() {}

    /** Tiles of {@code block} rows that cover {@code rows}. */
    public static int tiles(int rows, int block) {
        return (rows + block - 1) / block;
    }

    /** {@code batch * heads + head} of a group. */
    public static int batchHead(int group, int seqQ, int blockQ) {
        return group / tiles(seqQ, blockQ);
    }

    /** The first query of a group: the last tiles first, since under a causal mask they see the most keys. */
    public static int firstQuery(int group, int seqQ, int blockQ) {
        int tiles = tiles(seqQ, blockQ);
        return (tiles - 1 - group % tiles) * blockQ;
    }

    /**
     * The number of a tile where {@code together} heads come at a time, first their first tiles, then their second
     * ones: what they share, such as a bias, is in the device's cache then.
     *
     * @param tile a number in that order
     * @param together heads, a divisor of all
     */
    public static int ofHeadsTogether(int tile, int together, int seqQ, int blockQ) {
        int number = tile;
        if (together > 1) {
            int tiles = tiles(seqQ, blockQ);
            int within = tile % (together * tiles);
            number = tile - within + within % together * tiles + within / together;
        }
        return number;
    }

    /** {@code batch * kvHeads + kvHead} of the keys and values that a query head reads: heads of a group share them. */
    public static int keyValueHead(int batchHead, int heads, int kvHeads) {
        return batchHead / heads * kvHeads + batchHead % heads / (heads / kvHeads);
    }
}
