//SOURCES jbang/Setup.java
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * A language model's engine, laid out like those of Java on TornadoVM: one graph a layer, a token's q, k and v packed
 * in a row, one array for the keys of all layers and one for the values, which stay on the device, and the position in
 * an IntArray. The same compiled graphs take the prompt in chunks and then token by token. Attention is this library's
 * task over the engine's own arrays: nothing is copied or transposed for it. Weights are random; each token is compared
 * with a run of the same model in float64.
 *
 * <p>{@code ./attention example TinyEngine [LAYERS [HEADS [KV_HEADS [HEAD_DIM [PROMPT [NEW]]]]]]}
 */
class TinyEngine {

    static final int VOCABULARY = 96;
    static final int CHUNK = 8;

    record Size(int layers, int heads, int kvHeads, int headDim, int prompt, int tokens) {

        int model() {
            return heads * headDim;
        }

        int kvDim() {
            return kvHeads * headDim;
        }

        int row() {
            return model() + 2 * kvDim();
        }

        int hidden() {
            return 2 * model();
        }

        int context() {
            return prompt + tokens;
        }
    }

    /** Weights of a layer, each {@code [outputs, inputs]}. */
    record Layer(FloatArray qkv, FloatArray output, FloatArray up, FloatArray down) {}

    // The kernels: a row of x for each token of the chunk, of which the first rows[0] count.

    static void embed(IntArray tokens, FloatArray table, FloatArray x, int model) {
        for (@Parallel int at = 0; at < x.getSize(); at++) {
            x.set(at, table.get(tokens.get(at / model) * model + at % model));
        }
    }

    /** {@code y = x / rms(x)} of each row. */
    static void normalise(FloatArray x, FloatArray y, int model) {
        for (@Parallel int at = 0; at < y.getSize(); at++) {
            int row = at / model * model;
            float sum = 0f;
            for (int c = 0; c < model; c++) {
                sum += x.get(row + c) * x.get(row + c);
            }
            y.set(at, x.get(at) / TornadoMath.sqrt(sum / model + 1e-5f));
        }
    }

    /** {@code y = x Wᵀ}. */
    static void multiply(FloatArray x, FloatArray w, FloatArray y, int inputs, int outputs) {
        for (@Parallel int at = 0; at < y.getSize(); at++) {
            float sum = 0f;
            for (int c = 0; c < inputs; c++) {
                sum += x.get(at / outputs * inputs + c) * w.get(at % outputs * inputs + c);
            }
            y.set(at, sum);
        }
    }

    /** {@code y = y + max(0, x) Wᵀ} where it rectifies, else {@code y + x Wᵀ}. */
    static void multiplyAdd(FloatArray x, FloatArray w, FloatArray y, int inputs, int outputs, int rectifies) {
        for (@Parallel int at = 0; at < y.getSize(); at++) {
            float sum = y.get(at);
            for (int c = 0; c < inputs; c++) {
                float value = x.get(at / outputs * inputs + c);
                if (rectifies == 1) {
                    value = TornadoMath.max(0f, value);
                }
                sum += value * w.get(at % outputs * inputs + c);
            }
            y.set(at, sum);
        }
    }

    /** Turns queries and keys by their positions, and takes keys and values to the layer's place in the caches. */
    static void turnAndStore(
            FloatArray qkv,
            FloatArray turns,
            FloatArray keyCache,
            FloatArray valueCache,
            IntArray start,
            IntArray rows,
            int layerBase,
            int model,
            int kvDim,
            int headDim) {
        for (@Parallel int at = 0; at < qkv.getSize(); at++) {
            int width = model + 2 * kvDim;
            int column = at % width;
            if (at / width < rows.get(0) && column % 2 == 0) {
                int position = start.get(0) + at / width;
                float cosine = turns.get(position * headDim + column % headDim);
                float sine = turns.get(position * headDim + column % headDim + 1);
                float first = qkv.get(at);
                float second = qkv.get(at + 1);
                float turned = first * cosine - second * sine;
                float other = second * cosine + first * sine;
                if (column < model) {
                    qkv.set(at, turned);
                    qkv.set(at + 1, other);
                } else if (column < model + kvDim) {
                    keyCache.set(layerBase + position * kvDim + column - model, turned);
                    keyCache.set(layerBase + position * kvDim + column - model + 1, other);
                } else {
                    valueCache.set(layerBase + position * kvDim + column - model - kvDim, first);
                    valueCache.set(layerBase + position * kvDim + column - model - kvDim + 1, second);
                }
            }
        }
    }

    /** What the last token of the chunk is followed by. */
    static void predict(FloatArray x, FloatArray table, FloatArray logits, IntArray rows, int model) {
        for (@Parallel int token = 0; token < logits.getSize(); token++) {
            float sum = 0f;
            for (int c = 0; c < model; c++) {
                sum += x.get((rows.get(0) - 1) * model + c) * table.get(token * model + c);
            }
            logits.set(token, sum);
        }
    }

    private final Size size;
    private final FloatArray table;
    private final FloatArray turns;
    private final List<Layer> layers;

    private final IntArray tokens = new IntArray(CHUNK);
    private final IntArray start = new IntArray(1);
    private final IntArray rows = new IntArray(1);
    private final FloatArray logits = new FloatArray(VOCABULARY);

    TinyEngine(Size size) {
        this.size = size;
        table = random(1, VOCABULARY, size.model(), 1);
        turns = new FloatArray(size.context() * size.headDim);
        for (int at = 0; at < turns.getSize(); at += 2) {
            double angle = turn(at / size.headDim, at % size.headDim);
            turns.set(at, (float) Math.cos(angle));
            turns.set(at + 1, (float) Math.sin(angle));
        }
        layers = IntStream.range(0, size.layers)
                .mapToObj(layer -> new Layer(
                        random(10 * layer + 2, size.row(), size.model(), 1),
                        random(10 * layer + 3, size.model(), size.model(), 0.5),
                        random(10 * layer + 4, size.hidden(), size.model(), 1),
                        random(10 * layer + 5, size.model(), size.hidden(), 0.5)))
                .toList();
    }

    private double turn(int position, int dimension) {
        return position * Math.pow(10_000, -(double) dimension / size.headDim);
    }

    private static FloatArray random(long seed, int outputs, int inputs, double factor) {
        float[] weights = Tensor.random(DType.F32, seed, outputs, inputs).toFloatArray();
        for (int i = 0; i < weights.length; i++) {
            weights[i] *= (float) (factor / Math.sqrt(inputs));
        }
        return FloatArray.fromArray(weights);
    }

    /** The graphs, and what stays on the device between them. */
    private List<ImmutableTaskGraph> graphs(FlashAttention attention, GridScheduler grids) {
        int model = size.model();
        int kvDim = size.kvDim();
        int layerSize = size.context() * kvDim;
        FloatArray x = new FloatArray(CHUNK * model);
        FloatArray norm = new FloatArray(CHUNK * model);
        FloatArray qkv = new FloatArray(CHUNK * size.row());
        FloatArray attended = new FloatArray(CHUNK * model);
        FloatArray hidden = new FloatArray(CHUNK * size.hidden());
        FloatArray keyCache = new FloatArray(size.layers * layerSize);
        FloatArray valueCache = new FloatArray(size.layers * layerSize);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, size.heads, CHUNK);
        // What stays on the device. TornadoVM brings only what a task of the graph has: the first layer brings it.
        Object[] activations = {norm, qkv, attended, hidden, keyCache, valueCache, logSumExp.array(), turns};

        List<ImmutableTaskGraph> graphs = new ArrayList<>();
        graphs.add(new TaskGraph("embedding")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, x, table)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, tokens)
                .task("embed", TinyEngine::embed, tokens, table, x, model)
                .persistOnDevice(x)
                .snapshot());

        int[] queryShape = {1, size.heads, CHUNK, size.headDim};
        Tensor q = Tensor.view(qkv, 0, queryShape, new int[] {CHUNK * size.row(), size.headDim, size.row(), 1});
        Tensor output = Tensor.view(attended, 0, queryShape, new int[] {CHUNK * model, size.headDim, model, 1});
        int[] cacheShape = {1, size.kvHeads, size.context(), size.headDim};
        int[] cacheStrides = {layerSize, size.headDim, kvDim, 1};
        for (int number = 0; number < size.layers; number++) {
            Layer layer = layers.get(number);
            int base = number * layerSize;
            KeyValuePool pool = KeyValuePool.of(
                            Tensor.view(keyCache, base, cacheShape, cacheStrides),
                            Tensor.view(valueCache, base, cacheShape, cacheStrides),
                            start)
                    .withValidRows(rows);
            TaskGraph graph = new TaskGraph("layer" + number);
            if (number == 0) {
                graph.consumeFromDevice("embedding", x).transferToDevice(DataTransferMode.FIRST_EXECUTION, activations);
            } else {
                String before = "layer" + (number - 1);
                graph.consumeFromDevice(before, x).consumeFromDevice(before, activations);
            }
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, layer.qkv, layer.output, layer.up, layer.down)
                    .transferToDevice(DataTransferMode.EVERY_EXECUTION, start, rows)
                    .task("norm", TinyEngine::normalise, x, norm, model)
                    .task("qkv", TinyEngine::multiply, norm, layer.qkv, qkv, model, size.row())
                    .task(
                            "store",
                            TinyEngine::turnAndStore,
                            qkv,
                            turns,
                            keyCache,
                            valueCache,
                            start,
                            rows,
                            base,
                            model,
                            kvDim,
                            size.headDim);
            attention.appendTo(graph, grids, "attention", q, pool, output, logSumExp, AttentionOptions.causal());
            graph.task("project", TinyEngine::multiplyAdd, attended, layer.output, x, model, model, 0)
                    .task("norm2", TinyEngine::normalise, x, norm, model)
                    .task("up", TinyEngine::multiply, norm, layer.up, hidden, model, size.hidden())
                    .task("down", TinyEngine::multiplyAdd, hidden, layer.down, x, size.hidden(), model, 1)
                    .persistOnDevice(x)
                    .persistOnDevice(activations);
            graphs.add(graph.snapshot());
        }

        graphs.add(new TaskGraph("prediction")
                .consumeFromDevice("layer" + (size.layers - 1), x, norm)
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, table)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, rows)
                .task("norm", TinyEngine::normalise, x, norm, model)
                .task("predict", TinyEngine::predict, norm, table, logits, rows, model)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, logits)
                .snapshot());
        return graphs;
    }

    /** Takes a chunk of tokens, from a position on, through all graphs. */
    private float[] execute(TornadoExecutionPlan plan, int graphs, int[] chunk, int position) {
        for (int i = 0; i < chunk.length; i++) {
            tokens.set(i, chunk[i]);
        }
        start.set(0, position);
        rows.set(0, chunk.length);
        for (int graph = 0; graph < graphs; graph++) {
            plan.withGraph(graph).execute();
        }
        return logits.toHeapArray();
    }

    /** The same model in float64, a token at a time. */
    private final class InDouble {

        private final double[][][] keys = new double[size.layers][size.context()][];
        private final double[][][] values = new double[size.layers][size.context()][];

        double[] execute(int token, int position) {
            double[] x = IntStream.range(0, size.model())
                    .mapToDouble(c -> table.get(token * size.model() + c))
                    .toArray();
            for (int number = 0; number < size.layers; number++) {
                Layer layer = layers.get(number);
                double[] qkv = times(layer.qkv, normalised(x));
                turn(qkv, 0, size.model(), position);
                turn(qkv, size.model(), size.model() + size.kvDim(), position);
                keys[number][position] = Arrays.copyOfRange(qkv, size.model(), size.model() + size.kvDim());
                values[number][position] = Arrays.copyOfRange(qkv, size.model() + size.kvDim(), size.row());
                add(x, times(layer.output, attend(qkv, number, position)));
                double[] hidden = times(layer.up, normalised(x));
                add(
                        x,
                        times(
                                layer.down,
                                Arrays.stream(hidden).map(h -> Math.max(0, h)).toArray()));
            }
            return times(table, normalised(x));
        }

        private double[] attend(double[] q, int layer, int position) {
            double[] output = new double[size.model()];
            for (int head = 0; head < size.heads; head++) {
                int at = head * size.headDim;
                int from = head / (size.heads / size.kvHeads) * size.headDim;
                double sum = 0;
                for (int j = 0; j <= position; j++) {
                    double score = 0;
                    for (int d = 0; d < size.headDim; d++) {
                        score += q[at + d] * keys[layer][j][from + d];
                    }
                    double weight = Math.exp(score / Math.sqrt(size.headDim));
                    sum += weight;
                    for (int d = 0; d < size.headDim; d++) {
                        output[at + d] += weight * values[layer][j][from + d];
                    }
                }
                for (int d = 0; d < size.headDim; d++) {
                    output[at + d] /= sum;
                }
            }
            return output;
        }

        private void turn(double[] row, int from, int to, int position) {
            for (int at = from; at < to; at += 2) {
                double angle = TinyEngine.this.turn(position, (at - from) % size.headDim);
                double first = row[at];
                double second = row[at + 1];
                row[at] = first * Math.cos(angle) - second * Math.sin(angle);
                row[at + 1] = second * Math.cos(angle) + first * Math.sin(angle);
            }
        }

        private static double[] normalised(double[] x) {
            double scale =
                    Math.sqrt(Arrays.stream(x).map(value -> value * value).sum() / x.length + 1e-5);
            return Arrays.stream(x).map(value -> value / scale).toArray();
        }

        private static double[] times(FloatArray w, double[] x) {
            return IntStream.range(0, w.getSize() / x.length)
                    .mapToDouble(row -> IntStream.range(0, x.length)
                            .mapToDouble(c -> w.get(row * x.length + c) * x[c])
                            .sum())
                    .toArray();
        }

        private static void add(double[] x, double[] y) {
            for (int i = 0; i < x.length; i++) {
                x[i] += y[i];
            }
        }
    }

    private static int largest(double[] values) {
        return IntStream.range(0, values.length)
                .reduce((one, other) -> values[other] > values[one] ? other : one)
                .orElseThrow();
    }

    void run() throws TornadoExecutionPlanException {
        int[] text = new int[size.context()];
        for (int i = 0; i < size.prompt; i++) {
            text[i] = (31 * i + 7) % VOCABULARY;
        }
        InDouble reference = new InDouble();
        GridScheduler grids = new GridScheduler();
        double worst = 0;
        try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs())) {
            List<ImmutableTaskGraph> graphs = graphs(attention, grids);
            System.out.printf(
                    "%d layers of %d/%d heads x %d, on %s%n",
                    size.layers, size.heads, size.kvHeads, size.headDim, attention.device());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graphs.toArray(ImmutableTaskGraph[]::new))) {
                plan.withDevice(attention.device().handle()).withGridScheduler(grids);
                int chunks = 0;
                int position = 0;
                while (position < size.context() - 1) {
                    int end = position < size.prompt ? Math.min(position + CHUNK, size.prompt) : position + 1;
                    chunks += position < size.prompt ? 1 : 0;
                    float[] predicted = execute(plan, graphs.size(), Arrays.copyOfRange(text, position, end), position);
                    double[] expected = {};
                    for (; position < end; position++) {
                        expected = reference.execute(text[position], position);
                    }
                    double[] computed = IntStream.range(0, VOCABULARY)
                            .mapToDouble(token -> predicted[token])
                            .toArray();
                    for (int token = 0; token < VOCABULARY; token++) {
                        worst = Math.max(worst, Math.abs(computed[token] - expected[token]));
                    }
                    if (largest(computed) != largest(expected)) {
                        throw new IllegalStateException("At position %d the engine says token %d, float64 %d."
                                .formatted(position, largest(computed), largest(expected)));
                    }
                    if (position >= size.prompt) {
                        text[position] = largest(computed);
                    }
                }
                System.out.printf("a prompt of %d tokens in %d chunks, then token by token:%n", size.prompt, chunks);
            }
        }
        System.out.println(Arrays.toString(Arrays.copyOfRange(text, size.prompt, text.length)));
        System.out.printf(
                "all %d tokens are those of the float64 run; the largest difference of a logit is %.1e%n",
                size.tokens, worst);
    }

    static void main(String[] arguments) {
        Example.run(TinyEngine.class, "[LAYERS [HEADS [KV_HEADS [HEAD_DIM [PROMPT [NEW]]]]]]", arguments, given -> {
            new TinyEngine(new Size(
                            Example.number(given, 0, 2, 1),
                            Example.number(given, 1, 4, 1),
                            Example.number(given, 2, 2, 1),
                            Example.number(given, 3, 16, 2),
                            Example.number(given, 4, 21, 1),
                            Example.number(given, 5, 12, 1)))
                    .run();
        });
    }
}
