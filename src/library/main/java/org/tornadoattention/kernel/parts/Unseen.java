package org.tornadoattention.kernel.parts;

/**
 * Pairs of a query and a key that the mask hides, in tiles whose products go over them all the same. What is not finite
 * must not reach a row that does not see it, and 0 times it is NaN: so their P is marked, and products leave out what
 * is marked. A tile that all of its rows see has no such pairs, and is multiplied without a question.
 */
public final class Unseen {

    /** The P of a pair that the mask hides; no other is below 0. */
    public static final float P = -1f;

    private Unseen() {}

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
}
