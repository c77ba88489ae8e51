package org.tornadoattention.kernel.parts;

/**
 * Where kernels call the functions of a user's. As they stand here, they change nothing and leave nothing in the
 * compiled kernel; a form of a kernel with functions has others of the same names in their place.
 */
public final class Functions {

    private Functions() {}

    /** Whether there are functions at all. */
    public static boolean arePresent() {
        return false;
    }

    /** Whether {@link #score} does more than hide keys. */
    public static boolean changeScores() {
        return false;
    }

    /** Whether they may make scores larger than {@link LargeScores#LEAST}. */
    public static boolean makeLarge() {
        return false;
    }

    /** {@link #score} where it is known that nothing hides the key. */
    public static float ofSeen(float score, int batch, int head, int query, int key, int position) {
        return score;
    }

    /** Whether scores get a dense bias of 16 bits, of which a warp can read eight at once. */
    public static boolean addBiases() {
        return false;
    }

    /** 1 where those of eight keys from a multiple of 8 on lie so that it can. */
    public static int areEights() {
        return 0;
    }

    /** The element that the bias of a pair is. */
    public static int elementOfBias(int batch, int head, int query, int key) {
        return 0;
    }

    /**
     * Begins to read the biases of eight keys, as {@link org.tornadoattention.intrinsic.Warp#loadEight} where
     * {@link #areEights}.
     */
    public static void loadEight(int[] registers, int at, int row, int plus, int ahead) {
        // there are none
    }

    /**
     * Starts the copy of the biases of eight keys to local memory, as
     * {@link org.tornadoattention.intrinsic.Warp#copyAsync} where {@link #areEights}.
     */
    public static void copyEight(int[] tile, int byteOffset, int element, int bytes) {
        // there are none
    }

    /** {@link #ofSeen} with one of a pair of biases, 0 or 1. */
    public static float ofSeenWith(
            float score, int pair, int which, int batch, int head, int query, int key, int position) {
        return score;
    }

    /** Whether {@link #score} hides keys. */
    public static boolean hideKeys() {
        return false;
    }

    /** Whether there are block masks whose empty tiles hide keys whatever else there is. */
    public static boolean leaveTilesOut() {
        return false;
    }

    /**
     * What such block masks say of so many queries and keys: {@link BlockTiles#EMPTY} where they hide all,
     * {@link BlockTiles#FULL} where nothing hides any, else {@link BlockTiles#PARTIAL}.
     */
    public static int stateOfTile(int batch, int head, int query, int queries, int key, int keys) {
        return BlockTiles.FULL;
    }

    /**
     * The score of a pair, after all that kernels do to it by themselves: {@link Score#NO_SCORE} where a function hides
     * the key.
     *
     * @param query within the sequence
     * @param key within the sequence
     * @param position that the query stands at among the keys
     */
    public static float score(float score, int batch, int head, int query, int key, int position) {
        return score;
    }

    /** The derivative of {@link #score} with respect to the score that it is given. */
    public static float slope(float score, int batch, int head, int query, int key, int position) {
        return 1f;
    }

    /** {@link #slope} where it is known that nothing hides the key. */
    public static float slopeOfSeen(float score, int batch, int head, int query, int key, int position) {
        return 1f;
    }

    /**
     * The first key from {@code key} on, in steps of {@code step}, at which so many keys are not all hidden from a tile
     * of queries by a block mask.
     */
    public static int nextKey(int key, int step, int batch, int head, int query, int queries, int lastKey) {
        return key;
    }

    /** Likewise, the first query at which so many queries do not all miss a tile of keys. */
    public static int nextQuery(int query, int step, int batch, int head, int key, int keys, int lastQuery) {
        return query;
    }

    /** A weight of a pair, or 0 where {@link #score} gave that the key is hidden. */
    public static float weight(float weight, float score) {
        return weight;
    }
}
