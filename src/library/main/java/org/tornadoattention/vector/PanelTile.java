package org.tornadoattention.vector;

import java.util.Arrays;

/**
 * Rows of keys, values, queries or gradients in F32 as {@link Lanes#product} is fastest with: tiles of {@link #ROWS}
 * rows, and of each tile a panel for every {@link Lanes#PANEL} columns, in which rows are as many elements apart.
 */
final class PanelTile {

    /** Rows of a tile. */
    static final int ROWS = 64;

    private static final int SIZE = ROWS * Lanes.PANEL;

    private final Lanes lanes;
    private final int padded;
    private final int panels;
    private final float[] values;
    private final float[] room;
    private final short[] bits;
    private final float[] ones = new float[ROWS];

    /**
     * Room for tiles.
     *
     * @param columns of a row; those that a source does not have become 0
     */
    PanelTile(Lanes lanes, int columns, int tiles) {
        this.lanes = lanes;
        padded = Products.padded(columns, lanes.length());
        panels = Math.ceilDiv(padded, Lanes.PANEL);
        values = new float[Math.multiplyExact(tiles, panels * SIZE)];
        room = new float[padded == Lanes.PANEL ? 0 : ROWS * padded];
        bits = new short[ROWS * columns];
        Arrays.fill(ones, 1);
    }

    long bytes() {
        return Float.BYTES * ((long) values.length + room.length + ones.length) + Short.BYTES * (long) bits.length;
    }

    /** Brings {@code count} rows of a source into a tile. */
    void read(int tile, RowSource source, int sequence, int head, int row, int count) {
        if (room.length == 0) {
            source.read(sequence, head, row, count, values, at(tile, 0), padded, bits, lanes);
            return;
        }
        source.read(sequence, head, row, count, room, 0, padded, bits, lanes);
        for (int panel = 0; panel < panels; panel++) {
            for (int i = 0; i < count; i++) {
                int from = i * padded + panel * Lanes.PANEL;
                System.arraycopy(room, from, values, at(tile, panel) + i * Lanes.PANEL, columns(panel));
            }
        }
    }

    private int at(int tile, int panel) {
        return (tile * panels + panel) * SIZE;
    }

    private int columns(int panel) {
        return Math.min(Lanes.PANEL, padded - panel * Lanes.PANEL);
    }

    /** Whether the first {@code count} rows of a tile have no infinity and no NaN. */
    boolean isFinite(int tile, int count) {
        boolean finite = true;
        for (int panel = 0; finite && panel < panels; panel++) {
            finite = lanes.areFinite(values, at(tile, panel), count * Lanes.PANEL);
        }
        return finite;
    }

    /**
     * {@code c[i][·] = Σ_d tile(i, d) · b[d][·]}.
     *
     * @param rows of the tile, a multiple of {@link Lanes#ROWS}
     * @param depth columns of the tile that are summed over
     * @param width elements of a row of b and c
     */
    void times(int tile, int rows, int depth, float[] b, int bAt, int width, float[] c) {
        for (int done = 0; done < depth; done += Lanes.PANEL) {
            float[] before = done == 0 ? null : ones;
            int from = at(tile, done / Lanes.PANEL);
            int next = bAt + done * width;
            int together = Math.min(Lanes.PANEL, depth - done);
            lanes.product(values, from, Lanes.PANEL, 1, b, next, width, c, 0, width, rows, width, together, before, 0);
        }
    }

    /**
     * {@code c[i][·] = factors[i] · c[i][·] + Σ_k a(i, k) · tile[k][·]}.
     *
     * @param free whether every row of a may meet all of the tile: it is finite, or all of it is seen
     * @param aRow elements from one i to the next, or 1
     * @param aStep elements from one k to the next, which must be 1 unless aRow is
     * @param cRow elements from one i to the next
     * @param depth rows of the tile that are summed over
     */
    void addTo(
            float[] c,
            int cAt,
            int cRow,
            float[] factors,
            int factorsAt,
            float[] a,
            int aRow,
            int aStep,
            int rows,
            int tile,
            int depth,
            boolean free) {
        for (int panel = 0; panel < panels; panel++) {
            int to = cAt + panel * Lanes.PANEL;
            Products.add(
                    lanes,
                    free,
                    a,
                    0,
                    aRow,
                    aStep,
                    values,
                    at(tile, panel),
                    Lanes.PANEL,
                    c,
                    to,
                    cRow,
                    rows,
                    columns(panel),
                    depth,
                    factors,
                    factorsAt);
        }
    }
}
