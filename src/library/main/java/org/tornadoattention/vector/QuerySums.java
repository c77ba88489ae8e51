package org.tornadoattention.vector;

import java.util.Arrays;

/** Rows of {@code dQ = scale · dS · K}, to which tiles of keys are added in their order. */
final class QuerySums {

    private final Lanes lanes;
    private final HeadRows gradients;
    private final ScoreGradients scores;
    private final float[] dQ;
    private final Totals totals;
    private final float[] ones;
    private final short[] bits;
    private int used;

    /**
     * Room for rows.
     *
     * @param gradients where finished rows go
     * @param rows at most
     * @param keys that are added to a row at most
     */
    QuerySums(Lanes lanes, Sequences sequences, HeadRows gradients, ScoreGradients scores, int rows, int keys) {
        this.lanes = lanes;
        this.gradients = gradients;
        this.scores = scores;
        dQ = new float[Math.multiplyExact(rows, scores.padded())];
        totals = new Totals(keys > ForwardTile.RUN ? dQ.length : 0);
        ones = new float[lanes.widest() * lanes.length()];
        Arrays.fill(ones, 1);
        bits = new short[ForwardTile.KEYS * sequences.widestDim()];
    }

    long bytes() {
        return totals.bytes() + Float.BYTES * ((long) dQ.length + ones.length) + Short.BYTES * (long) bits.length;
    }

    /** Begins with 0 in so many rows. */
    void begin(int rows) {
        used = rows;
        Arrays.fill(dQ, 0, rows * scores.padded(), 0);
        totals.clear();
    }

    /** Is told of each tile of keys before it is added, in rising order. */
    void at(int key) {
        if (key % ForwardTile.RUN == 0 && key > 0) {
            totals.add(dQ, used, scores.padded(), null);
        }
    }

    /**
     * Adds what the scores hold, a panel of rows and a tile of keys.
     *
     * @param row the first
     * @param k the keys, of which tile {@code tile} is meant
     * @param finite whether all keys are
     */
    void add(int row, PanelTile k, int tile, int keys, boolean finite) {
        int width = scores.rows().width();
        int padded = scores.padded();
        float[] dS = scores.gradients();
        k.addTo(dQ, row * padded, padded, ones, 0, dS, 1, width, width, tile, keys, finite);
    }

    /** Brings the rows to an end. */
    void finish() {
        totals.finish(dQ, used, scores.padded(), null);
        float scale = scores.terms().scale();
        for (int i = 0; i < used * scores.padded(); i++) {
            dQ[i] *= scale;
        }
    }

    /** Stores rows that were brought to an end: those of a head from {@code query} on. */
    void store(int row, int sequence, int head, int query, int count) {
        int padded = scores.padded();
        for (int done = 0; done < count; done += ForwardTile.KEYS) {
            int together = Math.min(ForwardTile.KEYS, count - done);
            gradients.write(sequence, head, query + done, together, dQ, (row + done) * padded, padded, bits, lanes);
        }
    }
}
