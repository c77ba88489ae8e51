package org.tornadoattention.vector;

import java.util.Arrays;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;

/**
 * The rows of a tile as lanes of panels: what each sees of the keys, and what its head adds to the score. Lanes behind
 * the last row see all keys and belong to nobody.
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
    private final int[] places;
    private final int[] someFrom;
    private final int[] someTo;
    private final int[] allFrom;
    private final int[] allTo;
    private final BlockSight blocks;
    private RowTile tile;
    private int width;
    private boolean full;

    TileRows(Sequences sequences, Mask mask, ScoreTerms terms, int lanes) {
        this.sequences = sequences;
        this.mask = mask.window();
        blocks = new BlockSight(sequences, mask.condition());
        this.terms = terms;
        first = new int[lanes];
        end = new int[lanes];
        from = new float[lanes];
        to = new float[lanes];
        slopes = new float[lanes];
        positions = new float[lanes];
        places = new int[lanes];
        someFrom = new int[lanes];
        someTo = new int[lanes];
        allFrom = new int[lanes];
        allTo = new int[lanes];
    }

    /** Takes a tile whose rows lie in panels of {@code panelWidth} lanes. */
    void set(RowTile newTile, int panelWidth) {
        tile = newTile;
        width = panelWidth;
        int queries = sequences.queries()[tile.sequence()];
        int keys = sequences.keys()[tile.sequence()];
        for (int row = 0; row < tile.rows(); row++) {
            int query = tile.query(row);
            first[row] = mask.firstKey(query, queries, keys);
            end[row] = Math.max(first[row], mask.endKey(query, queries, keys));
            slopes[row] = terms.slope(tile.head(row));
            places[row] = sequences.standing(tile.sequence(), query);
        }
        for (int panel = 0; panel < panels(); panel++) {
            setSight(panel);
        }
    }

    /** What no row of a panel sees, and what all of them see: most tiles are one or the other. */
    private void setSight(int panel) {
        int begin = panel * width;
        someFrom[panel] = Integer.MAX_VALUE;
        someTo[panel] = 0;
        allFrom[panel] = 0;
        allTo[panel] = Integer.MAX_VALUE;
        for (int row = begin; row < Math.min(tile.rows(), begin + width); row++) {
            if (end[row] > first[row]) {
                someFrom[panel] = Math.min(someFrom[panel], first[row]);
                someTo[panel] = Math.max(someTo[panel], end[row]);
            }
            allFrom[panel] = Math.max(allFrom[panel], first[row]);
            allTo[panel] = Math.min(allTo[panel], end[row]);
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
        return Arrays.stream(someFrom, 0, panels()).min().orElse(Integer.MAX_VALUE);
    }

    /** One past the last key that a row sees. */
    int endKey() {
        return Arrays.stream(someTo, 0, panels()).max().orElse(0);
    }

    /**
     * Looks at keys {@code key} to {@code key + keys - 1}: afterwards, unless they are seen by nobody, {@link #from}
     * and the others hold for them.
     */
    Sight look(int panel, int key, int keys) {
        if (key >= someTo[panel] || key + keys <= someFrom[panel]) {
            return Sight.NOTHING;
        }
        int begin = panel * width;
        int last = Math.min(tile.rows(), begin + width);
        int state = blocks.state(tile, begin, last, key, keys);
        if (state == BlockMask.EMPTY) {
            return Sight.NOTHING;
        }
        full = state == BlockMask.FULL;
        Arrays.fill(from, begin, begin + width, 0);
        Arrays.fill(to, begin, begin + width, keys);
        boolean all = key >= allFrom[panel] && key + keys <= allTo[panel];
        for (int row = begin; row < last && !all; row++) {
            from[row] = Math.clamp((long) first[row] - key, 0, keys);
            to[row] = Math.clamp((long) end[row] - key, 0, keys);
        }
        for (int row = begin; row < last && terms.hasPositions(); row++) {
            positions[row] = (long) places[row] - key;
        }
        return all ? Sight.ALL : Sight.SOME;
    }

    /** Whether the mask's condition shows all of what was looked at, and need not be asked. */
    boolean isFull() {
        return full;
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
