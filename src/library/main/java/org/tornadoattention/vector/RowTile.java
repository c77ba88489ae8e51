package org.tornadoattention.vector;

import java.util.ArrayList;
import java.util.List;

/**
 * Queries that go through the keys together: some of one head, or, where a head has few, those of several heads that
 * share keys and values.
 *
 * @param kvHead the head of keys and values
 * @param firstHead the first query head
 * @param heads query heads
 * @param firstQuery of each head
 * @param queries of each head
 */
record RowTile(int sequence, int kvHead, int firstHead, int heads, int firstQuery, int queries) {

    int rows() {
        return heads * queries;
    }

    int head(int row) {
        return heads == 1 ? firstHead : firstHead + row / queries;
    }

    int query(int row) {
        return heads == 1 ? firstQuery + row : firstQuery + row % queries;
    }

    /**
     * All tiles, those with the last queries first: under a causal mask they have the most keys.
     *
     * @param most rows of a tile
     */
    static List<RowTile> of(Sequences sequences, int most) {
        List<RowTile> tiles = new ArrayList<>();
        int group = sequences.group();
        for (int sequence = 0; sequence < sequences.count(); sequence++) {
            int queries = sequences.queries()[sequence];
            if (queries == 0) {
                continue;
            }
            int together = Math.clamp(most / queries, 1, group);
            for (int head = 0; head < sequences.heads(); ) {
                int kvHead = head / group;
                int heads = Math.min(together, (kvHead + 1) * group - head);
                for (int first = 0; first < queries; first += most) {
                    tiles.add(new RowTile(sequence, kvHead, head, heads, first, Math.min(most, queries - first)));
                }
                head += heads;
            }
        }
        tiles.sort((one, other) -> Integer.compare(other.firstQuery, one.firstQuery));
        return tiles;
    }
}
