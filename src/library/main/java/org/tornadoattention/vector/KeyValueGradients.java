package org.tornadoattention.vector;

import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;

/**
 * {@code dV = Pᵀ dO} and {@code dK = scale · dSᵀ Q} of tiles of keys, over the query heads that share them in their
 * order, with {@code dQ} beside where there is memory for it, and the memory of a thread that computes them.
 */
final class KeyValueGradients {

    /** Tiles of keys at most that share queries which were transposed. */
    static final int TILES = 8;

    private final Lanes lanes;
    private final Sequences sequences;
    private final BackwardRows tensors;
    private final ScoreGradients scores;
    private final int padded;
    private final int widestDim;
    private final int widest;
    private final PanelTile k;
    private final PanelTile v;
    private final PanelTile q;
    private final PanelTile dO;
    private final float[] dK;
    private final float[] dV;
    private final Totals keyTotals;
    private final Totals valueTotals;
    private final float[] ones;
    private final short[] bits;
    private final Optional<QuerySums> queries;
    private final boolean inPlace;
    private boolean finiteKeys;

    /**
     * The memory of a thread.
     *
     * @param most keys of a task
     * @param withQueries whether {@link #computeAll} is wanted, which needs memory for all queries of a group where
     *     gradients have 16 bits
     */
    KeyValueGradients(
            Lanes lanes,
            Sequences sequences,
            AttentionOptions options,
            BackwardRows tensors,
            ScoreFunction slope,
            int most,
            boolean withQueries) {
        this.lanes = lanes;
        this.sequences = sequences;
        this.tensors = tensors;
        widest = lanes.widest() * lanes.length();
        scores = new ScoreGradients(lanes, sequences, options, tensors, slope, widest);
        padded = scores.padded();
        widestDim = sequences.widestDim();
        k = new PanelTile(lanes, widestDim, Math.ceilDiv(most, ForwardTile.KEYS));
        v = new PanelTile(lanes, widestDim, Math.ceilDiv(most, ForwardTile.KEYS));
        q = new PanelTile(lanes, widestDim, 1);
        dO = new PanelTile(lanes, widestDim, 1);
        dK = new float[most * padded];
        dV = new float[most * padded];
        keyTotals = new Totals(dK.length);
        valueTotals = new Totals(dV.length);
        ones = new float[ForwardTile.KEYS];
        Arrays.fill(ones, 1);
        bits = new short[Math.max(ForwardTile.KEYS, widest) * widestDim];
        inPlace = tensors.dQ().areF32();
        int totals = inPlace ? widest : sequences.group() * rowsOfAHead(sequences.mostQueries());
        queries = withQueries
                ? Optional.of(new QuerySums(lanes, sequences, tensors.dQ(), scores, widest, totals))
                : Optional.empty();
    }

    long bytes() {
        return scores.bytes()
                + queries.map(QuerySums::bytes).orElse(0L)
                + k.bytes()
                + v.bytes()
                + q.bytes()
                + dO.bytes()
                + Float.BYTES * (4L * dK.length + ones.length)
                + Short.BYTES * (long) bits.length;
    }

    private int rowsOfAHead(int count) {
        return Products.padded(count, widest);
    }

    /**
     * All gradients of one head of keys and of the query heads that share it: each pair of tiles is computed once.
     *
     * @param keyRows of the sequence
     * @param most keys at a time, which are a run of dQ
     */
    void computeAll(int sequence, int kvHead, int keyRows, int most) {
        QuerySums sums = queries.orElseThrow();
        boolean some = Math.min(keyRows, sequences.keys()[sequence]) > 0;
        if (!inPlace) {
            sums.clear(sequences.group() * rowsOfAHead(sequences.queries()[sequence]));
        }
        for (int key = 0; key < keyRows; key += most) {
            compute(sequence, kvHead, key, Math.min(most, keyRows - key));
        }
        int count = sequences.queries()[sequence];
        for (int i = 0; i < sequences.group(); i++) {
            int head = kvHead * sequences.group() + i;
            if (!inPlace) {
                sums.store(i * rowsOfAHead(count), sequence, head, 0, count);
            } else if (!some) {
                for (int query = 0; query < count; query += widest) {
                    storeZeros(sums, sequence, head, query, Math.min(widest, count - query));
                }
            }
        }
    }

    private static void storeZeros(QuerySums sums, int sequence, int head, int query, int count) {
        sums.clear(count);
        sums.store(0, sequence, head, query, count);
    }

    /** Computes the gradients of keys {@code key} to {@code key + count - 1}. */
    void compute(int sequence, int kvHead, int key, int count) {
        Arrays.fill(dK, 0, count * padded, 0);
        Arrays.fill(dV, 0, count * padded, 0);
        int seen = Math.min(count, sequences.keys()[sequence] - key);
        if (seen > 0) {
            finiteKeys = queries.isPresent();
            for (int at = 0; at < seen; at += ForwardTile.KEYS) {
                int keys = Math.min(ForwardTile.KEYS, seen - at);
                int tile = at / ForwardTile.KEYS;
                k.read(tile, tensors.k(), sequence, kvHead, key + at, keys);
                v.read(tile, tensors.v(), sequence, kvHead, key + at, keys);
                finiteKeys = finiteKeys && k.isFinite(tile, keys);
            }
            int rows = sequences.queries()[sequence];
            int panels = 0;
            keyTotals.clear();
            valueTotals.clear();
            for (int head = kvHead * sequences.group(); head < (kvHead + 1) * sequences.group(); head++) {
                for (int query = 0; query < rows; query += widest) {
                    if (panels++ == Totals.TILES) {
                        panels = 1;
                        keyTotals.add(dK, count, padded, null);
                        valueTotals.add(dV, count, padded, null);
                    }
                    add(new RowTile(sequence, kvHead, head, 1, query, Math.min(widest, rows - query)), key, seen);
                }
            }
            keyTotals.finish(dK, count, padded, null);
            valueTotals.finish(dV, count, padded, null);
        }
        float scale = scores.terms().scale();
        for (int row = 0; row < count; row++) {
            for (int at = row * padded; at < row * padded + widestDim; at++) {
                dK[at] *= scale;
            }
        }
        for (int row = 0; row < count; row += ForwardTile.KEYS) {
            int together = Math.min(ForwardTile.KEYS, count - row);
            tensors.dK().write(sequence, kvHead, key + row, together, dK, row * padded, padded, bits, lanes);
            tensors.dV().write(sequence, kvHead, key + row, together, dV, row * padded, padded, bits, lanes);
        }
    }

    /** Adds what a panel of queries contributes. */
    private void add(RowTile tile, int key, int count) {
        TileRows rows = scores.rows();
        int width = ForwardTile.panelWidth(lanes, tile.rows());
        rows.set(tile, width);
        int head = tile.firstHead();
        if (rows.look(0, key, count) == TileRows.Sight.NOTHING) {
            if (inPlace && key == 0) {
                queries.ifPresent(sums -> storeZeros(sums, tile.sequence(), head, tile.firstQuery(), tile.rows()));
            }
            return;
        }
        scores.load(tile, width);
        q.read(0, tensors.q(), tile.sequence(), head, tile.firstQuery(), tile.rows());
        dO.read(0, tensors.dOut(), tile.sequence(), head, tile.firstQuery(), tile.rows());
        boolean finite = q.isFinite(0, tile.rows()) && dO.isFinite(0, tile.rows());
        queries.ifPresent(sums -> sums.begin(width));
        for (int at = 0; at < count; at += ForwardTile.KEYS) {
            int keys = Math.min(ForwardTile.KEYS, count - at);
            TileRows.Sight sight = rows.look(0, key + at, keys);
            if (sight == TileRows.Sight.NOTHING) {
                continue;
            }
            scores.compute(0, key + at, keys, k, v, at / ForwardTile.KEYS, sight);
            addProduct(scores.probabilities(), dO, dV, at, keys, width, tile.rows(), finite);
            addProduct(scores.gradients(), q, dK, at, keys, width, tile.rows(), finite);
            if (queries.isPresent()) {
                queries.get().add(0, k, at / ForwardTile.KEYS, keys, finiteKeys);
            }
        }
        queries.ifPresent(sums -> endOfRun(sums, tile, key == 0));
    }

    /** Adds a panel's run to its totals, which are where they will stay, or in memory of this thread's. */
    private void endOfRun(QuerySums sums, RowTile tile, boolean first) {
        int head = tile.firstHead();
        if (!inPlace) {
            int ofAHead = rowsOfAHead(sequences.queries()[tile.sequence()]);
            sums.end((head - tile.kvHead() * sequences.group()) * ofAHead + tile.firstQuery());
            return;
        }
        if (first) {
            sums.clear(scores.rows().width());
        } else {
            sums.load(tile.sequence(), head, tile.firstQuery(), tile.rows());
        }
        sums.end(0);
        sums.store(0, tile.sequence(), head, tile.firstQuery(), tile.rows());
    }

    private void addProduct(float[] a, PanelTile b, float[] c, int at, int keys, int width, int depth, boolean finite) {
        int rows = Products.padded(keys, Lanes.ROWS);
        Arrays.fill(a, keys * width, rows * width, 0);
        b.addTo(c, at * padded, padded, ones, 0, a, width, 1, rows, 0, depth, finite);
    }
}
