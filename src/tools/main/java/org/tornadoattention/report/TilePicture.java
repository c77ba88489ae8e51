package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.Tile;

/**
 * The tiles of the score matrix of one head: full ones, which no mask touches, partial ones, which the mask's edge
 * crosses, and skipped ones, which nobody sees and no kernel loads.
 *
 * @param seqQ queries
 * @param seqK keys
 * @param tile queries and keys of a tile
 * @param mask which keys a query sees
 */
public record TilePicture(int seqQ, int seqK, Tile tile, Mask mask) {

    private static final int MOST_ROWS = 24;
    private static final int MOST_COLUMNS = 64;

    /** What becomes of a tile. */
    public enum Kind {
        /** Every query of it sees every key. */
        FULL('█'),
        /** Some see some. */
        PARTIAL('▒'),
        /** None sees any. */
        SKIPPED('·');

        private final char sign;

        Kind(char sign) {
            this.sign = sign;
        }

        /** How it is drawn. */
        public char sign() {
            return sign;
        }
    }

    /** Rows of tiles, Tr. */
    public int rows() {
        return Math.ceilDiv(seqQ, tile.blockQ());
    }

    /** Columns of tiles, Tc. */
    public int columns() {
        return Math.ceilDiv(seqK, tile.blockK());
    }

    /** What becomes of the tile in a row and a column. */
    public Kind kind(int row, int column) {
        return kind(row, column, 1, 1);
    }

    /**
     * Of several rows and columns together. Windows move to the right with the query: the first and the last one tell
     * all.
     */
    private Kind kind(int row, int column, int rows, int columns) {
        int firstQuery = row * tile.blockQ();
        int lastQuery = end(row + rows - 1, tile.blockQ(), seqQ) - 1;
        int firstKey = column * tile.blockK();
        int endKey = end(column + columns - 1, tile.blockK(), seqK);
        boolean seen = mask.endKey(lastQuery, seqQ, seqK) > firstKey && mask.firstKey(firstQuery, seqQ, seqK) < endKey;
        if (!seen) {
            return Kind.SKIPPED;
        }
        if (mask.condition().isPresent()) {
            return asked(firstQuery, lastQuery, firstKey, endKey);
        }
        boolean whole =
                mask.firstKey(lastQuery, seqQ, seqK) <= firstKey && mask.endKey(firstQuery, seqQ, seqK) >= endKey;
        return whole ? Kind.FULL : Kind.PARTIAL;
    }

    /** What a mask's condition says of each pair, for the first batch entry and head. */
    private Kind asked(int firstQuery, int lastQuery, int firstKey, int endKey) {
        long seen = 0;
        for (int query = firstQuery; query <= lastQuery; query++) {
            int first = Math.max(firstKey, mask.firstKey(query, seqQ, seqK));
            int end = Math.min(endKey, mask.endKey(query, seqQ, seqK));
            for (int key = first; key < end; key++) {
                seen += mask.condition().orElseThrow().sees(0, 0, query, key, query + seqK - seqQ) ? 1 : 0;
            }
        }
        long pairs = (lastQuery + 1L - firstQuery) * (endKey - firstKey);
        return seen == 0 ? Kind.SKIPPED : seen == pairs ? Kind.FULL : Kind.PARTIAL;
    }

    /** Where a tile ends: at its size, or with the sequence. */
    private static int end(int index, int size, int length) {
        return (int) Math.min(length, (index + 1L) * size);
    }

    /** How many tiles are of a kind. */
    public long count(Kind kind) {
        if (mask.condition().isPresent()) {
            return IntStream.range(0, rows())
                    .parallel()
                    .mapToLong(row -> IntStream.range(0, columns())
                            .filter(column -> kind(row, column) == kind)
                            .count())
                    .sum();
        }
        long seen = 0;
        long full = 0;
        for (int row = 0; row < rows(); row++) {
            seen += seenColumns(row);
            full += fullColumns(row);
        }
        return switch (kind) {
            case FULL -> full;
            case PARTIAL -> seen - full;
            case SKIPPED -> (long) rows() * columns() - seen;
        };
    }

    /**
     * From the tile of the first key that the row's first query sees to that of the last one that its last query sees.
     */
    private int seenColumns(int row) {
        int firstKey = mask.firstKey(row * tile.blockQ(), seqQ, seqK);
        int endKey = mask.endKey(end(row, tile.blockQ(), seqQ) - 1, seqQ, seqK);
        return firstKey == seqK ? 0 : Math.max(0, Math.ceilDiv(endKey, tile.blockK()) - firstKey / tile.blockK());
    }

    /** Those that begin no earlier than the last query's window and end no later than the first one's. */
    private int fullColumns(int row) {
        int firstKey = mask.firstKey(end(row, tile.blockQ(), seqQ) - 1, seqQ, seqK);
        int endKey = mask.endKey(row * tile.blockQ(), seqQ, seqK);
        int endColumn = endKey == seqK ? columns() : endKey / tile.blockK();
        return Math.max(0, endColumn - Math.ceilDiv(firstKey, tile.blockK()));
    }

    /** Tiles that one sign of the picture stands for: rows and columns. */
    public int[] tilesPerSign() {
        return new int[] {Math.ceilDiv(rows(), MOST_ROWS), Math.ceilDiv(columns(), MOST_COLUMNS)};
    }

    /** The picture, a line a row of tiles, or of several where there are too many. */
    public List<String> lines() {
        int[] scale = tilesPerSign();
        List<String> lines = new ArrayList<>();
        for (int row = 0; row < rows(); row += scale[0]) {
            StringBuilder line = new StringBuilder();
            for (int column = 0; column < columns(); column += scale[1]) {
                line.append(kind(row, column, scale[0], scale[1]).sign());
            }
            lines.add(line.toString());
        }
        return lines;
    }
}
