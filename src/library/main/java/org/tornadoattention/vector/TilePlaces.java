package org.tornadoattention.vector;

/**
 * Where the keys, or the values, of some tiles lie that are taken together, in the order in which {@link Streams} read
 * a tile: by groups, whose rows come each from another quarter of all rows.
 */
final class TilePlaces {

    /** Rows of a group. */
    static final int GROUP = 4;

    private static final int NONE = -1;

    private final long[] given = new long[FewRows.TILES * ForwardTile.KEYS];
    private final long[] order = new long[ForwardTile.KEYS];
    private StoredRows rows;
    private int tiles;
    private int count;
    /** The first byte, and bytes from a row to the next, of rows at equal distances; 0 where they lie anyhow. */
    private long first;

    private long step;
    /** The tile that {@link #order} is of, unless rows lie at equal distances: it is the same for all then. */
    private int ordered;

    private boolean sideBySide;

    /** Bytes of all arrays. */
    long bytes() {
        return Long.BYTES * ((long) given.length + order.length);
    }

    /**
     * Finds rows.
     *
     * @param source has them in {@code rows}
     * @param row the first
     * @param tiles that are taken together
     * @param count rows of each, a multiple of four unless there is only one tile
     */
    void find(RowSource source, StoredRows rows, int sequence, int head, int row, int tiles, int count) {
        long distance = rows.stride() * rows.dtype().byteSize();
        if (source.lieEvenly(sequence, head, row, tiles * count)) {
            source.places(sequence, head, row, 1, given);
            boolean known = step == distance && this.tiles == tiles && this.count == count && this.rows == rows;
            take(rows, tiles, count);
            first = given[0];
            step = distance;
            if (!known) {
                orderAll();
            }
        } else {
            source.places(sequence, head, row, tiles * count, given);
            take(rows, tiles, count);
        }
    }

    /** Takes the byte that each row of all tiles begins with, in the order of the rows. */
    void set(StoredRows rows, long[] places, int tiles, int count) {
        System.arraycopy(places, 0, given, 0, tiles * count);
        take(rows, tiles, count);
    }

    private void take(StoredRows newRows, int newTiles, int newCount) {
        rows = newRows;
        tiles = newTiles;
        count = newCount;
        first = 0;
        step = 0;
        ordered = NONE;
    }

    /** Of a tile whose first row begins at 0. */
    private void orderAll() {
        int groups = groups();
        int last = tiles * count - 1;
        for (int i = 0; i < GROUP * groups; i++) {
            order[i] = step * Math.min(i % GROUP * tiles * groups + i / GROUP, last);
        }
        // Those behind the last row lie where it does.
        sideBySide = groups == 1 || step == width() && count % GROUP == 0;
    }

    /** Makes {@link #order} that of a tile; those behind the last row are the last once more. */
    void turnTo(int tile) {
        if (step != 0 || ordered == tile) {
            return;
        }
        int groups = groups();
        int last = tiles * count - 1;
        for (int quarter = 0; quarter < GROUP; quarter++) {
            int from = (quarter * tiles + tile) * groups;
            for (int group = 0; group < groups; group++) {
                order[GROUP * group + quarter] = given[Math.min(from + group, last)];
            }
        }
        ordered = tile;
        boolean inRows = true;
        for (int i = GROUP; i < GROUP * groups; i++) {
            inRows &= order[i] == order[i - GROUP] + width();
        }
        sideBySide = inRows;
    }

    /** Bytes of a row. */
    private long width() {
        return (long) rows.width() * rows.dtype().byteSize();
    }

    /** Where the rows of the tile that was turned to begin, counted from {@link #base}. */
    long[] order() {
        return order;
    }

    long base(int tile) {
        return first + step * tile * groups();
    }

    /** Whether each quarter of that tile lies side by side. */
    boolean areSideBySide() {
        return sideBySide;
    }

    StoredRows rows() {
        return rows;
    }

    int tiles() {
        return tiles;
    }

    /** Rows of a tile. */
    int count() {
        return count;
    }

    /** Groups of a tile. */
    int groups() {
        return Math.ceilDiv(count, GROUP);
    }
}
