package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The keys that queries see. A mask is an interval of keys: {@code windowLeft} keys to the left of a query's own
 * position and {@code windowRight} to the right, each −1 for all; {@code windowRight = 0} is causal. Query i of seqQ
 * stands at key position {@code i + length - seqQ} (bottom-right alignment).
 */
public final class Window {

    private Window() {}

    /** Elements of {@code keyLengths} that hold lengths: at least one, since there are no empty arrays on a device. */
    public static int lengths(int batch, int features) {
        return (features & Features.KEY_LENGTHS) != 0 ? batch : 1;
    }

    /** Keys of a batch entry, which the first elements of {@code keyLengths} hold if they differ. */
    public static int length(IntArray keyLengths, int batch, int seqK, int features) {
        int length = seqK;
        if ((features & Features.KEY_LENGTHS) != 0) {
            length = keyLengths.get(batch);
        }
        return length;
    }

    /**
     * The first key that the query at a position sees; of a tile's first query, the first that any of its queries sees.
     */
    public static int firstKey(int position, int windowLeft) {
        int first = 0;
        if (windowLeft >= 0) {
            first = TornadoMath.max(0, position - windowLeft);
        }
        return first;
    }

    /**
     * The last key that the query at a position sees; of a tile's last query, the last that any of its queries sees.
     */
    public static int lastKey(int position, int length, int windowRight) {
        int last = length - 1;
        if (windowRight >= 0) {
            last = TornadoMath.min(last, position + windowRight);
        }
        return last;
    }

    /** {@link #firstKey} among the keys of a tile that begins at {@code j0}. */
    public static int firstInTile(int position, int j0, int windowLeft) {
        int first = 0;
        if (windowLeft >= 0) {
            first = TornadoMath.max(0, position - windowLeft - j0);
        }
        return first;
    }

    /** {@link #lastKey} among the keys of a tile that begins at {@code j0} and has {@code keys} of them. */
    public static int lastInTile(int position, int j0, int keys, int windowRight) {
        int last = keys - 1;
        if (windowRight >= 0) {
            last = TornadoMath.min(last, position + windowRight - j0);
        }
        return last;
    }

    /** The first key that all queries of a tile see, of the position of its last one. May be negative. */
    public static int everyLeft(int lastPosition, int windowLeft) {
        int first = 0;
        if (windowLeft >= 0) {
            first = lastPosition - windowLeft;
        }
        return first;
    }

    /** The last key that all queries of a tile see, of the position of its first one. */
    public static int everyRight(int firstPosition, int length, int windowRight) {
        return lastKey(firstPosition, length, windowRight);
    }

    /**
     * Tiles of {@code block} keys from {@code j0}, the first key of one, to {@code lastKey}; 0 where no key is seen.
     */
    public static int tiles(int firstKey, int lastKey, int j0, int block) {
        return lastKey < firstKey ? 0 : (lastKey - j0) / block + 1;
    }

    /** Of {@code tiles} tiles from {@code j0} on, the first that holds a key which the query at a position sees. */
    public static int firstTile(int position, int j0, int tiles, int block, int windowLeft) {
        int first = 0;
        if (windowLeft >= 0) {
            first = TornadoMath.min(tiles, TornadoMath.max(0, position - windowLeft - j0) / block);
        }
        return first;
    }

    /** Likewise, the tile after the last one. */
    public static int endTile(int position, int j0, int tiles, int block, int windowRight) {
        int end = tiles;
        if (windowRight >= 0) {
            int last = position + windowRight - j0;
            end = last < 0 ? 0 : TornadoMath.min(end, last / block + 1);
        }
        return end;
    }

    /**
     * 0 or more where key j is one of those from {@code firstKey} to {@code lastKey}: one number in place of conditions
     * that a compiler would join. Differences from j, not to it: with a first key of 0 the latter is −j, and of the
     * largest of −j and two others NVIDIA's assembler made j on an H200.
     */
    public static int inside(int j, int firstKey, int lastKey) {
        return TornadoMath.min(j - firstKey, lastKey - j);
    }

    /** Above 0 where some query of a tile does not see some of the {@code block} keys from {@code j} on. */
    public static int outside(int j, int block, int everyLeft, int everyRight) {
        return TornadoMath.max(everyLeft - j, j + block - 1 - everyRight);
    }

    /** Whether the query at a position sees no key at all. */
    public static boolean isFullyMasked(int position, int length, int windowLeft, int windowRight) {
        int left = windowLeft < 0 ? 0 : TornadoMath.max(0, position - windowLeft);
        int right = windowRight < 0 ? length - 1 : TornadoMath.min(length - 1, position + windowRight);
        return right < left;
    }

    /** The first query that sees a key, of a tile of keys its first. */
    public static int firstQuery(int key, int offset, int windowRight) {
        int first = 0;
        if (windowRight >= 0) {
            first = TornadoMath.max(0, key - windowRight - offset);
        }
        return first;
    }

    /**
     * The last query that sees a key, of a tile of keys its last; −1 where {@code firstOfTile} is past the last key.
     */
    public static int lastQuery(int key, int firstOfTile, int offset, int seqQ, int length, int windowLeft) {
        int last = seqQ - 1;
        if (windowLeft >= 0) {
            last = TornadoMath.min(last, key + windowLeft - offset);
        }
        if (firstOfTile >= length) {
            last = -1;
        }
        return last;
    }

    /** The first query that sees all keys of a tile, of the tile's last key. May be negative. */
    public static int everyFirst(int lastKey, int offset, int windowRight) {
        int first = 0;
        if (windowRight >= 0) {
            first = lastKey - windowRight - offset;
        }
        return first;
    }

    /** The last query that sees all keys of a tile, of the tile's first key: there are none past the last. */
    public static int everyLast(int firstKey, int offset, int seqQ, int windowLeft) {
        int last = seqQ - 1;
        if (windowLeft >= 0) {
            last = TornadoMath.min(last, firstKey + windowLeft - offset);
        }
        return last;
    }
}
