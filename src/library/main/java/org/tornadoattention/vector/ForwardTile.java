package org.tornadoattention.vector;

import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;

/**
 * FlashAttention-2's forward pass of one tile of queries, and the memory of a thread that computes it.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 1, with S and P transposed.
 */
final class ForwardTile {

    /** Keys of a tile (Bc): tiles begin at its multiples, so that a row's sums do not depend on the rows beside it. */
    static final int KEYS = 64;

    /** Keys of a run, whose sums are added to the totals at once. */
    static final int RUN = Totals.TILES * KEYS;

    private final Lanes lanes;
    private final Sequences sequences;
    private final ScoreTerms terms;
    private final TileRows rows;
    private final RowSource queries;
    private final RowSource keys;
    private final RowSource values;
    private final int headDim;
    private final int valueDim;
    private final int paddedValue;
    private final Optional<Panels> operands;
    /** For sequences with few rows, where there are some. */
    private final Optional<FewRows> fewRows;

    private final float[] s;
    private final float[] o;
    private final float[] max;
    private final float[] sum;
    private final float[] factors;
    private final Totals outputs;
    private final Totals sums;
    private final float[] maxOfTotals;
    private final short[] bits;
    private boolean few;

    /**
     * Operands of products of many rows.
     *
     * @param q queries, a panel after the other
     */
    private record Panels(TurnedTile queries, float[] q, PanelTile keys, PanelTile values) {

        Panels(Lanes lanes, int headDim, int valueDim, int rows) {
            this(
                    new TurnedTile(lanes, headDim),
                    new float[rows * headDim],
                    new PanelTile(lanes, headDim, 1),
                    new PanelTile(lanes, valueDim, 1));
        }

        long bytes() {
            return queries.bytes() + Float.BYTES * (long) q.length + keys.bytes() + values.bytes();
        }
    }

    /** @param most rows of a tile */
    ForwardTile(
            Lanes lanes,
            Sequences sequences,
            AttentionOptions options,
            RowSource queries,
            RowSource keys,
            RowSource values,
            int most) {
        this.lanes = lanes;
        this.sequences = sequences;
        this.queries = queries;
        this.keys = keys;
        this.values = values;
        boolean allFew = Arrays.stream(sequences.queries()).allMatch(count -> isFew(sequences, count));
        boolean someFew = Arrays.stream(sequences.queries()).anyMatch(count -> isFew(sequences, count));
        int widest = allFew ? lanes.length() : lanes.widest() * lanes.length();
        int allLanes = Products.padded(most, widest);
        terms = new ScoreTerms(lanes, sequences, options);
        rows = new TileRows(sequences, options.mask(), terms, allLanes);
        headDim = sequences.headDim();
        valueDim = sequences.valueDim();
        paddedValue = Products.padded(valueDim, lanes.length());
        operands = allFew ? Optional.empty() : Optional.of(new Panels(lanes, headDim, valueDim, allLanes));
        fewRows = someFew ? Optional.of(new FewRows(lanes, sequences, queries, keys, values)) : Optional.empty();
        s = new float[KEYS * widest];
        o = new float[allLanes * paddedValue];
        max = new float[allLanes];
        sum = new float[allLanes];
        factors = new float[allLanes];
        boolean runs = sequences.mostKeys() > RUN;
        outputs = new Totals(runs ? o.length : 0);
        sums = new Totals(runs ? allLanes : 0);
        maxOfTotals = new float[allLanes];
        bits = new short[(allFew ? FewRows.MOST : KEYS) * Math.max(headDim, valueDim)];
    }

    /** By the sequence and not by the tile, since tiles depend on the number of threads. */
    private static boolean isFew(Sequences sequences, int queries) {
        return queries * (long) sequences.group() <= FewRows.MOST;
    }

    /** Bytes of all arrays. */
    long bytes() {
        long floats = s.length + o.length + 9L * max.length;
        return Float.BYTES * floats
                + fewRows.map(FewRows::bytes).orElse(0L)
                + operands.map(Panels::bytes).orElse(0L)
                + outputs.bytes()
                + sums.bytes()
                + Short.BYTES * (long) bits.length;
    }

    /** The narrowest panel that holds so many rows, or the widest there is. */
    static int panelWidth(Lanes lanes, int rows) {
        int vectors = 1;
        while (vectors < lanes.widest() && vectors * lanes.length() < rows) {
            vectors *= 2;
        }
        return vectors * lanes.length();
    }

    /** Attends to the keys from {@code from} to {@code to - 1} that the tile's rows see. */
    void attend(RowTile tile, int from, int to) {
        rows.set(tile, panelWidth(lanes, tile.rows()));
        few = isFew(sequences, sequences.queries()[tile.sequence()]);
        int used = rows.panels() * rows.width();
        Arrays.fill(o, 0, used * paddedValue, 0);
        Arrays.fill(max, 0, used, Float.NEGATIVE_INFINITY);
        Arrays.fill(sum, 0, used, 0);
        int first = Math.max(from, rows.firstKey() / KEYS * KEYS);
        int end = Math.min(to, rows.endKey());
        if (first < end) {
            if (few) {
                fewRows.orElseThrow().load(tile, terms.queryFactor());
            } else {
                Panels panels = operands.orElseThrow();
                panels.queries.load(queries, tile, rows.width(), terms.queryFactor(), panels.q);
            }
        }
        outputs.clear();
        sums.clear();
        for (int key = first; key < end; ) {
            if (key % RUN == 0 && key > first) {
                lookAtMaxima(used);
                outputs.add(o, used, paddedValue, factors);
                sums.add(sum, used, 1, factors);
            }
            int together = Math.clamp(Math.min(RUN - key % RUN, end - key) / KEYS, 1, FewRows.TILES);
            int next = key + together * KEYS;
            if (together == 1 || !stepsOfFew(key, together, KEYS)) {
                for (; key < next; key += KEYS) {
                    step(key, Math.min(KEYS, end - key));
                }
            }
            key = next;
        }
        lookAtMaxima(used);
        outputs.finish(o, used, paddedValue, factors);
        sums.finish(sum, used, 1, factors);
        if (few) {
            fewRows.orElseThrow().finish(rows.tile(), o);
        }
    }

    /** Makes {@code factors} what brings totals from the maxima they were added under to those of today. */
    private void lookAtMaxima(int used) {
        for (int row = 0; row < used; row++) {
            // A row that saw no key yet has −∞ − (−∞), which is to be 0.
            float base = max[row] == Float.NEGATIVE_INFINITY ? 0 : max[row];
            factors[row] = outputs.hasSome() ? Exp2.of(maxOfTotals[row] - base) : 1;
        }
        System.arraycopy(max, 0, maxOfTotals, 0, used);
    }

    /** Takes tiles of {@code count} keys at once, if few rows see them all and scores stay as they are. */
    private boolean stepsOfFew(int key, int tiles, int count) {
        return few
                && terms.areNone()
                && rows.look(0, key, tiles * count) == TileRows.Sight.ALL
                && fewRows.orElseThrow().steps(rows.tile(), key, tiles, count, max, sum, factors, o);
    }

    private void step(int key, int count) {
        if (stepsOfFew(key, 1, count)) {
            return;
        }
        RowTile tile = rows.tile();
        int width = rows.width();
        boolean keysLoaded = false;
        boolean valuesLoaded = false;
        for (int panel = 0; panel < rows.panels(); panel++) {
            TileRows.Sight sight = rows.look(panel, key, count);
            if (sight == TileRows.Sight.NOTHING) {
                continue;
            }
            int at = panel * width;
            boolean allSeen = sight == TileRows.Sight.ALL && !terms.hides();
            // Sᵀ = K Qᵀ
            if (few) {
                fewRows.orElseThrow().scores(tile, key, count, s, width);
            } else {
                Panels panels = operands.orElseThrow();
                if (!keysLoaded) {
                    panels.keys.read(0, keys, tile.sequence(), tile.kvHead(), key, count);
                    keysLoaded = true;
                }
                panels.keys.times(0, Products.padded(count, Lanes.ROWS), headDim, panels.q, at * headDim, width, s);
            }
            terms.apply(s, key, count, rows, panel, sight);
            // P = 2^(S - m), with the sums of its rows
            lanes.softmax(s, count, width, max, sum, factors, at);
            if (terms.hasDropout()) {
                terms.drop(s, 1, key, count, rows, panel);
            }
            // O = diag(2^(m - m')) O + P V
            if (few) {
                fewRows.orElseThrow().add(tile, key, count, s, width, allSeen, o, factors);
                continue;
            }
            PanelTile v = operands.orElseThrow().values;
            int used = Math.min(width, Products.padded(tile.rows() - at, Lanes.ROWS));
            if (!valuesLoaded) {
                v.read(0, values, tile.sequence(), tile.kvHead(), key, count);
                valuesLoaded = true;
            }
            boolean free = allSeen || v.isFinite(0, count);
            v.addTo(o, at * paddedValue, paddedValue, factors, at, s, 1, width, used, 0, count, free);
        }
    }

    /** Stores {@code O / l} and the log-sum-exp of what was attended to. */
    void store(HeadRows output, HeadRows logSumExp) {
        RowTile tile = rows.tile();
        for (int row = 0; row < tile.rows(); row++) {
            // A sink is one more term of the sum, and has no value.
            float sink = terms.sink(tile.head(row));
            float top = Math.max(max[row], sink);
            float shrunk = sum[row] == 0 ? 0 : Exp2.of(max[row] - top);
            float total = sum[row] * shrunk + (sink == Float.NEGATIVE_INFINITY ? 0 : Exp2.of(sink - top));
            float inverse = total == 0 ? 0 : terms.keptFactor() * shrunk / total;
            lanes.scale(o, row * paddedValue, paddedValue, inverse);
            logSumExp.set(tile.sequence(), tile.head(row), tile.query(row), naturalLogSumExp(top, total));
        }
        for (int row = 0; row < tile.rows(); ) {
            int count = Math.min(KEYS, tile.queries() - row % tile.queries());
            int at = row * paddedValue;
            output.write(tile.sequence(), tile.head(row), tile.query(row), count, o, at, paddedValue, bits, lanes);
            row += count;
        }
    }

    /** {@code ln Σ 2^s} of a sum under a maximum. */
    private static float naturalLogSumExp(float max, float sum) {
        return sum == 0 ? Float.NEGATIVE_INFINITY : (float) (max / Exp2.LOG2_E + Math.log(sum));
    }

    /** Takes the place of what was attended to by a merge of parts, in their order. */
    void merge(RowTile tile, Partials parts, int index) {
        rows.set(tile, panelWidth(lanes, tile.rows()));
        parts.merge(index, tile.rows(), o, max, sum, paddedValue);
    }

    /** Keeps what was attended to as a part. */
    void keep(Partials parts, int index, int part) {
        parts.set(index, part, rows.tile().rows(), o, max, sum, paddedValue);
    }
}
