package org.tornadoattention.vector;

import java.util.Arrays;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;

/** {@code dQ = scale · dS · K} of one tile of queries, and the memory of a thread that computes it. */
final class QueryGradient {

    private final Lanes lanes;
    private final BackwardRows tensors;
    private final ScoreGradients scores;
    private final int padded;
    private final int widestDim;
    private final float[] k;
    private final float[] v;
    private final float[] dQ;
    private final Totals totals;
    private final float[] ones;
    private final short[] bits;

    QueryGradient(
            Lanes lanes,
            Sequences sequences,
            AttentionOptions options,
            BackwardRows tensors,
            ScoreFunction slope,
            int most) {
        this.lanes = lanes;
        this.tensors = tensors;
        int widest = lanes.widest() * lanes.length();
        int allLanes = Products.padded(most, widest);
        scores = new ScoreGradients(lanes, sequences, options, tensors, slope, allLanes);
        padded = scores.padded();
        widestDim = sequences.widestDim();
        k = new float[ForwardTile.KEYS * padded];
        v = new float[ForwardTile.KEYS * padded];
        dQ = new float[allLanes * padded];
        totals = new Totals(dQ.length);
        ones = new float[widest];
        Arrays.fill(ones, 1);
        bits = new short[ForwardTile.KEYS * widestDim];
    }

    long bytes() {
        return scores.bytes() + totals.bytes() + Float.BYTES * ((long) k.length + v.length + dQ.length + ones.length);
    }

    void compute(RowTile tile) {
        scores.load(tile, ForwardTile.panelWidth(lanes, tile.rows()));
        TileRows rows = scores.rows();
        Arrays.fill(dQ, 0);
        totals.clear();
        int used = rows.panels() * rows.width();
        int first = rows.firstKey() / ForwardTile.KEYS * ForwardTile.KEYS;
        int end = rows.endKey();
        for (int key = first; key < end; key += ForwardTile.KEYS) {
            if (key % ForwardTile.RUN == 0 && key > first) {
                totals.add(dQ, used, padded, null);
            }
            step(key, Math.min(ForwardTile.KEYS, end - key));
        }
        totals.finish(dQ, used, padded, null);
        float scale = scores.terms().scale();
        for (int row = 0; row < tile.rows(); row++) {
            for (int at = row * padded; at < row * padded + widestDim; at++) {
                dQ[at] *= scale;
            }
            tensors.dQ().write(tile.sequence(), tile.head(row), tile.query(row), dQ, row * padded, bits);
        }
    }

    private void step(int key, int count) {
        TileRows rows = scores.rows();
        RowTile tile = rows.tile();
        int width = rows.width();
        boolean loaded = false;
        boolean finite = true;
        for (int panel = 0; panel < rows.panels(); panel++) {
            TileRows.Sight sight = rows.look(panel, key, count);
            if (sight == TileRows.Sight.NOTHING) {
                continue;
            }
            if (!loaded) {
                tensors.k().read(tile.sequence(), tile.kvHead(), key, count, k, 0, padded, bits, lanes);
                tensors.v().read(tile.sequence(), tile.kvHead(), key, count, v, 0, padded, bits, lanes);
                finite = lanes.areFinite(k, count * padded);
                loaded = true;
            }
            scores.compute(panel, key, count, k, v, 0, sight);
            float[] dS = scores.gradients();
            int to = panel * width * padded;
            Products.add(lanes, finite, dS, 1, width, k, dQ, to, width, padded, count, ones, 0);
        }
    }
}
