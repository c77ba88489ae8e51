package org.tornadoattention.vector;

import org.tornadoattention.Mask;

/**
 * The rows of a tile as lanes of panels: what each sees of the keys, and what its head adds to the score. Lanes behind the
 * last row see all keys and belong to nobody.
 */
final class TileRows {

    /** What the rows of a panel see of a tile of keys. */
    enum Sight {
        NOTHING,
        SOME,
        ALL
    }

    private final Sequences sequences;
    private final Mask mask;
    private final ScoreTerms terms;
    private final int[] first;
    private final int[] end;
    private final float[] from;
    private final float[] to;
    private final float[] slopes;
    private final float[] positions;
    private RowTile tile;
    private int width;

    TileRows(Sequences sequences, Mask mask, ScoreTerms terms, int lanes) {
        this.sequences = sequences;
        this.mask = mask;
        this.terms = terms;
        first = new int[lanes];
        end = new int[lanes];
        from = new float[lanes];
        to = new float[lanes];
        slopes = new float[lanes];
        positions = new float[lanes];
    }

    /** Takes a tile whose rows lie in panels of {@code panelWidth} lanes. */
    void set(RowTile newTile, int panelWidth) {
        tile = newTile;
        width = panelWidth;
        int queries = sequences.queries()[tile.sequence()];
        int keys = sequences.keys()[tile.sequence()];
        for (int row = 0; row < tile.rows(); row++) {
            first[row] = mask.firstKey(tile.query(row), queries, keys);
            end[row] = Math.max(first[row], mask.endKey(tile.query(row), queries, keys));
            slopes[row] = terms.slope(tile.head(row));
        }
    }

    RowTile tile() {
        return tile;
    }

    int width() {
        return width;
    }

    int panels() {
        return Math.ceilDiv(tile.rows(), width);
    }

    /** The first key that a row sees, or a larger number than {@link #endKey} where none sees any. */
    int firstKey() {
        int least = Integer.MAX_VALUE;
        for (int row = 0; row < tile.rows(); row++) {
            least = end[row] > first[row] ? Math.min(least, first[row]) : least;
        }
        return least;
    }

    /** One past the last key that a row sees. */
    int endKey() {
        int most = 0;
        for (int row = 0; row < tile.rows(); row++) {
            most = end[row] > first[row] ? Math.max(most, end[row]) : most;
        }
        return most;
    }

    /** Looks at keys {@code key} to {@code key + keys - 1}: afterwards {@link #from} and the others hold for them. */
    Sight look(int panel, int key, int keys) {
        boolean some = false;
        boolean all = true;
        int begin = panel * width;
        int last = Math.min(tile.rows(), begin + width);
        for (int row = begin; row < last; row++) {
            int seenFrom = Math.clamp((long) first[row] - key, 0, keys);
            int seenTo = Math.clamp((long) end[row] - key, 0, keys);
            from[row] = seenFrom;
            to[row] = seenTo;
            some |= seenFrom < seenTo;
            all &= seenFrom == 0 && seenTo == keys;
        }
        for (int lane = last; lane < begin + width; lane++) {
            from[lane] = 0;
            to[lane] = keys;
        }
        place(begin, last, key);
        return all ? Sight.ALL : some ? Sight.SOME : Sight.NOTHING;
    }

    private void place(int begin, int last, int key) {
        int queries = sequences.queries()[tile.sequence()];
        int keys = sequences.keys()[tile.sequence()];
        for (int row = begin; row < last; row++) {
            positions[row] = (long) tile.query(row) + keys - queries - key;
        }
    }

    /** The first key that each lane sees, counted from the one that was looked at. */
    float[] from() {
        return from;
    }

    /** One past the last key that each lane sees, likewise. */
    float[] to() {
        return to;
    }

    /** ALiBi slopes of the lanes. */
    float[] slopes() {
        return slopes;
    }

    /** The lanes' own positions among the keys, counted from the one that was looked at. */
    float[] positions() {
        return positions;
    }
}
