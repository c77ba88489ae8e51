package org.tornadoattention.vector;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;

/**
 * {@code dBias = Σ P ∘ (dP - D) f'} over the batch entries and heads that share an element, in their order, of some
 * queries, and the memory of a thread that computes it.
 */
final class BiasGradient {

    private final Lanes lanes;
    private final BackwardRows tensors;
    private final HeadRows dBias;
    private final ScoreGradients scores;
    private final PanelTile k;
    private final PanelTile v;
    private final float[] part = new float[ForwardTile.KEYS];

    /** @param dBias F32, of the bias's shape, filled with 0 */
    BiasGradient(
            Lanes lanes,
            Sequences sequences,
            AttentionOptions options,
            BackwardRows tensors,
            HeadRows dBias,
            ScoreFunction slope) {
        this.lanes = lanes;
        this.tensors = tensors;
        this.dBias = dBias;
        scores = new ScoreGradients(lanes, sequences, options, tensors, slope, lanes.widest() * lanes.length());
        k = new PanelTile(lanes, sequences.widestDim(), 1);
        v = new PanelTile(lanes, sequences.widestDim(), 1);
    }

    long bytes() {
        return scores.bytes() + k.bytes() + v.bytes() + Float.BYTES * (long) part.length;
    }

    /** Adds what queries of one head contribute to rows of head {@code biasHead} of entry {@code biasEntry}. */
    void add(RowTile tile, int biasEntry, int biasHead) {
        scores.load(tile, ForwardTile.panelWidth(lanes, tile.rows()));
        int end = scores.rows().endKey();
        for (int key = scores.rows().firstKey() / ForwardTile.KEYS * ForwardTile.KEYS;
                key < end;
                key += ForwardTile.KEYS) {
            int count = Math.min(ForwardTile.KEYS, end - key);
            TileRows.Sight sight = scores.rows().look(0, key, count);
            if (sight == TileRows.Sight.NOTHING) {
                continue;
            }
            k.read(0, tensors.k(), tile.sequence(), tile.kvHead(), key, count);
            v.read(0, tensors.v(), tile.sequence(), tile.kvHead(), key, count);
            scores.compute(0, key, count, k, v, 0, sight);
            int width = scores.rows().width();
            for (int row = 0; row < tile.rows(); row++) {
                int query = tile.query(row);
                dBias.readPart(biasEntry, biasHead, query, key, count, part, null, lanes);
                for (int i = 0; i < count; i++) {
                    part[i] += scores.biasGradients()[i * width + row];
                }
                dBias.writePart(biasEntry, biasHead, query, key, count, part);
            }
        }
    }
}
