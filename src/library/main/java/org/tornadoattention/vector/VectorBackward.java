package org.tornadoattention.vector;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Gradients;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.function.ScoreSlope;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The backward pass on the JVM's vector units. Each gradient is summed by one thread in a fixed order. */
public final class VectorBackward {

    /** Panels of a tile of queries at most. */
    private static final int PANELS = 4;

    /** Tasks for each thread below which tasks are made smaller. */
    private static final int TASKS_PER_THREAD = 3;

    /** Elements of dQ at most that a thread keeps in F32 where the gradient has 16 bits. */
    private static final long LARGEST_SUMS = 1 << 22;

    /** Elements of a task's keys at most: with values and gradients they are to stay in a core's own cache. */
    private static final int LARGEST_TASK = 1 << 16;

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
        AttentionShape shape = AttentionShape.of(given.q(), given.k(), given.v(), options);
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
        int[] keyRows = new int[shape.batch()];
        Arrays.fill(keyRows, shape.seqK());
        return new VectorBackward(lanes, workers, Sequences.of(shape, options), options, tensors)
                .run(keyRows, given.dLse().map(HeadRows::ofScalars), given.dBias(), given.dSinks());
    }

    /**
     * The gradients of packed sequences of different lengths, whose preconditions were checked.
     *
     * @param q {@code [tokens, heads, headDim]}
     * @param k {@code [keyTokens, kvHeads, headDim]}
     * @param v shaped like k
     * @param queryOffsets where each sequence begins in q, and where the last one ends
     * @param keyOffsets likewise in k
     * @param result of the forward pass
     * @param dOut shaped like q
     * @param options those of the forward pass
     * @return the gradients
     */
    public static Gradients runRagged(
            Workers workers,
            Tensor q,
            Tensor k,
            Tensor v,
            int[] queryOffsets,
            int[] keyOffsets,
            AttentionResult result,
            Tensor dOut,
            AttentionOptions options) {
        Tensor terms = Tensor.allocate(DType.F32, q.dimension(0), q.dimension(1));
        Tensor dQ = Tensor.allocate(q.dtype(), q.shape());
        Tensor dK = Tensor.allocate(k.dtype(), k.shape());
        Tensor dV = Tensor.allocate(v.dtype(), v.shape());
        BackwardRows tensors = new BackwardRows(
                HeadRows.packed(q, queryOffsets),
                HeadRows.packed(k, keyOffsets),
                HeadRows.packed(v, keyOffsets),
                HeadRows.packed(result.output(), queryOffsets),
                HeadRows.packed(result.logSumExp(), queryOffsets),
                HeadRows.packed(dOut, queryOffsets),
                HeadRows.packed(terms, queryOffsets),
                HeadRows.packed(dQ, queryOffsets),
                HeadRows.packed(dK, keyOffsets),
                HeadRows.packed(dV, keyOffsets));
        Optional<Tensor> dBias = options.bias().map(bias -> Tensor.allocate(DType.F32, bias.shape()));
        Optional<Tensor> dSinks = options.sinks().map(sinks -> Tensor.allocate(DType.F32, sinks.shape()));
        Sequences sequences = new Sequences(
                q.dimension(1),
                k.dimension(1),
                q.dimension(2),
                v.dimension(2),
                VectorForward.differences(queryOffsets),
                VectorForward.differences(keyOffsets));
        new VectorBackward(LaneChoice.best(), workers, sequences, options, tensors)
                .run(sequences.keys(), Optional.empty(), dBias, dSinks);
        return Gradients.of(
                dQ,
                dK,
                dV,
                dBias.map(tensor -> tensor.as(options.bias().orElseThrow().dtype())),
                dSinks);
    }

    private final Lanes lanes;
    private final Workers workers;
    private final Sequences sequences;
    private final AttentionOptions options;
    private final BackwardRows tensors;
    private final ScoreFunction slope;
    private final AtomicLong bytes = new AtomicLong();

    private VectorBackward(
            Lanes lanes, Workers workers, Sequences sequences, AttentionOptions options, BackwardRows tensors) {
        this.lanes = lanes;
        this.workers = workers;
        this.sequences = sequences;
        this.options = options;
        this.tensors = tensors;
        this.slope = ScoreSlope.of(options).orElse(null);
    }

    /** A tile of keys of one head. */
    private record KeyTile(int sequence, int kvHead, int key, int count) {}

    /** @param keyRows rows of each sequence that have gradients, which may be more than its keys */
    private VectorRun run(int[] keyRows, Optional<HeadRows> dLse, Optional<Tensor> dBias, Optional<Tensor> dSinks) {
        LaneChoice.tellOnce();
        long start = System.nanoTime();
        rowTerms(dLse);
        for (int queries : sequences.queries()) {
            bytes.addAndGet((long) Float.BYTES * queries * sequences.heads());
        }
        int most = PANELS * lanes.widest() * lanes.length();
        if (worthOnePass(keyRows)) {
            inOnePass(keyRows);
        } else {
            inTwoPasses(keyRows, most);
        }
        dBias.ifPresent(this::biasGradient);
        dSinks.ifPresent(this::sinkGradients);
        return new VectorRun(most, ForwardTile.KEYS, System.nanoTime() - start, bytes.get());
    }

    /**
     * Whether a thread shall compute all gradients of a head of keys, with five products for each pair of tiles, and
     * not seven: if there are heads enough for all threads, and memory for dQ in F32, which is dQ itself if it is F32.
     * Both add the same numbers in the same order.
     */
    private boolean worthOnePass(int[] keyRows) {
        long heads = (long) sequences.count() * sequences.kvHeads();
        long rounds = Math.ceilDiv(heads, workers.threads());
        long sums = (long) sequences.group() * sequences.mostQueries() * sequences.widestDim();
        return 5 * rounds * workers.threads() < 7 * heads && (tensors.dQ().areF32() || sums <= LARGEST_SUMS);
    }

    private void inOnePass(int[] keyRows) {
        int keys = keysOfATask(keyRows, false);
        workers.run(
                sequences.count() * sequences.kvHeads(),
                () -> counted(new KeyValueGradients(lanes.another(), sequences, options, tensors, slope, keys, true)),
                (task, gradients) -> {
                    int sequence = task / sequences.kvHeads();
                    gradients.computeAll(sequence, task % sequences.kvHeads(), keyRows[sequence], keys);
                });
    }

    private void inTwoPasses(int[] keyRows, int most) {
        List<RowTile> tiles = RowTile.of(sequences, most);
        int largest = tiles.stream().mapToInt(RowTile::rows).max().orElse(1);
        int ofARun = keysOfATask(keyRows, false);
        workers.run(
                tiles.size(),
                () -> counted(new QueryGradient(lanes.another(), sequences, options, tensors, slope, largest, ofARun)),
                (task, gradient) -> gradient.compute(tiles.get(task)));
        int keys = keysOfATask(keyRows, true);
        List<KeyTile> keyTiles = keyTiles(keyRows, keys);
        workers.run(
                keyTiles.size(),
                () -> counted(new KeyValueGradients(lanes.another(), sequences, options, tensors, slope, keys, false)),
                (task, gradients) -> {
                    KeyTile tile = keyTiles.get(task);
                    gradients.compute(tile.sequence(), tile.kvHead(), tile.key(), tile.count());
                });
    }

    /**
     * As many as let all threads have work, if they are divided. It changes no bit, since keys do not depend on each
     * other.
     */
    private int keysOfATask(int[] keyRows, boolean divided) {
        int tiles = KeyValueGradients.TILES;
        while (tiles > 1
                && (tiles * ForwardTile.KEYS * sequences.widestDim() > LARGEST_TASK
                        || divided
                                && tasks(keyRows, tiles * ForwardTile.KEYS)
                                        < (long) TASKS_PER_THREAD * workers.threads())) {
            tiles /= 2;
        }
        return tiles * ForwardTile.KEYS;
    }

    private long tasks(int[] keyRows, int keys) {
        return Arrays.stream(keyRows)
                        .mapToLong(rows -> Math.ceilDiv(rows, keys))
                        .sum()
                * sequences.kvHeads();
    }

    /** The first tiles of all heads before the second ones: under a causal mask they have the most queries. */
    private List<KeyTile> keyTiles(int[] keyRows, int keys) {
        List<KeyTile> tiles = new ArrayList<>();
        int longest = Arrays.stream(keyRows).max().orElse(0);
        for (int key = 0; key < longest; key += keys) {
            for (int sequence = 0; sequence < keyRows.length; sequence++) {
                for (int kvHead = 0; kvHead < sequences.kvHeads() && key < keyRows[sequence]; kvHead++) {
                    int count = Math.min(keys, keyRows[sequence] - key);
                    tiles.add(new KeyTile(sequence, kvHead, key, count));
                }
            }
        }
        return tiles;
    }

    private void biasGradient(Tensor dBias) {
        dBias.fill(0);
        int entries = dBias.dimension(0);
        int heads = dBias.dimension(1);
        int width = lanes.widest() * lanes.length();
        int tiles = Math.ceilDiv(dBias.dimension(2), width);
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
                    for (int entry = biasEntry; entry < sequences.count(); entry += entries) {
                        int queries = Math.min(width, sequences.queries()[entry] - first);
                        for (int head = biasHead; queries > 0 && head < sequences.heads(); head += heads) {
                            gradient.add(
                                    new RowTile(entry, head / sequences.group(), head, 1, first, queries),
                                    biasEntry,
                                    biasHead);
                        }
                    }
                });
    }

    /** {@code dt = -Σ e^(t - L) D} over the rows of a head. */
    private void sinkGradients(Tensor dSinks) {
        Tensor sinks = options.sinks().orElseThrow();
        workers.run(sequences.heads(), () -> tensors, (head, rows) -> {
            double sum = 0;
            for (int entry = 0; entry < sequences.count(); entry++) {
                for (int query = 0; query < sequences.queries()[entry]; query++) {
                    double share = Math.exp(
                            (double) sinks.getFlat(head) - rows.logSumExp().get(entry, head, query));
                    sum -= share * rows.rowTerms().get(entry, head, query);
                }
            }
            dSinks.setFlat(head, (float) sum);
        });
    }

    /** Room for some rows of two tensors. */
    private record Rows(float[] one, float[] other, short[] bits) {

        static Rows of(int elements) {
            return new Rows(new float[elements], new float[elements], new short[elements]);
        }

        long bytes() {
            return (2L * Float.BYTES + Short.BYTES) * one.length;
        }
    }

    private Rows counted(Rows rows) {
        bytes.addAndGet(rows.bytes());
        return rows;
    }

    private QueryGradient counted(QueryGradient gradient) {
        bytes.addAndGet(gradient.bytes());
        return gradient;
    }

    private KeyValueGradients counted(KeyValueGradients gradients) {
        bytes.addAndGet(gradients.bytes());
        return gradients;
    }

    /** {@code D = rowsum(dO ∘ O) - dL}. */
    private void rowTerms(Optional<HeadRows> dLse) {
        int width = sequences.valueDim();
        int most = ForwardTile.KEYS;
        workers.run(sequences.count() * sequences.heads(), () -> counted(Rows.of(most * width)), (task, rows) -> {
            int entry = task / sequences.heads();
            int head = task % sequences.heads();
            int queries = sequences.queries()[entry];
            for (int first = 0; first < queries; first += most) {
                int count = Math.min(most, queries - first);
                tensors.dOut().read(entry, head, first, count, rows.one, 0, width, rows.bits, lanes);
                tensors.output().read(entry, head, first, count, rows.other, 0, width, rows.bits, lanes);
                for (int row = 0; row < count; row++) {
                    int query = first + row;
                    float arriving = dLse.isPresent() ? dLse.get().get(entry, head, query) : 0;
                    float term = (float) product(rows.one, rows.other, row * width, width) - arriving;
                    tensors.rowTerms().set(entry, head, query, term);
                }
            }
        });
    }

    /** Σ x y by four chains side by side. */
    private static double product(float[] x, float[] y, int from, int count) {
        double s0 = 0;
        double s1 = 0;
        double s2 = 0;
        double s3 = 0;
        int i = from;
        int end = from + count;
        for (; i <= end - 4; i += 4) {
            s0 += (double) x[i] * y[i];
            s1 += (double) x[i + 1] * y[i + 1];
            s2 += (double) x[i + 2] * y[i + 2];
            s3 += (double) x[i + 3] * y[i + 3];
        }
        for (; i < end; i++) {
            s0 += (double) x[i] * y[i];
        }
        return s0 + s1 + (s2 + s3);
    }
}
