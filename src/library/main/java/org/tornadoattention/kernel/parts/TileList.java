package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * The tiles that a work-group of a kernel on tensor cores goes over. Where block masks leave tiles out, the group's
 * work-items first find those that are left, and whether anything is hidden in them, and keep a list in local memory:
 * nobody who walks it asks a block mask again. Where there are no block masks there is no list, and nothing of this is
 * left in the kernel.
 *
 * <p>In local memory lie how many tiles each warp of finders found, and then for each tile that is left its number and
 * state.
 */
public final class TileList {

    /** Work-items that look for tiles, each at some that follow one another. */
    private static final int FINDERS = 128;

    private static final int WARP = 32;

    /** Before the list lies how many tiles each warp of finders found. */
    private static final int TOTALS = FINDERS / WARP;

    /** Ints of a list are a multiple, so that what lies behind it is aligned. */
    private static final int ALIGNMENT = 32;

    private TileList() {}

    /** Ints of local memory that a kernel needs for up to so many tiles, 0 where it has no list. */
    public static int ints(int tiles) {
        int ints = 0;
        if (Functions.leaveTilesOut()) {
            ints = (TOTALS + tiles + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        return ints;
    }

    /** Bytes of a list of up to so many tiles. */
    public static int bytes(int tiles) {
        return Integer.BYTES * ((TOTALS + tiles + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    }

    // spotless:off: numbers of a place in rows
    /**
     * Begins a list: each finder counts the tiles that block masks leave of its part. All work-items of a group call it, and a barrier
     * follows. Tile t has the queries from {@code query + t % perHead * queryStep} on and the keys from {@code key + t %
     * perHead * keyStep} on, and is one of the head {@code t / perHead} after {@code firstHead}.
     *
     * @param memory local memory
     * @param at the byte where the list begins
     * @param tiles how many there are without block masks
     * @param item this work-item
     * @param items work-items of the group
     * @param perHead tiles of each head
     * @param firstHead batch * heads + head of the first
     * @param queries of a tile
     * @param keys of a tile
     * @return for {@link #list}: four times as many as the finders before in the warp found, and the state of this one's first tile
     */
    public static int count(
            int[] memory, int at, int tiles, int item, int items, int perHead, int firstHead, int heads, int query,
            int queries, int queryStep, int key, int keys, int keyStep) {
        int found = 0;
        if (Functions.leaveTilesOut()) {
            int finders = TornadoMath.min(FINDERS, items);
            int run = (tiles + finders - 1) / finders;
            int to = TornadoMath.min(tiles, item * run + run);
            int first = 0;
            float its = 0f;
            for (int t = item * run; t < to; t++) {
                int state = state(t, perHead, firstHead, heads, query, queries, queryStep, key, keys, keyStep);
                first = t == item * run ? state : first;
                its += TornadoMath.min(state, 1);
            }
            float before = 0f;
            for (int mask = 1; mask < WARP; mask *= 2) {
                float others = Warp.shuffleXor(its, mask);
                before += (item & mask) == 0 ? 0f : others;
                its += others;
            }
            if (item < finders && item % WARP == 0) {
                Warp.storeInt(memory, at + Integer.BYTES * (item / WARP), (int) its);
            }
            found = 4 * (int) before + first;
        }
        return found;
    }

    /**
     * Writes the list, behind the barrier after {@link #count}; another follows.
     *
     * @param found what {@link #count} gave
     * @return how many tiles are left
     */
    public static int list(
            int[] memory, int at, int tiles, int item, int items, int perHead, int firstHead, int heads, int query,
            int queries, int queryStep, int key, int keys, int keyStep, int found) {
        int left = tiles;
        if (Functions.leaveTilesOut()) {
            int finders = TornadoMath.min(FINDERS, items);
            int run = (tiles + finders - 1) / finders;
            int to = TornadoMath.min(tiles, item * run + run);
            int place = found >> 2;
            left = 0;
            for (int warp = 0; warp < finders / WARP; warp++) {
                int its = Warp.loadInt(memory, at + Integer.BYTES * warp);
                left += its;
                place += warp < item / WARP ? its : 0;
            }
            for (int t = item * run; t < to; t++) {
                int state = found & 3;
                if (t > item * run) {
                    state = state(t, perHead, firstHead, heads, query, queries, queryStep, key, keys, keyStep);
                }
                if (state > 0) {
                    Warp.storeInt(memory, at + Integer.BYTES * (TOTALS + place), 4 * t + state);
                }
                place += TornadoMath.min(state, 1);
            }
        }
        return left;
    }

    /** How many tiles a list has, which lies there. */
    public static int left(int[] memory, int at) {
        int left = 0;
        for (int warp = 0; warp < TOTALS; warp++) {
            left += Warp.loadInt(memory, at + Integer.BYTES * warp);
        }
        return left;
    }

    private static int state(
            int t, int perHead, int firstHead, int heads, int query, int queries, int queryStep, int key, int keys,
            int keyStep) {
        int batchHead = firstHead + t / perHead;
        int n = t % perHead;
        return Functions.stateOfTile(
                batchHead / heads, batchHead % heads, query + n * queryStep, queries, key + n * keyStep, keys);
    }

    // spotless:on

    /** The number of the tile that is step {@code t} of those that are left; past the last, that of the last. */
    public static int tile(int[] memory, int at, int t, int left) {
        int tile = t;
        if (Functions.leaveTilesOut()) {
            tile = entry(memory, at, TornadoMath.min(t, left - 1)) >> 2;
        }
        return tile;
    }

    /** From the tile of the step before to that of step {@code t}. */
    public static int distance(int[] memory, int at, int t, int left) {
        int distance = 1;
        if (Functions.leaveTilesOut()) {
            distance = tile(memory, at, t, left) - tile(memory, at, t - 1, left);
        }
        return distance;
    }

    /** 1 where nothing but a window hides keys in step {@code t}, else 0. */
    public static int isWhole(int[] memory, int at, int t) {
        int whole = 1;
        if (Functions.leaveTilesOut()) {
            whole = entry(memory, at, t) >> 1 & 1;
        } else if (Functions.hideKeys()) {
            whole = 0;
        }
        return whole;
    }

    private static int entry(int[] memory, int at, int t) {
        return Warp.loadInt(memory, at + Integer.BYTES * (TOTALS + t));
    }
}
