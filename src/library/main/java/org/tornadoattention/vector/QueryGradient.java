package org.tornadoattention.vector;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;

/** {@code dQ = scale · dS · K} of one tile of queries, and the memory of a thread that computes it. */
final class QueryGradient {

    private final Lanes lanes;
    private final BackwardRows tensors;
    private final ScoreGradients scores;
    private final QuerySums sums;
    private final PanelTile k;
    private final PanelTile v;
    private final int ofARun;

    /**
     * @param most rows of a tile
     * @param ofARun keys of a run, a multiple of a tile's
     */
    QueryGradient(
            Lanes lanes,
            Sequences sequences,
            AttentionOptions options,
            BackwardRows tensors,
            ScoreFunction slope,
            int most,
            int ofARun) {
        this.lanes = lanes;
        this.ofARun = ofARun;
        this.tensors = tensors;
        int widest = lanes.widest() * lanes.length();
        int allLanes = Products.padded(most, widest);
        scores = new ScoreGradients(lanes, sequences, options, tensors, slope, allLanes);
        sums = new QuerySums(lanes, sequences, tensors.dQ(), scores, allLanes, allLanes);
        k = new PanelTile(lanes, sequences.widestDim(), 1);
        v = new PanelTile(lanes, sequences.widestDim(), 1);
    }

    long bytes() {
        return scores.bytes() + sums.bytes() + k.bytes() + v.bytes();
    }

    void compute(RowTile tile) {
        scores.load(tile, ForwardTile.panelWidth(lanes, tile.rows()));
        TileRows rows = scores.rows();
        int lanesOfAll = rows.panels() * rows.width();
        sums.clear(lanesOfAll);
        sums.begin(lanesOfAll);
        int first = rows.firstKey() / ForwardTile.KEYS * ForwardTile.KEYS;
        int end = rows.endKey();
        for (int key = first; key < end; key += ForwardTile.KEYS) {
            if (key % ofARun == 0 && key > first) {
                sums.end(0);
                sums.begin(lanesOfAll);
            }
            step(key, Math.min(ForwardTile.KEYS, end - key));
        }
        sums.end(0);
        for (int row = 0; row < tile.rows(); row += tile.queries()) {
            sums.store(row, tile.sequence(), tile.head(row), tile.query(row), tile.queries());
        }
    }

    private void step(int key, int count) {
        TileRows rows = scores.rows();
        RowTile tile = rows.tile();
        boolean loaded = false;
        boolean finite = true;
        for (int panel = 0; panel < rows.panels(); panel++) {
            TileRows.Sight sight = rows.look(panel, key, count);
            if (sight == TileRows.Sight.NOTHING) {
                continue;
            }
            if (!loaded) {
                k.read(0, tensors.k(), tile.sequence(), tile.kvHead(), key, count);
                v.read(0, tensors.v(), tile.sequence(), tile.kvHead(), key, count);
                finite = k.isFinite(0, count);
                loaded = true;
            }
            scores.compute(panel, key, count, k, v, 0, sight);
            sums.add(panel * rows.width(), k, 0, count, finite);
        }
    }
}
