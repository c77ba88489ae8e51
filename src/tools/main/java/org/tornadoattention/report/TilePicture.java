package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.Mask;
import org.tornadoattention.plan.Tile;

/**
 * The tiles of the score matrix of one head: full ones, which no mask touches, partial ones, which the mask's edge crosses,
 * and skipped ones, which nobody sees and no kernel loads.
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
        return kind(
                row * tile.blockQ(),
                Math.min(seqQ, (row + 1) * tile.blockQ()),
                column * tile.blockK(),
                Math.min(seqK, (column + 1) * tile.blockK()));
    }

    /** Windows move to the right with the query, so the first and the last query of a block tell all. */
    private Kind kind(int firstQuery, int endQuery, int firstKey, int endKey) {
        int lastQuery = endQuery - 1;
        boolean seen = mask.endKey(lastQuery, seqQ, seqK) > firstKey && mask.firstKey(firstQuery, seqQ, seqK) < endKey;
        if (!seen) {
            return Kind.SKIPPED;
        }
        boolean whole =
                mask.firstKey(lastQuery, seqQ, seqK) <= firstKey && mask.endKey(firstQuery, seqQ, seqK) >= endKey;
        return whole ? Kind.FULL : Kind.PARTIAL;
    }

    /** How many tiles are of a kind. */
    public long count(Kind kind) {
        long count = 0;
        for (int row = 0; row < rows(); row++) {
            for (int column = 0; column < columns(); column++) {
                count += kind(row, column) == kind ? 1 : 0;
            }
        }
        return count;
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
                line.append(kind(
                                row * tile.blockQ(),
                                Math.min(seqQ, (row + scale[0]) * tile.blockQ()),
                                column * tile.blockK(),
                                Math.min(seqK, (column + scale[1]) * tile.blockK()))
                        .sign());
            }
            lines.add(line.toString());
        }
        return lines;
    }
}
