package org.tornadoattention.vector;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;

/**
 * What the block masks of a condition say of whole tiles: one that is empty in any of them is seen by nobody, and one
 * that is full in all of them need not be asked about, if the condition is made of nothing else.
 */
final class BlockSight {

    private final Sequences sequences;
    private final List<BlockMask> masks = new ArrayList<>();
    private boolean alone = true;

    BlockSight(Sequences sequences, Optional<Mask.Condition> condition) {
        this.sequences = sequences;
        condition.ifPresent(this::collect);
        masks.forEach(BlockMask::find);
    }

    private void collect(Mask.Condition condition) {
        switch (condition) {
            case Mask.Blocks(BlockMask mask) -> masks.add(mask);
            case Mask.And(Mask.Condition one, Mask.Condition other) -> {
                collect(one);
                collect(other);
            }
            case Mask.Or _, Mask.Not _, Mask.Function _, Mask.Window _ -> alone = false;
        }
    }

    /** The state of rows {@code begin} to {@code last - 1} of a tile and some keys, as {@link BlockMask} names it. */
    int state(RowTile tile, int begin, int last, int key, int keys) {
        boolean full = alone && !masks.isEmpty();
        for (BlockMask mask : masks) {
            int state = state(mask, tile, begin, last, key, keys);
            if (state == BlockMask.EMPTY) {
                return BlockMask.EMPTY;
            }
            full &= state == BlockMask.FULL;
        }
        return full ? BlockMask.FULL : BlockMask.PARTIAL;
    }

    private int state(BlockMask mask, RowTile tile, int begin, int last, int key, int keys) {
        int sequence = tile.sequence();
        if (tile.heads() == 1) {
            return state(mask, sequence, tile.firstHead(), tile.query(begin), last - begin, key, keys);
        }
        // Few queries of several heads: all of each.
        int state = state(mask, sequence, tile.head(begin), tile.firstQuery(), tile.queries(), key, keys);
        for (int head = tile.head(begin) + 1; head <= tile.head(last - 1); head++) {
            int other = state(mask, sequence, head, tile.firstQuery(), tile.queries(), key, keys);
            state = other == state ? state : BlockMask.PARTIAL;
        }
        return state;
    }

    private int state(BlockMask mask, int sequence, int head, int query, int queries, int key, int keys) {
        int first = sequences.number(sequence, query);
        int last = sequences.number(sequence, query + queries - 1);
        return mask.state(sequence, head, first, last - first + 1, key, keys);
    }
}
