package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Which sequence, queries and keys a group of the split-key kernels works on. A tile is {@code rows} pairs of a token
 * and one of the {@code group} query heads of a KV head; the arrays are those of {@link StepLayout}.
 */
public final class KeySplit {

    /** Above the number of packed sequences; a power of two. */
    private static final int MOST_SEQUENCES = 1 << 24;

    private KeySplit() {}

    /** The sequence that a tile belongs to; the last one for tiles past all queries. */
    public static int sequence(IntArray step, int tile, int group, int rows, int seqQ) {
        int sequence = 0;
        if (seqQ > 0) {
            sequence = tile / tiles(seqQ, group, rows);
        } else {
            // The last one that begins at this tile or before, by halving: a walk through all of them in each group
            // would take a time that grows with the square of the tokens.
            int last = StepLayout.batch(step) - 1;
            for (int stride = MOST_SEQUENCES / 2; stride > 0; stride /= 2) {
                int next = TornadoMath.min(sequence + stride, last);
                if (tile >= tilesBefore(step, next, group, rows, seqQ)) {
                    sequence = next;
                }
            }
        }
        return sequence;
    }

    /**
     * Where the tiles of a sequence begin. A packed sequence has its first tile where it had been if those before it
     * filled theirs but for one each: that needs no sum over them, and the tiles in between have no rows.
     */
    public static int tilesBefore(IntArray step, int sequence, int group, int rows, int seqQ) {
        int before = 0;
        if (seqQ > 0) {
            before = sequence * tiles(seqQ, group, rows);
        } else {
            before = StepLayout.queryStart(step, sequence) * group / rows + sequence;
        }
        return before;
    }

    /** Tiles of a sequence with so many queries. */
    public static int tiles(int queries, int group, int rows) {
        return (queries * group + rows - 1) / rows;
    }

    /**
     * Whether parts of the keys begin at multiples of {@link #fixedKeys}, wherever queries stand: an answer of the
     * forge's, as those of {@link Layout} are.
     */
    public static boolean isFixed() {
        return false;
    }

    /** Keys of a fixed part, a multiple of those of a tile. */
    public static int fixedKeys() {
        return 0;
    }

    /** Whether another launch attends to other parts of the keys of the same queries; an answer of the forge's too. */
    public static boolean isOneOfSeveral() {
        return false;
    }

    /** Parts of all launches. */
    public static int allParts() {
        return 0;
    }

    /** Parts of the launches before this one. */
    public static int partsBefore() {
        return 0;
    }

    /**
     * Whether the kernel itself reads queries, positions, lengths and pages where a caller has them, so that no other
     * need make them ready; an answer of the forge's too.
     */
    public static boolean arePlacesRead() {
        return false;
    }

    /** Of such a pool: keys that a query sees to the left of its own position, −1 for all. */
    public static int windowLeft() {
        return -1;
    }

    /** Likewise to the right. */
    public static int windowRight() {
        return -1;
    }

    /** Whether there are slopes: not 0 if there are. */
    public static int alibi() {
        return 0;
    }

    /** Which arrays there are. */
    public static int given() {
        return 0;
    }

    /** Whether the last group of a tile's parts merges them; an answer of the forge's too. */
    public static boolean isMerged() {
        return false;
    }

    /** The page of key j. */
    public static int page(IntArray sequences, int table, int firstPage, int j, int pageSize, int pagesPerSequence) {
        int page = firstPage;
        if (pagesPerSequence > 1) {
            page = sequences.get(table + j / pageSize);
        }
        return page;
    }

    /** The row of key j in the keys: of a page, if there are pages, else of packed tokens. */
    public static int keyRow(
            IntArray sequences,
            int table,
            int firstPage,
            int j,
            int kvHead,
            int kvHeads,
            int pageSize,
            int pagesPerSequence) {
        int row = (firstPage + j) * kvHeads + kvHead;
        if (pagesPerSequence == 1) {
            row = (firstPage * kvHeads + kvHead) * pageSize + j;
        }
        if (pagesPerSequence > 1) {
            row = (sequences.get(table + j / pageSize) * kvHeads + kvHead) * pageSize + j % pageSize;
        }
        return row;
    }
}
