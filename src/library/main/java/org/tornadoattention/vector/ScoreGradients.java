package org.tornadoattention.vector;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;

/**
 * What both gradient passes do with a panel of queries and a tile of keys: P and dS are computed again from q, k and
 * the log-sum-exp.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2, with S, P and their gradients transposed.
 */
final class ScoreGradients {

    private final Lanes lanes;
    private final ScoreTerms terms;
    private final TileRows rows;
    private final BackwardRows tensors;
    private final ScoreFunction slope;
    private final int widestDim;
    private final int padded;
    private final TurnedTile turned;
    private final float[] qT;
    private final float[] dOT;
    private final float[] logSumExp;
    private final float[] rowTerms;
    private final float[] p;
    private final float[] dropped;
    private final float[] dS;
    private final float[] capped;
    private final float[] asked;
    private final float[] biased;

    /** @param most lanes of all panels */
    ScoreGradients(
            Lanes lanes,
            Sequences sequences,
            AttentionOptions options,
            BackwardRows tensors,
            ScoreFunction slope,
            int most) {
        this.lanes = lanes;
        this.tensors = tensors;
        this.slope = slope;
        terms = new ScoreTerms(lanes, sequences, options);
        rows = new TileRows(sequences, options.mask(), terms, most);
        widestDim = sequences.widestDim();
        padded = Products.padded(widestDim, lanes.length());
        turned = new TurnedTile(lanes, widestDim);
        qT = new float[most * widestDim];
        dOT = new float[most * widestDim];
        logSumExp = new float[most];
        rowTerms = new float[most];
        int tile = ForwardTile.KEYS * lanes.widest() * lanes.length();
        p = new float[tile];
        dropped = options.hasDropout() ? new float[tile] : p;
        dS = new float[tile];
        capped = options.hasSoftcap() ? new float[tile] : null;
        asked = options.score().isPresent() ? new float[tile] : null;
        biased = options.bias().isPresent() ? new float[tile] : null;
    }

    long bytes() {
        long tiles = p.length
                * (2L
                        + (dropped == p ? 0 : 1)
                        + (capped == null ? 0 : 1)
                        + (asked == null ? 0 : 1)
                        + (biased == null ? 0 : 1));
        return turned.bytes() + Float.BYTES * (2L * qT.length + 8L * logSumExp.length + tiles);
    }

    TileRows rows() {
        return rows;
    }

    ScoreTerms terms() {
        return terms;
    }

    /** Elements of a row of a tile in F32. */
    int padded() {
        return padded;
    }

    /** Brings queries, their output's gradients and their row terms: scaled, and a lane for each row. */
    void load(RowTile tile, int width) {
        rows.set(tile, width);
        turned.load(tensors.q(), tile, width, terms.queryFactor(), qT);
        turned.load(tensors.dOut(), tile, width, 1, dOT);
        for (int lane = 0; lane < rows.panels() * width; lane++) {
            boolean present = lane < tile.rows();
            int head = present ? tile.head(lane) : 0;
            int query = present ? tile.query(lane) : 0;
            logSumExp[lane] =
                    present ? (float) (tensors.logSumExp().get(tile.sequence(), head, query) * Exp2.LOG2_E) : 0;
            rowTerms[lane] = present ? tensors.rowTerms().get(tile.sequence(), head, query) : 0;
        }
    }

    /**
     * P and dS of a panel and a tile of keys, which {@link #probabilities} and {@link #gradients} hold afterwards.
     *
     * @param k keys, of which tile {@code tile} is meant
     * @param v values likewise
     * @param sight what {@link TileRows#look} said of it
     */
    void compute(int panel, int firstKey, int keys, PanelTile k, PanelTile v, int tile, TileRows.Sight sight) {
        int width = rows.width();
        int lane = panel * width;
        int count = Products.padded(keys, Lanes.ROWS);
        // Sᵀ = K Qᵀ, P = 2^(S - L)
        k.times(tile, count, widestDim, qT, lane * widestDim, width, p);
        terms.apply(p, firstKey, keys, rows, panel, sight, capped, asked);
        lanes.probabilities(p, keys, width, logSumExp, lane);
        // dPᵀ = V dOᵀ
        v.times(tile, count, widestDim, dOT, lane * widestDim, width, dS);
        if (terms.hasDropout()) {
            System.arraycopy(p, 0, dropped, 0, keys * width);
            terms.drop(dropped, terms.keptFactor(), firstKey, keys, rows, panel);
            terms.drop(dS, terms.keptFactor(), firstKey, keys, rows, panel);
        }
        // dS = P ∘ (dP - D), then back through the functions of the score
        lanes.scoreGradients(p, dS, keys, width, rowTerms, lane);
        terms.gradients(dS, capped, asked, slope, biased, firstKey, keys, rows, panel);
    }

    /** P behind dropout: a row of lanes for each key. */
    float[] probabilities() {
        return dropped;
    }

    /** The gradients with respect to the bias of each pair, likewise; null without a bias. */
    float[] biasGradients() {
        return biased;
    }

    /** dS likewise. */
    float[] gradients() {
        return dS;
    }
}
