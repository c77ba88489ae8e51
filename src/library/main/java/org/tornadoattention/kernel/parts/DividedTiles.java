package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The tiles of queries of a last round of work-groups that would leave multiprocessors without work: several groups
 * divide the keys of such a tile, one after the other from the first key to the last, and each adds what it has to what
 * the groups before it left. Sums are added in the order of the keys, so that results are the same every time.
 *
 * <p>Groups up to {@link #whole} have a tile each; behind them come the first parts of all divided tiles, then the
 * second ones. Only in forms where {@link #arePresent}, whose constants the forge puts in place of the calls.
 *
 * <p>Source: Osama et al., <i>Stream-K</i> (2023), of products; Dao et al., <i>Flash-Decoding</i> (2023), of partial
 * softmaxes.
 */
public final class DividedTiles {

    /** Elements that a warp stores for 16 rows at a time: four of each lane. */
    private static final int BLOCK = 128;

    private DividedTiles() {}

    /** Whether there are any. */
    public static boolean arePresent() {
        return false;
    }

    /** Tiles that one group each computes, before all others. */
    public static int whole() {
        return 0;
    }

    /** Tiles that are divided. */
    public static int count() {
        return 1;
    }

    /** Groups that divide a tile. */
    public static int parts() {
        return 1;
    }

    /** Floats of {@code sums} for each 16 rows of a divided tile: O, and of each row m and the lanes' l. */
    public static int sumsOfWarp(int columns) {
        return (columns / 8 + 1) * BLOCK;
    }

    /** The number, as {@link Placement} counts, of a group's tile. */
    public static int tile(int group) {
        int tile = group;
        if (arePresent()) {
            tile = group < whole() ? group : whole() + (group - whole()) % count();
        }
        return tile;
    }

    /** Which part of its tile a group has. */
    private static int part(int group) {
        return group < whole() ? 0 : (group - whole()) / count();
    }

    /** Tiles of keys of a part. */
    private static int most(int group, int tiles) {
        return group < whole() ? tiles : (tiles + parts() - 1) / parts();
    }

    /** Tiles of keys before those of a group. */
    public static int tilesBefore(int group, int tiles) {
        return arePresent() ? TornadoMath.min(tiles, part(group) * most(group, tiles)) : 0;
    }

    /** Tiles of keys that a group has of all that its tile of queries sees. */
    public static int tilesOfPart(int group, int tiles) {
        int left = tiles;
        if (arePresent()) {
            left = TornadoMath.min(most(group, tiles), tiles - tilesBefore(group, tiles));
        }
        return left;
    }

    /**
     * Adds what the groups before it have of the same 16 rows, and leaves the sum to the next one.
     *
     * @param o unnormalised
     * @param m what o and l are relative to, as exponents of 2
     * @param l each lane's part
     * @param sums {@link #sumsOfWarp} for each 16 rows of the divided tiles
     * @param turns one for each 16 rows of them, 0 before and after
     * @param warp which 16 rows of the tile
     * @param warps of a tile
     * @param columns of o
     * @return 1 if the rows are complete and this group is to store them, otherwise 0
     */
    public static int join(
            float[] o,
            float[] m,
            float[] l,
            FloatArray sums,
            IntArray turns,
            int group,
            int warp,
            int warps,
            int lane,
            int columns) {
        int complete = 1;
        if (arePresent()) {
            if (group >= whole()) {
                int part = part(group);
                int turn = (tile(group) - whole()) * warps + warp;
                int at = turn * sumsOfWarp(columns) + 4 * lane;
                if (part > 0) {
                    Turn.await(turns, turn, part);
                    add(o, m, l, sums, at, columns);
                }
                if (part < parts() - 1) {
                    complete = 0;
                    leave(o, m, l, sums, at, columns);
                }
                Turn.pass(turns, turn, complete > 0 ? 0 : part + 1);
            }
        }
        return complete;
    }

    /** O and l of two parts, relative to the larger m. */
    private static void add(float[] o, float[] m, float[] l, FloatArray sums, int at, int columns) {
        float[] before = new float[4];
        float[] ofThis = new float[2];
        float[] ofBefore = new float[2];
        Warp.loadFour(before, 0, sums, at);
        for (int r = 0; r < 2; r++) {
            float top = TornadoMath.max(m[r], before[r]);
            ofThis[r] = Warp.exp2(m[r] - top);
            ofBefore[r] = Warp.exp2(before[r] - top);
            m[r] = top;
            l[r] = before[2 + r] * ofBefore[r] + l[r] * ofThis[r];
        }
        for (int n = 0; n < columns / 8; n++) {
            Warp.loadFour(before, 0, sums, at + BLOCK * (n + 1));
            for (int e = 0; e < 4; e++) {
                o[4 * n + e] = before[e] * ofBefore[e / 2] + o[4 * n + e] * ofThis[e / 2];
            }
        }
    }

    private static void leave(float[] o, float[] m, float[] l, FloatArray sums, int at, int columns) {
        float[] ofRows = new float[4];
        for (int r = 0; r < 2; r++) {
            ofRows[r] = m[r];
            ofRows[2 + r] = l[r];
        }
        Warp.storeFour(sums, at, ofRows, 0);
        for (int n = 0; n < columns / 8; n++) {
            Warp.storeFour(sums, at + BLOCK * (n + 1), o, 4 * n);
        }
    }
}
