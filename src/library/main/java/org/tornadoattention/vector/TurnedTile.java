package org.tornadoattention.vector;

import java.util.Arrays;

/** Rows of a tile as lanes of panels: for each panel a row of lanes for each dimension. */
final class TurnedTile {

    /** Rows that are turned at a time. */
    private static final int ROWS = 64;

    private final Lanes lanes;
    private final int dims;
    private final float[] room;
    private final short[] bits;

    /** @param dims of a panel; those that a row does not have become 0 */
    TurnedTile(Lanes lanes, int dims) {
        this.lanes = lanes;
        this.dims = dims;
        room = new float[ROWS * dims];
        bits = new short[ROWS * dims];
    }

    long bytes() {
        return (Float.BYTES + Short.BYTES) * (long) room.length;
    }

    /**
     * Brings the rows of a tile, times {@code factor}; lanes behind the last are 0.
     *
     * @param width lanes of a panel
     */
    void load(RowSource source, RowTile tile, int width, float factor, float[] target) {
        int together = Math.min(width, ROWS);
        int panels = Math.ceilDiv(tile.rows(), width);
        Arrays.fill(target, tile.rows() / width * width * dims, panels * width * dims, 0);
        for (int row = 0; row < tile.rows(); ) {
            // Those of one head lie side by side.
            int count = Math.min(together - row % together, tile.queries() - row % tile.queries());
            source.read(tile.sequence(), tile.head(row), tile.query(row), count, room, 0, dims, bits, lanes);
            lanes.turn(room, dims, count, target, row / width * width * dims + row % width, width, dims, factor);
            row += count;
        }
    }
}
