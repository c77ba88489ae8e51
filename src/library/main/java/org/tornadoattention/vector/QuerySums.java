package org.tornadoattention.vector;

import java.util.Arrays;

/**
 * Rows of {@code dQ = scale · dS · K}. Tiles of keys are added to a run in their order, and runs to totals, since in
 * one chain of F32 each term would be rounded to what the sum has grown to.
 */
final class QuerySums {

    private final Lanes lanes;
    private final HeadRows gradients;
    private final ScoreGradients scores;
    private final float[] run;
    private final float[] totals;
    private final float[] ones;
    private final short[] bits;
    private int used;

    /**
     * Room for rows.
     *
     * @param gradients where totals go
     * @param rows of a run at most
     * @param totals of them at most
     */
    QuerySums(Lanes lanes, Sequences sequences, HeadRows gradients, ScoreGradients scores, int rows, int totals) {
        this.lanes = lanes;
        this.gradients = gradients;
        this.scores = scores;
        run = new float[Math.multiplyExact(rows, scores.padded())];
        this.totals = new float[Math.multiplyExact(totals, scores.padded())];
        ones = new float[lanes.widest() * lanes.length()];
        Arrays.fill(ones, 1);
        bits = new short[ForwardTile.KEYS * sequences.widestDim()];
    }

    long bytes() {
        return Float.BYTES * ((long) run.length + totals.length + ones.length) + Short.BYTES * (long) bits.length;
    }

    /** Makes so many totals 0. */
    void clear(int rows) {
        Arrays.fill(totals, 0, rows * scores.padded(), 0);
    }

    /** Begins a run of so many rows. */
    void begin(int rows) {
        used = rows * scores.padded();
        Arrays.fill(run, 0, used, 0);
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
        k.addTo(run, row * padded, padded, ones, 0, scores.gradients(), 1, width, width, tile, keys, finite);
    }

    /** Adds the run, times the scale, to totals from row {@code row} on. */
    void end(int row) {
        float scale = scores.terms().scale();
        int at = row * scores.padded();
        for (int i = 0; i < used; i++) {
            totals[at + i] = Fused.fma(run[i], scale, totals[at + i]);
        }
    }

    /** Brings the totals of a head's rows from {@code query} on, as they were stored: in F32, no bit is lost. */
    void load(int sequence, int head, int query, int count) {
        gradients.read(sequence, head, query, count, totals, 0, scores.padded(), bits, lanes);
    }

    /** Stores totals from row {@code row} on: those of a head's rows from {@code query} on. */
    void store(int row, int sequence, int head, int query, int count) {
        int padded = scores.padded();
        for (int done = 0; done < count; done += ForwardTile.KEYS) {
            int together = Math.min(ForwardTile.KEYS, count - done);
            gradients.write(sequence, head, query + done, together, totals, (row + done) * padded, padded, bits, lanes);
        }
    }
}
