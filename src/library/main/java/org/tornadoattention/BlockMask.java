package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * A mask whose score matrix is divided into tiles, each empty, partial or full: kernels never load empty tiles, ask the
 * function in partial ones alone, and ask nothing in full ones. For {@link Mask#blocks}.
 *
 * <p>Made of a function, its tiles are found once: on the device of the first plan that uses it, or, where
 * {@link #density} or {@link #picture} is asked before, on the JVM. What the function captured must not change after
 * that; make another block mask then.
 */
public final class BlockMask {

    /** Queries, and keys, of a tile where none are given. */
    public static final int DEFAULT_BLOCK = 128;

    /** A tile that no query of it sees a key in. */
    public static final int EMPTY = 0;

    /** A tile in which some pairs are seen. */
    public static final int PARTIAL = 1;

    /** A tile in which all pairs are seen. */
    public static final int FULL = 2;

    /** Numbers before the tiles: batch entries, heads, tiles of queries, tiles of keys, queries and keys of a tile. */
    private static final int HEADER = 6;

    private final Optional<MaskFunction> function;
    private final int batch;
    private final int heads;
    private final int seqQ;
    private final int seqK;
    private final int blockQ;
    private final int blockK;
    private final IntArray tiles;
    private boolean found;

    private BlockMask(
            Optional<MaskFunction> function, int batch, int heads, int seqQ, int seqK, int blockQ, int blockK) {
        this.function = function;
        this.batch = atLeastOne("batch", batch);
        this.heads = atLeastOne("heads", heads);
        this.seqQ = atLeastOne("seqQ", seqQ);
        this.seqK = atLeastOne("seqK", seqK);
        this.blockQ = atLeastOne("blockQ", blockQ);
        this.blockK = atLeastOne("blockK", blockK);
        long count = Math.multiplyExact((long) batch * heads, (long) tilesQ() * tilesK());
        tiles = new IntArray(Math.toIntExact(HEADER + count));
        tiles.init(EMPTY);
        int[] header = {batch, heads, tilesQ(), tilesK(), blockQ, blockK};
        for (int i = 0; i < HEADER; i++) {
            tiles.set(i, header[i]);
        }
    }

    private static int atLeastOne(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException("%s is %d: it must be 1 or more.".formatted(name, value));
        }
        return value;
    }

    /**
     * The tiles of a function, of 128 queries by 128 keys.
     *
     * @param function whether a query sees a key
     * @param batch batch entries, or 1 where all have the same tiles
     * @param heads query heads, or 1 where all have the same tiles
     * @param seqQ queries, 1 or more
     * @param seqK keys, 1 or more
     * @return the block mask
     * @throws IllegalArgumentException if the function is null or a number below 1
     */
    public static BlockMask of(MaskFunction function, int batch, int heads, int seqQ, int seqK) {
        return of(function, batch, heads, seqQ, seqK, DEFAULT_BLOCK, DEFAULT_BLOCK);
    }

    /**
     * The tiles of a function.
     *
     * @param function whether a query sees a key
     * @param batch batch entries, or 1 where all have the same tiles
     * @param heads query heads, or 1 where all have the same tiles
     * @param seqQ queries, 1 or more
     * @param seqK keys, 1 or more
     * @param blockQ queries of a tile, 1 or more
     * @param blockK keys of a tile, 1 or more
     * @return the block mask
     * @throws IllegalArgumentException if the function is null or a number below 1
     */
    public static BlockMask of(
            MaskFunction function, int batch, int heads, int seqQ, int seqK, int blockQ, int blockK) {
        required(function, "function");
        return new BlockMask(Optional.of(function), batch, heads, seqQ, seqK, blockQ, blockK);
    }

    /**
     * Tiles that are full or empty, the same for all batch entries and heads.
     *
     * @param blocks {@code [tiles of queries][tiles of keys]}, whether a tile is seen
     * @param seqQ queries, 1 or more
     * @param seqK keys, 1 or more
     * @param blockQ queries of a tile, 1 or more
     * @param blockK keys of a tile, 1 or more
     * @return the block mask
     * @throws IllegalArgumentException if there are not as many blocks as the sequences have
     */
    public static BlockMask of(boolean[][] blocks, int seqQ, int seqK, int blockQ, int blockK) {
        required(blocks, "blocks");
        BlockMask mask = new BlockMask(Optional.empty(), 1, 1, seqQ, seqK, blockQ, blockK);
        boolean fits = blocks.length == mask.tilesQ()
                && Arrays.stream(blocks).allMatch(row -> row != null && row.length == mask.tilesK());
        if (!fits) {
            throw new IllegalArgumentException(
                    "The blocks are not %d rows of %d, as %d queries and %d keys in tiles of %d by %d have."
                            .formatted(mask.tilesQ(), mask.tilesK(), seqQ, seqK, blockQ, blockK));
        }
        for (int row = 0; row < blocks.length; row++) {
            for (int column = 0; column < blocks[row].length; column++) {
                mask.tiles.set(HEADER + row * mask.tilesK() + column, blocks[row][column] ? FULL : EMPTY);
            }
        }
        mask.found = true;
        return mask;
    }

    /**
     * Tiles that are full or empty, from lists, the same for all batch entries and heads.
     *
     * @param keyBlocks for each tile of queries, the numbers of the tiles of keys that it sees
     * @param seqQ queries, 1 or more
     * @param seqK keys, 1 or more
     * @param blockQ queries of a tile, 1 or more
     * @param blockK keys of a tile, 1 or more
     * @return the block mask
     * @throws IllegalArgumentException if there is not one list for each tile of queries, or a number is out of range
     */
    public static BlockMask of(int[][] keyBlocks, int seqQ, int seqK, int blockQ, int blockK) {
        required(keyBlocks, "keyBlocks");
        int columns = Math.ceilDiv(atLeastOne("seqK", seqK), atLeastOne("blockK", blockK));
        boolean[][] blocks = new boolean[keyBlocks.length][columns];
        for (int row = 0; row < keyBlocks.length; row++) {
            for (int block : required(keyBlocks[row], "keyBlocks[" + row + "]")) {
                if (block < 0 || block >= columns) {
                    throw new IllegalArgumentException("Tile %d of queries sees tile %d of keys: there are 0 to %d."
                            .formatted(row, block, columns - 1));
                }
                blocks[row][block] = true;
            }
        }
        return of(blocks, seqQ, seqK, blockQ, blockK);
    }

    /** Finds tiles, such as on a device. */
    @FunctionalInterface
    public interface Finder {

        /**
         * Finds the tiles of a block mask that has a function.
         *
         * @param mask whose {@link BlockMask#tiles} gets a state for each tile
         */
        void find(BlockMask mask);
    }

    /**
     * Finds the tiles, if that was not done yet.
     *
     * @param finder does it
     * @throws IllegalArgumentException if it is null
     */
    public synchronized void find(Finder finder) {
        required(finder, "finder");
        if (!found) {
            finder.find(this);
            found = true;
        }
    }

    /** Finds the tiles on the JVM, if that was not done yet. */
    public void find() {
        find(mask -> IntStream.range(0, mask.numberOfTiles())
                .parallel()
                .forEach(tile -> mask.tiles.set(HEADER + tile, mask.stateOf(tile))));
    }

    private int stateOf(int tile) {
        MaskFunction asked = function.orElseThrow();
        int column = tile % tilesK();
        int row = tile / tilesK() % tilesQ();
        int head = tile / tilesK() / tilesQ() % heads;
        int entry = tile / tilesK() / tilesQ() / heads;
        boolean some = false;
        boolean all = true;
        for (int i = row * blockQ; i < Math.min(seqQ, (row + 1) * blockQ); i++) {
            for (int j = column * blockK; j < Math.min(seqK, (column + 1) * blockK); j++) {
                boolean sees = asked.sees(entry, head, i, j);
                some |= sees;
                all &= sees;
            }
        }
        return all ? FULL : some ? PARTIAL : EMPTY;
    }

    /**
     * Whether a query sees a key.
     *
     * @param entry a batch entry, from 0
     * @param head a query head, from 0
     * @param query a query, from 0
     * @param key a key, from 0
     * @return what the function says, or whether the pair's tile is full
     */
    public boolean sees(int entry, int head, int query, int key) {
        int ofEntry = batch == 1 ? 0 : entry;
        int ofHead = heads == 1 ? 0 : head;
        return function.map(asked -> asked.sees(ofEntry, ofHead, query, key))
                .orElseGet(() -> tiles.get(HEADER + query / blockQ * tilesK() + key / blockK) != EMPTY);
    }

    /**
     * What the tiles say of some queries and keys.
     *
     * @param entry a batch entry, from 0
     * @param head a query head, from 0
     * @param query the first query, from 0
     * @param queries as many, 1 or more
     * @param key the first key, from 0
     * @param keys as many, 1 or more
     * @return {@link #EMPTY} or {@link #FULL} where all tiles that they lie in are, {@link #PARTIAL} otherwise
     */
    public int state(int entry, int head, int query, int queries, int key, int keys) {
        find();
        int at = HEADER + ((batch == 1 ? 0 : entry) * heads + (heads == 1 ? 0 : head)) * tilesQ() * tilesK();
        boolean empty = true;
        boolean full = true;
        for (int row = query / blockQ; row <= (query + queries - 1) / blockQ; row++) {
            for (int column = key / blockK; column <= (key + keys - 1) / blockK; column++) {
                int state = tiles.get(at + row * tilesK() + column);
                empty &= state == EMPTY;
                full &= state == FULL;
            }
        }
        return empty ? EMPTY : full ? FULL : PARTIAL;
    }

    /**
     * The share of tiles that are not empty.
     *
     * @return from 0 to 1
     */
    public double density() {
        find();
        long present = IntStream.range(0, numberOfTiles())
                .filter(tile -> tiles.get(HEADER + tile) != EMPTY)
                .count();
        return (double) present / numberOfTiles();
    }

    /**
     * The tiles of the first batch entry and head, a line for each tile of queries: {@code #} full, {@code +} partial,
     * {@code .} empty.
     *
     * @return lines with ends
     */
    public String picture() {
        find();
        StringBuilder text = new StringBuilder();
        for (int row = 0; row < tilesQ(); row++) {
            for (int column = 0; column < tilesK(); column++) {
                text.append(".+#".charAt(tiles.get(HEADER + row * tilesK() + column)));
            }
            text.append('\n');
        }
        return text.toString();
    }

    /**
     * What the tiles were made of.
     *
     * @return the function, or empty where tiles were given
     */
    public Optional<MaskFunction> function() {
        return function;
    }

    /**
     * The numbers of batch entries, heads, tiles of queries and of keys, queries and keys of a tile, and then the state
     * of each tile, {@code [batch, heads, tiles of queries, tiles of keys]}.
     *
     * @return the array itself, in which states are 0 until they are found
     */
    public IntArray tiles() {
        return tiles;
    }

    /**
     * Batch entries that have tiles of their own.
     *
     * @return 1 where all share them
     */
    public int batch() {
        return batch;
    }

    /**
     * Heads that have tiles of their own.
     *
     * @return 1 where all share them
     */
    public int heads() {
        return heads;
    }

    /**
     * Queries of the score matrix.
     *
     * @return 1 or more
     */
    public int seqQ() {
        return seqQ;
    }

    /**
     * Keys of the score matrix.
     *
     * @return 1 or more
     */
    public int seqK() {
        return seqK;
    }

    private int tilesQ() {
        return Math.ceilDiv(seqQ, blockQ);
    }

    private int tilesK() {
        return Math.ceilDiv(seqK, blockK);
    }

    private int numberOfTiles() {
        return tiles.getSize() - HEADER;
    }

    /** Sizes, such as {@code blocks of 128x128 over 1024x1024}. */
    @Override
    public String toString() {
        return "blocks of %dx%d over %dx%d".formatted(blockQ, blockK, seqQ, seqK);
    }
}
