package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * Pairs of a query and a key that the mask hides, in tiles whose products go over them all the same. What is not finite
 * must not reach a row that does not see it, and 0 times it is NaN: so products leave such pairs out. A window's
 * interval of keys says where they are: the eight rows of a work-item differ in a few keys at either end, for which
 * each row is asked; those between are multiplied without a question, and those outside not at all. What a function
 * hides may be anywhere: there the P of a hidden pair is marked, and so it is where a mark costs nothing.
 */
public final class Unseen {

    /** The P of a hidden pair that is marked; no other is below 0. */
    public static final float P = -1f;

    private Unseen() {}

    /** Whether a function hides pairs, which compilers know: without one no question about it is left in a kernel. */
    public static boolean areHiddenByFunction() {
        return Functions.weight(1f, Score.NO_SCORE) == 0f;
    }

    /**
     * Above 0 where the window hides some of the {@code block} keys from {@code first} on from some query of a tile.
     */
    public static int inTile(int first, int block, int everyLeft, int everyRight, int windowLeft, int windowRight) {
        int outside = 0;
        if (windowLeft >= 0 || windowRight >= 0) {
            outside = Window.outside(first, block, everyLeft, everyRight);
        }
        return outside;
    }

    /**
     * Of the keys of a tile, the first that any of eight rows sees, of the first row's position. From here to
     * {@link #everyFrom} and from {@link #everyEnd} to {@link #end} some rows see a key and others do not; between,
     * every row does. For eight keys and the queries of a tile, a key's position is that of the query at its place, and
     * the sides of the window change places.
     */
    public static int from(int firstPosition, int j0, int windowLeft) {
        return Window.firstInTile(firstPosition, j0, windowLeft);
    }

    /**
     * Behind the last key that any of the rows sees, of the last row's position; where nothing is hidden, the tile's
     * end.
     */
    public static int end(int lastPosition, int j0, int block, int keys, int windowLeft, int windowRight) {
        int end = block;
        if (windowLeft >= 0 || windowRight >= 0 || areHiddenByFunction()) {
            end = Window.lastInTile(lastPosition, j0, keys, windowRight) + 1;
        }
        return end;
    }

    /** The first key that every row sees, of the last row's position, or {@code end}: a function may hide any pair. */
    public static int everyFrom(int lastPosition, int j0, int end, int windowLeft) {
        int from = 0;
        if (windowLeft >= 0) {
            from = TornadoMath.min(end, Window.firstInTile(lastPosition, j0, windowLeft));
        }
        if (areHiddenByFunction()) {
            from = end;
        }
        return from;
    }

    /** Behind the last key that every row sees, of the first row's position. */
    public static int everyEnd(int firstPosition, int j0, int everyFrom, int end, int windowRight) {
        int everyEnd = end;
        if (windowRight >= 0) {
            everyEnd = TornadoMath.max(everyFrom, TornadoMath.min(end, firstPosition + windowRight - j0 + 1));
        }
        return everyEnd;
    }
}
