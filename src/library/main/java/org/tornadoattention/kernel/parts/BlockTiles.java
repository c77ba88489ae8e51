package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Which tiles of the score matrix a block mask leaves: an array of six numbers, batch entries, heads, tiles of queries,
 * tiles of keys, queries of a tile and keys of a tile, and then a state for each tile, {@code [batch, heads, tiles of
 * queries, tiles of keys]}: 0 empty, 1 partial, 2 full. Where there is one batch entry or head, it stands for all.
 */
public final class BlockTiles {

    /** Numbers before the states. */
    public static final int HEADER = 6;

    /** The state of a tile that is never seen. */
    public static final int EMPTY = 0;

    /** The state of a tile in which some pairs are seen. */
    public static final int PARTIAL = 1;

    /** The state of a tile in which all pairs are seen. */
    public static final int FULL = 2;

    private BlockTiles() {}

    private static int first(IntArray tiles, int batch, int head) {
        int entry = tiles.get(0) == 1 ? 0 : batch;
        int ofHead = tiles.get(1) == 1 ? 0 : head;
        return HEADER + (entry * tiles.get(1) + ofHead) * tiles.get(2) * tiles.get(3);
    }

    /** The state of the tile of a pair. */
    public static int state(IntArray tiles, int batch, int head, int query, int key) {
        return tiles.get(first(tiles, batch, head) + query / tiles.get(4) * tiles.get(3) + key / tiles.get(5));
    }

    /** Above 0 where a rectangle of {@code queries} by {@code keys} has a tile in it that is not empty. */
    private static int seen(IntArray tiles, int batch, int head, int query, int queries, int key, int keys) {
        int first = first(tiles, batch, head);
        int lastRow = TornadoMath.min((query + queries - 1) / tiles.get(4), tiles.get(2) - 1);
        int lastColumn = TornadoMath.min((key + keys - 1) / tiles.get(5), tiles.get(3) - 1);
        int seen = 0;
        for (int row = query / tiles.get(4); row <= lastRow; row++) {
            for (int column = key / tiles.get(5); column <= lastColumn; column++) {
                seen = TornadoMath.max(seen, tiles.get(first + row * tiles.get(3) + column));
            }
        }
        return seen;
    }

    /**
     * The state of a rectangle: empty or full where all tiles that it has a part of are, else partial. The numbers
     * before the states are given.
     */
    public static int state(
            IntArray tiles,
            int batch,
            int head,
            int query,
            int queries,
            int key,
            int keys,
            int entries,
            int heads,
            int rows,
            int columns,
            int blockQ,
            int blockK) {
        int entry = entries == 1 ? 0 : batch;
        int ofHead = heads == 1 ? 0 : head;
        int first = HEADER + (entry * heads + ofHead) * rows * columns;
        int lastRow = TornadoMath.min((query + queries - 1) / blockQ, rows - 1);
        int lastColumn = TornadoMath.min((key + keys - 1) / blockK, columns - 1);
        int least = FULL;
        int most = EMPTY;
        for (int row = query / blockQ; row <= lastRow; row++) {
            for (int column = key / blockK; column <= lastColumn; column++) {
                int state = tiles.get(first + row * columns + column);
                least = TornadoMath.min(least, state);
                most = TornadoMath.max(most, state);
            }
        }
        return TornadoMath.max(least, TornadoMath.min(most, PARTIAL));
    }

    /**
     * The first key from {@code key} on, in steps of {@code step}, at which so many keys are not all hidden from the
     * queries.
     */
    public static int nextKey(
            IntArray tiles, int key, int step, int batch, int head, int query, int queries, int lastKey) {
        int next = key;
        while (next <= lastKey && seen(tiles, batch, head, query, queries, next, step) == 0) {
            next += step;
        }
        return next;
    }

    /** Likewise, the first query at which so many queries do not all miss the keys. */
    public static int nextQuery(
            IntArray tiles, int query, int step, int batch, int head, int key, int keys, int lastQuery) {
        int next = query;
        while (next <= lastQuery && seen(tiles, batch, head, next, step, key, keys) == 0) {
            next += step;
        }
        return next;
    }
}
