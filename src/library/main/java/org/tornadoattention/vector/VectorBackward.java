package org.tornadoattention.vector;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.function.ScoreSlope;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The backward pass on the JVM's vector units. Each gradient is summed by one thread in a fixed order. */
public final class VectorBackward {

    /** Panels of a tile of queries at most. */
    private static final int PANELS = 4;

    private VectorBackward() {}

    /**
     * Computes gradients, whose preconditions were checked.
     *
     * @param options those of the forward pass
     * @return what it took
     */
    public static VectorRun run(Workers workers, BackwardTensors tensors, AttentionOptions options) {
        return run(LaneChoice.best(), workers, tensors, options);
    }

    static VectorRun run(Lanes lanes, Workers workers, BackwardTensors given, AttentionOptions options) {
        LaneChoice.tellOnce();
        long start = System.nanoTime();
        AttentionShape shape = AttentionShape.of(given.q(), given.k(), given.v(), options);
        Sequences sequences = Sequences.of(shape, options);
        Tensor terms = Tensor.allocate(DType.F32, shape.logSumExpShape());
        BackwardRows tensors = new BackwardRows(
                HeadRows.of(given.q()),
                HeadRows.of(given.k()),
                HeadRows.of(given.v()),
                HeadRows.of(given.output()),
                HeadRows.ofScalars(given.logSumExp()),
                HeadRows.of(given.dOut()),
                HeadRows.ofScalars(terms),
                HeadRows.of(given.dQ()),
                HeadRows.of(given.dK()),
                HeadRows.of(given.dV()));
        rowTerms(lanes, workers, shape, tensors, given);

        ScoreFunction slope = ScoreSlope.of(options).orElse(null);
        AtomicLong bytes = new AtomicLong(terms.byteSize());
        int most = PANELS * lanes.widest() * lanes.length();
        List<RowTile> tiles = RowTile.of(sequences, most);
        int largest = tiles.stream().mapToInt(RowTile::rows).max().orElse(1);
        workers.run(
                tiles.size(),
                () -> counted(new QueryGradient(lanes.another(), sequences, options, tensors, slope, largest), bytes),
                (task, gradient) -> gradient.compute(tiles.get(task)));
        int keyTiles = Math.ceilDiv(shape.seqK(), KeyValueGradients.KEYS);
        workers.run(
                shape.batch() * shape.kvHeads() * keyTiles,
                () -> counted(new KeyValueGradients(lanes.another(), sequences, options, tensors, slope), bytes),
                (task, gradients) -> {
                    int tile = task / (shape.batch() * shape.kvHeads());
                    int head = task % (shape.batch() * shape.kvHeads());
                    int key = tile * KeyValueGradients.KEYS;
                    gradients.compute(
                            head / shape.kvHeads(),
                            head % shape.kvHeads(),
                            key,
                            Math.min(KeyValueGradients.KEYS, shape.seqK() - key));
                });
        given.dBias().ifPresent(dBias -> biasGradient(lanes, workers, shape, options, tensors, dBias, slope, bytes));
        given.dSinks().ifPresent(dSinks -> sinkGradients(workers, shape, options, tensors, dSinks));
        return new VectorRun(most, ForwardTile.KEYS, System.nanoTime() - start, bytes.get());
    }

    private static void biasGradient(
            Lanes lanes,
            Workers workers,
            AttentionShape shape,
            AttentionOptions options,
            BackwardRows tensors,
            Tensor dBias,
            ScoreFunction slope,
            AtomicLong bytes) {
        dBias.fill(0);
        int entries = dBias.dimension(0);
        int heads = dBias.dimension(1);
        int width = lanes.widest() * lanes.length();
        int tiles = Math.ceilDiv(shape.seqQ(), width);
        Sequences sequences = Sequences.of(shape, options);
        workers.run(
                entries * heads * tiles,
                () -> {
                    BiasGradient gradient =
                            new BiasGradient(lanes.another(), sequences, options, tensors, HeadRows.of(dBias), slope);
                    bytes.addAndGet(gradient.bytes());
                    return gradient;
                },
                (task, gradient) -> {
                    int first = task % tiles * width;
                    int biasHead = task / tiles % heads;
                    int biasEntry = task / tiles / heads;
                    for (int entry = biasEntry; entry < shape.batch(); entry += entries) {
                        for (int head = biasHead; head < shape.heads(); head += heads) {
                            int queries = Math.min(width, shape.seqQ() - first);
                            gradient.add(
                                    new RowTile(entry, shape.kvHead(head), head, 1, first, queries),
                                    biasEntry,
                                    biasHead);
                        }
                    }
                });
    }

    /** {@code dt = -Σ e^(t - L) D} over the rows of a head. */
    private static void sinkGradients(
            Workers workers, AttentionShape shape, AttentionOptions options, BackwardRows tensors, Tensor dSinks) {
        Tensor sinks = options.sinks().orElseThrow();
        workers.run(shape.heads(), () -> tensors, (head, rows) -> {
            double sum = 0;
            for (int entry = 0; entry < shape.batch(); entry++) {
                for (int query = 0; query < shape.seqQ(); query++) {
                    double share = Math.exp(
                            (double) sinks.getFlat(head) - rows.logSumExp().get(entry, head, query));
                    sum -= share * rows.rowTerms().get(entry, head, query);
                }
            }
            dSinks.setFlat(head, (float) sum);
        });
    }

    /** Room for two rows. */
    private record Rows(float[] one, float[] other, short[] bits) {}

    private static QueryGradient counted(QueryGradient gradient, AtomicLong bytes) {
        bytes.addAndGet(gradient.bytes());
        return gradient;
    }

    private static KeyValueGradients counted(KeyValueGradients gradients, AtomicLong bytes) {
        bytes.addAndGet(gradients.bytes());
        return gradients;
    }

    /** {@code D = rowsum(dO ∘ O) - dL}. */
    private static void rowTerms(
            Lanes lanes, Workers workers, AttentionShape shape, BackwardRows tensors, BackwardTensors given) {
        int width = shape.headDim();
        Optional<HeadRows> dLse = given.dLse().map(HeadRows::ofScalars);
        workers.run(
                shape.batch() * shape.heads(),
                () -> new Rows(new float[width], new float[width], new short[width]),
                (task, rows) -> {
                    int entry = task / shape.heads();
                    int head = task % shape.heads();
                    for (int query = 0; query < shape.seqQ(); query++) {
                        tensors.dOut().read(entry, head, query, 1, rows.one, 0, width, rows.bits, lanes);
                        tensors.output().read(entry, head, query, 1, rows.other, 0, width, rows.bits, lanes);
                        double sum = 0;
                        for (int dim = 0; dim < width; dim++) {
                            sum += (double) rows.one[dim] * rows.other[dim];
                        }
                        float arriving = dLse.isPresent() ? dLse.get().get(entry, head, query) : 0;
                        tensors.rowTerms().set(entry, head, query, (float) sum - arriving);
                    }
                });
    }
}
