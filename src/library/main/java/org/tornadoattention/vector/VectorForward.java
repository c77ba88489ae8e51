package org.tornadoattention.vector;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.Tensor;

/** The forward pass on the JVM's vector units, over tensors where they lie. */
public final class VectorForward {

    /** Panels of a tile at most: so many share a tile of keys and values that was brought to F32. */
    private static final int PANELS = 8;

    /** Tiles for each thread below which tiles are made smaller. */
    private static final int TILES_PER_THREAD = 3;

    /** Keys of a part where a tile has few rows: threads share them then. */
    private static final int PART = FewRows.TILES * ForwardTile.KEYS;

    private final Lanes lanes;
    private final Workers workers;
    private final Sequences sequences;
    private final AttentionOptions options;
    private final int splits;

    private VectorForward(Lanes lanes, Workers workers, Sequences sequences, AttentionOptions options) {
        this(lanes, workers, sequences, options, 0);
    }

    /** @param splits parts of the keys, or 0 to divide them by their number alone */
    private VectorForward(Lanes lanes, Workers workers, Sequences sequences, AttentionOptions options, int splits) {
        this.lanes = lanes;
        this.workers = workers.forWork(sequences.multiplyAdds());
        this.sequences = sequences;
        this.options = options;
        this.splits = splits;
    }

    /**
     * Computes a problem whose preconditions were checked.
     *
     * @param output gets the output, shaped like q
     * @param logSumExp gets the log-sum-exp
     * @return what it took
     */
    public static VectorRun run(
            Workers workers,
            AttentionShape shape,
            AttentionOptions options,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp) {
        return run(LaneChoice.best(), workers, shape, options, q, k, v, output, logSumExp);
    }

    static VectorRun run(
            Lanes lanes,
            Workers workers,
            AttentionShape shape,
            AttentionOptions options,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp) {
        LaneChoice.tellOnce();
        return new VectorForward(lanes, workers, Sequences.of(shape, options), options)
                .run(
                        HeadRows.of(q),
                        HeadRows.of(k),
                        HeadRows.of(v),
                        HeadRows.of(output),
                        HeadRows.ofScalars(logSumExp));
    }

    /**
     * Computes packed sequences of different lengths, whose preconditions were checked.
     *
     * @param q {@code [tokens, heads, headDim]}
     * @param k {@code [keyTokens, kvHeads, headDim]}
     * @param v shaped like k
     * @param queryOffsets where each sequence begins in q, and where the last one ends
     * @param keyOffsets likewise in k
     * @param output gets the output, shaped like q
     * @param logSumExp gets the log-sum-exp, {@code [tokens, heads]}
     * @return what it took
     */
    public static VectorRun runRagged(
            Workers workers,
            AttentionOptions options,
            Tensor q,
            Tensor k,
            Tensor v,
            int[] queryOffsets,
            int[] keyOffsets,
            Tensor output,
            Tensor logSumExp) {
        LaneChoice.tellOnce();
        int headDim = q.dimension(2);
        Sequences sequences = new Sequences(
                q.dimension(1),
                k.dimension(1),
                headDim,
                v.dimension(2),
                differences(queryOffsets),
                differences(keyOffsets));
        return new VectorForward(LaneChoice.best(), workers, sequences, options)
                .run(
                        HeadRows.packed(q, queryOffsets),
                        HeadRows.packed(k, keyOffsets),
                        HeadRows.packed(v, keyOffsets),
                        HeadRows.packed(output, queryOffsets),
                        HeadRows.packed(logSumExp, queryOffsets));
    }

    /** Computes a step of a cache, whose preconditions were checked; {@code splits} as the constructor has it. */
    static VectorRun runCached(
            Workers workers,
            AttentionOptions options,
            Sequences sequences,
            int splits,
            RowSource q,
            RowSource k,
            RowSource v,
            HeadRows output,
            HeadRows logSumExp) {
        LaneChoice.tellOnce();
        return new VectorForward(LaneChoice.best(), workers, sequences, options, splits)
                .run(q, k, v, output, logSumExp);
    }

    /** How {@link #runCached} divides its work. */
    static VectorDivision division(Workers workers, Sequences sequences, int splits) {
        Lanes lanes = LaneChoice.best();
        VectorForward forward = new VectorForward(lanes, workers, sequences, AttentionOptions.defaults(), splits);
        int most = forward.tileRows(lanes.widest() * lanes.length());
        int largest = RowTile.of(sequences, most).stream()
                .mapToInt(RowTile::rows)
                .max()
                .orElse(0);
        return new VectorDivision(largest, forward.parts());
    }

    static int[] differences(int[] offsets) {
        int[] lengths = new int[offsets.length - 1];
        Arrays.setAll(lengths, sequence -> offsets[sequence + 1] - offsets[sequence]);
        return lengths;
    }

    private VectorRun run(RowSource q, RowSource k, RowSource v, HeadRows output, HeadRows logSumExp) {
        long start = System.nanoTime();
        int widest = lanes.widest() * lanes.length();
        int most = tileRows(widest);
        List<RowTile> tiles = RowTile.of(sequences, most);
        AtomicLong bytes = new AtomicLong();
        int largest = tiles.stream().mapToInt(RowTile::rows).max().orElse(1);
        int parts = parts();
        int keys = keysOfAPart();
        Supplier<ForwardTile> scratch = () -> {
            ForwardTile tile = new ForwardTile(lanes.another(), sequences, options, q, k, v, largest);
            bytes.addAndGet(tile.bytes());
            return tile;
        };
        if (parts == 1) {
            workers.run(tiles.size(), scratch, (task, tile) -> {
                tile.attend(tiles.get(task), 0, Integer.MAX_VALUE);
                tile.store(output, logSumExp);
            });
        } else {
            Partials partials = new Partials(tiles.size(), parts, largest, sequences.valueDim());
            bytes.addAndGet(partials.bytes());
            AtomicIntegerArray kept = new AtomicIntegerArray(tiles.size());
            workers.run(tiles.size() * parts, scratch, (task, tile) -> {
                int index = task / parts;
                int part = task % parts;
                long end = (part + 1L) * keys;
                tile.attend(tiles.get(index), part * keys, (int) Math.min(end, Integer.MAX_VALUE));
                tile.keep(partials, index, part);
                // Who keeps the last part of a tile merges them all, in their order.
                if (kept.incrementAndGet(index) == parts) {
                    tile.merge(tiles.get(index), partials, index);
                    tile.store(output, logSumExp);
                }
            });
        }
        return new VectorRun(most, ForwardTile.KEYS, System.nanoTime() - start, bytes.get());
    }

    /**
     * Rows of a tile: as many as let all threads have work. It changes no bit, since rows do not depend on each other.
     */
    private int tileRows(int widest) {
        long rows = 0;
        for (int queries : sequences.queries()) {
            rows += (long) queries * sequences.heads();
        }
        int panels = PANELS;
        while (panels > 1 && rows / ((long) panels * widest) < (long) TILES_PER_THREAD * workers.threads()) {
            panels /= 2;
        }
        return panels * widest;
    }

    /** Parts of the keys, by the sizes alone: how keys are divided changes the last bits. */
    private int parts() {
        return splits == 0 && sequences.mostQueries() > lanes.length()
                ? 1
                : Math.max(1, Math.ceilDiv(sequences.mostKeys(), keysOfAPart()));
    }

    private int keysOfAPart() {
        return splits == 0
                ? PART
                : Products.padded(Math.max(1, Math.ceilDiv(sequences.mostKeys(), splits)), ForwardTile.KEYS);
    }
}
