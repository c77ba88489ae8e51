package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
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

    /** Pairs that a mask's condition is asked about at most: those of 65,536 tokens, some ten seconds of two cores. */
    private static final long MOST_ASKED = 1L << 32;

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

    /** What a mask's condition says of the pairs, for the first batch entry and head, until it has said both. */
    private Kind asked(int firstQuery, int lastQuery, int firstKey, int endKey) {
        boolean seen = false;
        boolean hidden = false;
        for (int query = firstQuery; query <= lastQuery && !(seen && hidden); query++) {
            int first = Math.max(firstKey, mask.firstKey(query, seqQ, seqK));
            int end = Math.min(endKey, mask.endKey(query, seqQ, seqK));
            hidden |= first > firstKey || end < endKey;
            for (int key = first; key < end && !(seen && hidden); key++) {
                boolean sees = mask.condition().orElseThrow().sees(0, 0, query, key, query + seqK - seqQ);
                seen |= sees;
                hidden |= !sees;
            }
        }
        return !seen ? Kind.SKIPPED : hidden ? Kind.PARTIAL : Kind.FULL;
    }

    /** Where a tile ends: at its size, or with the sequence. */
    private static int end(int index, int size, int length) {
        return (int) Math.min(length, (index + 1L) * size);
    }

    /**
     * How many tiles are of each kind, and the picture, a line a row of tiles, or of several where there are too many.
     */
    public record Drawing(Map<Kind, Long> counts, List<String> lines) {}

    /**
     * Counts and draws. Tiles of a window are not looked at one by one, and a mask's condition is asked once at most
     * about each pair.
     *
     * @throws IllegalArgumentException if the condition would be asked about too many pairs
     */
    public Drawing drawn() {
        return mask.condition().isPresent() ? askedAboutPairs() : countedByRows();
    }

    private Drawing askedAboutPairs() {
        long pairs = mask.visiblePairs(seqQ, seqK);
        if (pairs > MOST_ASKED) {
            throw new IllegalArgumentException(
                    "The mask has to be asked about each of %,d pairs of a query and a key, and %,d take some ten seconds: explain it at a shorter length, as of 65,536 tokens, or without what a function hides."
                            .formatted(pairs, MOST_ASKED));
        }
        Kind[][] kinds = IntStream.range(0, rows())
                .parallel()
                .mapToObj(row -> IntStream.range(0, columns())
                        .mapToObj(column -> kind(row, column))
                        .toArray(Kind[]::new))
                .toArray(Kind[][]::new);
        Map<Kind, Long> counts = new EnumMap<>(Kind.class);
        for (Kind kind : Kind.values()) {
            counts.put(kind, 0L);
        }
        for (Kind[] row : kinds) {
            for (Kind kind : row) {
                counts.merge(kind, 1L, Long::sum);
            }
        }
        return new Drawing(Collections.unmodifiableMap(counts), lines((row, column, rows, columns) -> {
            Set<Kind> found = EnumSet.noneOf(Kind.class);
            for (Kind[] kindsOfRow : Arrays.copyOfRange(kinds, row, row + rows)) {
                found.addAll(Arrays.asList(kindsOfRow).subList(column, column + columns));
            }
            return found.size() == 1 ? found.iterator().next() : Kind.PARTIAL;
        }));
    }

    private Drawing countedByRows() {
        long seen = 0;
        long full = 0;
        for (int row = 0; row < rows(); row++) {
            seen += seenColumns(row);
            full += fullColumns(row);
        }
        long all = (long) rows() * columns();
        return new Drawing(
                Map.of(Kind.FULL, full, Kind.PARTIAL, seen - full, Kind.SKIPPED, all - seen), lines(this::kind));
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

    /** What becomes of so many rows and columns together. */
    private interface Signs {
        Kind kind(int row, int column, int rows, int columns);
    }

    private List<String> lines(Signs signs) {
        int[] scale = tilesPerSign();
        List<String> lines = new ArrayList<>();
        for (int row = 0; row < rows(); row += scale[0]) {
            StringBuilder line = new StringBuilder();
            int rows = Math.min(scale[0], rows() - row);
            for (int column = 0; column < columns(); column += scale[1]) {
                int columns = Math.min(scale[1], columns() - column);
                line.append(signs.kind(row, column, rows, columns).sign());
            }
            lines.add(line.toString());
        }
        return lines;
    }
}
