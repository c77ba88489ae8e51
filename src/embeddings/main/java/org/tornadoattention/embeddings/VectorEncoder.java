package org.tornadoattention.embeddings;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.VectorForward;
import org.tornadoattention.vector.Workers;

/**
 * An encoder on the JVM's vector units. Sequences go through all layers in batches of some hundred tokens: where there
 * are many, each thread computes batches by itself, and none waits for another; where there are few, all threads
 * compute a batch together, and divide its heads and the columns of its products, so that each weight is read once. The
 * numbers are the same to the last bit.
 */
final class VectorEncoder implements Encoder {

    /** Tokens of a batch, but for a sequence that has more by itself. */
    private static final int BATCH = 192;

    /** Batches for each thread from which on each thread takes its own. */
    private static final int MANY = 3;

    /** Rows between a layer's last two products at a time: they stay in a core's caches. */
    private static final int INNER_ROWS = 192;

    /** Tasks of a product for each thread at least: one that comes late takes fewer. */
    private static final int TASKS = 4;

    /** Rows of a task that takes them one by one. */
    private static final int TASK_ROWS = 8;

    private final int width;
    private final int headDim;
    private final int headsAtOnce;
    private final float[] words;
    private final float[] positions;
    private final BertWeights.Norm embeddingNorm;
    private final List<Layer> layers;
    private final Pooling pooling;
    private final int threads;
    private final ExecutorService helpers;
    /** What each thread works with, its buffers for a batch of its own included. */
    private final List<Worker> workers;

    /** A layer's weights, of queries, keys and values a matrix for some heads: {@code [width, 3 · heads · headDim]}. */
    private record Layer(
            List<PackedMatrix> queriesKeysValues,
            PackedMatrix attentionOutput,
            BertWeights.Norm attentionNorm,
            PackedMatrix intermediate,
            PackedMatrix output,
            BertWeights.Norm outputNorm) {

        static Layer of(BertWeights.Layer layer, int width, int length) {
            BertWeights.Dense all = layer.queriesKeysValues();
            return new Layer(
                    IntStream.range(0, width / length)
                            .map(some -> some * length)
                            .mapToObj(from -> new PackedMatrix(BertWeights.Dense.sideBySide(
                                    all.part(from, from + length),
                                    all.part(width + from, width + from + length),
                                    all.part(2 * width + from, 2 * width + from + length))))
                            .toList(),
                    new PackedMatrix(layer.attentionOutput()),
                    layer.attentionNorm(),
                    new PackedMatrix(layer.intermediate()),
                    new PackedMatrix(layer.output()),
                    layer.outputNorm());
        }
    }

    /** An encoder with so many threads, the calling one included. */
    VectorEncoder(BertWeights weights, Pooling pooling, int threads) {
        this.pooling = pooling;
        this.threads = threads;
        width = weights.width();
        headDim = width / weights.heads();
        words = weights.words();
        positions = weights.positions();
        embeddingNorm = weights.embeddingNorm();
        headsAtOnce = headsAtOnce(weights.heads(), headDim);
        layers = weights.layers().stream()
                .map(layer -> Layer.of(layer, width, headsAtOnce * headDim))
                .toList();
        AtomicInteger number = new AtomicInteger();
        int others = Math.max(1, threads - 1);
        helpers = new ThreadPoolExecutor(others, others, 0, TimeUnit.SECONDS, new AwakeQueue(threads), task -> {
            Thread thread = new Thread(task, "tornado-attention-encoder-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        workers = IntStream.range(0, threads).mapToObj(Worker::new).toList();
    }

    /** The fewest heads whose queries, keys and values fill whole panels; all, where panels do not fit. */
    private static int headsAtOnce(int heads, int headDim) {
        return IntStream.rangeClosed(1, heads)
                .filter(some -> heads % some == 0 && 3 * some * headDim % PackedMatrix.PANEL == 0)
                .findFirst()
                .orElse(heads);
    }

    @Override
    public int sequencesAtOnce() {
        return Integer.MAX_VALUE;
    }

    /**
     * Some sequences of a call.
     *
     * @param first of them
     * @param tokens of all of them, one behind the other
     * @param places of tokens in their sequences
     * @param division where each sequence begins among the tokens, and where the last one ends
     */
    private record Batch(int first, int[] tokens, int[] places, int[] division) {

        static Batch of(int[] tokens, int[] offsets, int from, int to) {
            int[] division = IntStream.rangeClosed(from, to)
                    .map(sequence -> offsets[sequence] - offsets[from])
                    .toArray();
            int[] places = new int[offsets[to] - offsets[from]];
            for (int i = 1; i < division.length; i++) {
                for (int row = division[i - 1]; row < division[i]; row++) {
                    places[row] = row - division[i - 1];
                }
            }
            return new Batch(from, Arrays.copyOfRange(tokens, offsets[from], offsets[to]), places, division);
        }

        static List<Batch> all(int[] tokens, int[] offsets) {
            List<Batch> batches = new ArrayList<>();
            int from = 0;
            for (int to = 1; to < offsets.length; to++) {
                if (to == offsets.length - 1 || offsets[to + 1] - offsets[from] > BATCH) {
                    batches.add(of(tokens, offsets, from, to));
                    from = to;
                }
            }
            return batches;
        }

        int rows() {
            return tokens.length;
        }

        int sequences() {
            return division.length - 1;
        }
    }

    /** One call at a time: it has all threads. */
    @Override
    public synchronized Vectors encode(int[] tokens, int[] offsets) {
        Vectors vectors = new Vectors(new float[offsets.length - 1][], new float[offsets.length - 1]);
        List<Batch> batches = Batch.all(tokens, offsets);
        if (batches.size() >= MANY * threads) {
            AtomicInteger next = new AtomicInteger();
            inAllThreads(new Crew(threads), worker -> {
                Crew alone = new Crew(1);
                for (int i = next.getAndIncrement(); i < batches.size(); i = next.getAndIncrement()) {
                    Batch batch = batches.get(i);
                    worker.encode(batch, alone.member(0), worker.rows.of(batch.rows()), vectors);
                }
            });
        } else {
            Crew crew = new Crew(threads);
            Rows rows = workers.getFirst()
                    .rows
                    .of(batches.stream().mapToInt(Batch::rows).max().orElse(0));
            inAllThreads(crew, worker -> {
                for (Batch batch : batches) {
                    worker.encode(batch, crew.member(worker.number), rows, vectors);
                }
            });
        }
        return vectors;
    }

    /** What a thread does. */
    @FunctionalInterface
    private interface Part {
        void run(Worker worker);
    }

    /** Runs something in the calling thread and in all helpers, and returns when all are through. */
    private void inAllThreads(Crew crew, Part part) {
        List<CompletableFuture<Void>> running = workers.subList(1, threads).stream()
                .map(worker -> CompletableFuture.runAsync(() -> run(crew, part, worker), helpers))
                .toList();
        Throwable failure = null;
        try {
            run(crew, part, workers.getFirst());
        } catch (RuntimeException | Error e) {
            failure = e;
        }
        for (CompletableFuture<Void> each : running) {
            try {
                each.join();
            } catch (CompletionException e) {
                failure = failure == null || failure instanceof CancellationException ? e.getCause() : failure;
            }
        }
        if (failure instanceof Error error) {
            throw error;
        }
        if (failure != null) {
            throw (RuntimeException) failure;
        }
    }

    private static void run(Crew crew, Part part, Worker worker) {
        try {
            part.run(worker);
        } catch (RuntimeException | Error e) {
            crew.fail();
            throw e;
        }
    }

    /** The rows of a batch between products, row by row, with room up to a multiple of what products take. */
    private final class Rows {

        private float[] x = {};
        private float[] heads = {};
        private float[] output = {};
        private float[] inner = {};
        private final int outputRow = layers.getFirst().attentionOutput().rowLength();
        private int room;

        /** These, with room for so many. */
        Rows of(int count) {
            if (count > room) {
                room = Math.max(count, BATCH);
                int padded = padded(room);
                x = new float[padded * width];
                heads = new float[padded * width];
                output = new float[padded * outputRow];
                inner = new float
                        [Math.min(padded, INNER_ROWS)
                                * layers.getFirst().intermediate().rowLength()];
            }
            return this;
        }
    }

    private static int padded(int rows) {
        return Math.ceilDiv(rows, PackedMatrix.ROWS) * PackedMatrix.ROWS;
    }

    /** A thread. */
    private final class Worker {

        private final int number;
        private final Workers attention = Workers.of(Devices.jvm(Runnable::run, 1));
        private final Rows rows = new Rows();
        private float[] projected = {};

        /** Queries, keys and values of some heads, and room for what attention makes of them. */
        private List<Tensor> parts = List.of();

        private Tensor attended = Tensor.allocate(DType.F32, 0);
        private Tensor logSumExp = attended;

        Worker(int number) {
            this.number = number;
        }

        /**
         * A batch through all layers, together with the other members of a crew.
         *
         * @param rows of the batch, which all share
         * @param vectors get those of the batch's sequences
         */
        void encode(Batch batch, Crew.Member crew, Rows rows, Vectors vectors) {
            int count = batch.rows();
            int tasks = Math.ceilDiv(count, TASK_ROWS);
            int groups =
                    Math.min(crew.members(), layers.getFirst().queriesKeysValues.size());
            crew.each(tasks, task -> embed(batch, rows, task * TASK_ROWS, Math.min(count, (task + 1) * TASK_ROWS)));
            for (Layer layer : layers) {
                crew.each(groups, group -> attend(layer, group, groups, count, batch.division, rows));
                PackedMatrix output = layer.attentionOutput;
                product(output, rows.heads, 0, width, padded(count), rows.output, 0, crew, (_, _, _) -> {});
                normalise(layer.attentionNorm, rows, tasks, count, crew);
                for (int first = 0; first < count; first += INNER_ROWS) {
                    network(layer, rows, first, padded(Math.min(INNER_ROWS, count - first)), crew);
                }
                normalise(layer.outputNorm, rows, tasks, count, crew);
            }
            crew.each(batch.sequences(), sequence -> {
                float[] vector = pooling.of(rows.x, width, batch.division[sequence], batch.division[sequence + 1]);
                vectors.lengths()[batch.first + sequence] = toLengthOne(vector);
                vectors.unit()[batch.first + sequence] = vector;
            });
        }

        private void embed(Batch batch, Rows rows, int from, int to) {
            for (int row = from; row < to; row++) {
                System.arraycopy(words, batch.tokens[row] * width, rows.x, row * width, width);
                System.arraycopy(positions, batch.places[row] * width, rows.output, row * rows.outputRow, width);
            }
            embeddingNorm.addAndNormalise(rows.x, rows.output, rows.outputRow, from, to);
        }

        private void normalise(BertWeights.Norm norm, Rows rows, int tasks, int count, Crew.Member crew) {
            crew.each(
                    tasks,
                    task -> norm.addAndNormalise(
                            rows.x,
                            rows.output,
                            rows.outputRow,
                            task * TASK_ROWS,
                            Math.min(count, (task + 1) * TASK_ROWS)));
        }

        /** Attention of one of the groups that all heads are divided into. */
        private void attend(Layer layer, int group, int groups, int count, int[] where, Rows rows) {
            List<PackedMatrix> all = layer.queriesKeysValues;
            List<PackedMatrix> mine = all.subList(all.size() * group / groups, all.size() * (group + 1) / groups);
            int heads = mine.size() * headsAtOnce;
            int length = heads * headDim;
            if (parts.isEmpty() || parts.getFirst().numberOfElements() != count * length) {
                parts = Stream.generate(() -> Tensor.allocate(DType.F32, count, heads, headDim))
                        .limit(3)
                        .toList();
                attended = Tensor.allocate(DType.F32, count, heads, headDim);
                logSumExp = Tensor.allocate(DType.F32, count, heads);
            }
            for (int i = 0; i < mine.size(); i++) {
                project(mine.get(i), i * headsAtOnce * headDim, length, count, rows);
            }
            VectorForward.runRagged(
                    attention,
                    AttentionOptions.defaults(),
                    parts.get(0),
                    parts.get(1),
                    parts.get(2),
                    where,
                    where,
                    attended,
                    logSumExp);
            MemorySegment memory = attended.memory();
            int at = all.size() * group / groups * headsAtOnce * headDim;
            for (int row = 0; row < count; row++) {
                MemorySegment.copy(
                        memory,
                        ValueLayout.JAVA_FLOAT,
                        (long) row * length * Float.BYTES,
                        rows.heads,
                        row * width + at,
                        length);
            }
        }

        /** Queries, keys and values of some heads: {@code at} elements from the beginning of rows of {@code length}. */
        private void project(PackedMatrix some, int at, int length, int count, Rows rows) {
            int projectedRow = some.rowLength();
            if (projected.length < padded(count) * projectedRow) {
                projected = new float[padded(Math.max(count, BATCH)) * projectedRow];
            }
            for (int panel = 0; panel < some.panels(); panel++) {
                some.product(rows.x, 0, width, padded(count), projected, 0, panel);
            }
            int piece = headsAtOnce * headDim;
            for (int part = 0; part < parts.size(); part++) {
                MemorySegment target = parts.get(part).memory();
                for (int row = 0; row < count; row++) {
                    MemorySegment.copy(
                            projected,
                            row * projectedRow + part * piece,
                            target,
                            ValueLayout.JAVA_FLOAT,
                            ((long) row * length + at) * Float.BYTES,
                            piece);
                }
            }
        }

        /**
         * A product, whose panels the members of a crew divide, and rows besides where panels cannot be divided evenly:
         * each member reads all weights then.
         */
        private static void product(
                PackedMatrix matrix,
                float[] a,
                int aAt,
                int aRow,
                int rows,
                float[] c,
                int cAt,
                Crew.Member crew,
                Finish finish) {
            int parts = matrix.panels() % crew.members() == 0
                    ? 1
                    : Math.clamp(
                            Math.ceilDiv(TASKS * crew.members(), matrix.panels()),
                            1,
                            Math.ceilDiv(rows, PackedMatrix.BEST_ROWS));
            int some = Math.ceilDiv(rows, parts * PackedMatrix.BEST_ROWS) * PackedMatrix.BEST_ROWS;
            crew.each(matrix.panels() * parts, task -> {
                int panel = task / parts;
                int from = Math.min(rows, task % parts * some);
                int to = Math.min(rows, from + some);
                matrix.product(a, aAt + from * aRow, aRow, to - from, c, cAt + from * matrix.rowLength(), panel);
                finish.rows(panel * PackedMatrix.PANEL, from, to);
            });
        }

        /** What becomes of a panel's columns, from {@code column} on, in rows {@code from} to {@code to}. */
        @FunctionalInterface
        private interface Finish {
            void rows(int column, int from, int to);
        }

        /** The two products with GELU between, of {@code count} rows from {@code first} on. */
        private void network(Layer layer, Rows rows, int first, int count, Crew.Member crew) {
            int innerRow = layer.intermediate.rowLength();
            product(
                    layer.intermediate,
                    rows.x,
                    first * width,
                    width,
                    count,
                    rows.inner,
                    0,
                    crew,
                    (column, from, to) -> RowFunctions.gelu(
                            rows.inner, from * innerRow + column, innerRow, to - from, PackedMatrix.PANEL));
            product(
                    layer.output,
                    rows.inner,
                    0,
                    innerRow,
                    count,
                    rows.output,
                    first * rows.outputRow,
                    crew,
                    (_, _, _) -> {});
        }
    }

    /** Scales a vector, and returns the length that it had. */
    private static float toLengthOne(float[] vector) {
        double squares = 0;
        for (float value : vector) {
            squares += (double) value * value;
        }
        float length = (float) Math.sqrt(squares);
        for (int d = 0; d < vector.length; d++) {
            vector[d] /= length;
        }
        return length;
    }

    /** Ends its threads. */
    @Override
    public synchronized void close() {
        helpers.close();
        workers.forEach(worker -> worker.attention.close());
    }
}
