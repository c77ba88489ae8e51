package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.function.ScoreSlope;
import org.tornadoattention.tensor.Tensor;

/**
 * The oracle: attention and its gradients in float64, as plain as the formula, for every option.
 *
 * <p>Each row of each result is computed by one thread in a fixed order, so results are the same on every run and every
 * number of cores. All arrays are row-major: queries {@code [batch, heads, seqQ, headDim]}, keys and values
 * {@code [batch, kvHeads, seqK, headDim]}, log-sum-exp {@code [batch, heads, seqQ]}.
 */
public final class ReferenceAttention {
    private final AttentionShape shape;
    private final AttentionOptions options;
    private final Mask mask;
    private final double scale;
    private final ScoreFunction slope;
    private final double[] q;
    private final double[] k;
    private final double[] v;

    private ReferenceAttention(
            AttentionShape shape, double[] q, double[] k, double[] v, AttentionOptions options, boolean backward) {
        shape.requireFitting(options);
        this.shape = shape;
        this.options = options;
        this.mask = options.mask();
        this.scale = options.scaleFor(shape.headDim());
        this.slope = backward && options.score().isPresent()
                ? ScoreSlope.of(options.score().get())
                : (_, _, _, _, _) -> 1;
        this.q = requireSize("q", q, shape.queryShape());
        this.k = requireSize("k", k, shape.keyShape());
        this.v = requireSize("v", v, shape.valueShape());
    }

    /**
     * The results of a forward pass.
     *
     * @param output {@code [batch, heads, seqQ, valueDim]}; 0 in rows that see no key
     * @param logSumExp natural logarithm, {@code [batch, heads, seqQ]}; {@code -∞} for rows that see no key
     */
    public record Forward(double[] output, double[] logSumExp) {
        /**
         * Checks that everything is given.
         *
         * @throws IllegalArgumentException if something is null
         */
        public Forward {
            required(output, "output");
            required(logSumExp, "logSumExp");
        }
    }

    /**
     * The results of a backward pass.
     *
     * @param dQ {@code [batch, heads, seqQ, headDim]}
     * @param dK {@code [batch, kvHeads, seqK, headDim]}
     * @param dV {@code [batch, kvHeads, seqK, valueDim]}
     * @param dBias like the bias, empty without
     * @param dSinks {@code [heads]}, empty without sinks
     */
    public record Backward(double[] dQ, double[] dK, double[] dV, double[] dBias, double[] dSinks) {

        /**
         * Gradients of attention without bias and sinks.
         *
         * @param dQ {@code [batch, heads, seqQ, headDim]}
         * @param dK {@code [batch, kvHeads, seqK, headDim]}
         * @param dV {@code [batch, kvHeads, seqK, valueDim]}
         */
        public Backward(double[] dQ, double[] dK, double[] dV) {
            this(dQ, dK, dV, new double[0], new double[0]);
        }

        /**
         * Checks that everything is given.
         *
         * @throws IllegalArgumentException if something is null
         */
        public Backward {
            required(dQ, "dQ");
            required(dK, "dK");
            required(dV, "dV");
            required(dBias, "dBias");
            required(dSinks, "dSinks");
        }
    }

    /**
     * Attention over three tensors.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return output and log-sum-exp in float64
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Forward forward(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        return forward(shape, widened(q), widened(k), widened(v), options);
    }

    /**
     * Attention over float64 arrays.
     *
     * @param shape sizes of the problem
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return output and log-sum-exp in float64
     * @throws IllegalArgumentException if an array's size or the options do not fit the shape
     */
    public static Forward forward(AttentionShape shape, double[] q, double[] k, double[] v, AttentionOptions options) {
        required(shape, "shape");
        required(q, "q");
        required(k, "k");
        required(v, "v");
        required(options, "options");
        return new ReferenceAttention(shape, q, k, v, options, false).forward();
    }

    /**
     * The gradients of attention over three tensors.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param dO the gradient with respect to the output, of its shape
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return the three gradients in float64
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Backward backward(Tensor q, Tensor k, Tensor v, Tensor dO, AttentionOptions options) {
        required(dO, "dO");
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        return backward(shape, widened(q), widened(k), widened(v), widened(dO), options);
    }

    /**
     * The gradients of attention over three tensors where a gradient arrives on the log-sum-exp too.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param dO the gradient with respect to the output, of its shape
     * @param dLse the gradient with respect to the log-sum-exp, {@code [batch, heads, seqQ]}
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return the three gradients in float64
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Backward backward(Tensor q, Tensor k, Tensor v, Tensor dO, Tensor dLse, AttentionOptions options) {
        required(dO, "dO");
        required(dLse, "dLse");
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        return backward(shape, widened(q), widened(k), widened(v), widened(dO), widened(dLse), options);
    }

    /**
     * The gradients of attention over float64 arrays.
     *
     * @param shape sizes of the problem
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param dO the gradient with respect to the output, of its size
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return the three gradients in float64
     * @throws IllegalArgumentException if an array's size or the options do not fit the shape
     */
    public static Backward backward(
            AttentionShape shape, double[] q, double[] k, double[] v, double[] dO, AttentionOptions options) {
        required(shape, "shape");
        required(dO, "dO");
        return backward(shape, q, k, v, dO, new double[Math.toIntExact(shape.queryRows())], options);
    }

    /**
     * The gradients of attention over float64 arrays where a gradient arrives on the log-sum-exp too.
     *
     * @param shape sizes of the problem
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param dO the gradient with respect to the output, of its size
     * @param dLse the gradient with respect to the log-sum-exp, {@code [batch, heads, seqQ]}
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return the three gradients in float64
     * @throws IllegalArgumentException if an array's size or the options do not fit the shape
     */
    public static Backward backward(
            AttentionShape shape,
            double[] q,
            double[] k,
            double[] v,
            double[] dO,
            double[] dLse,
            AttentionOptions options) {
        required(shape, "shape");
        required(q, "q");
        required(k, "k");
        required(v, "v");
        required(dO, "dO");
        required(dLse, "dLse");
        required(options, "options");
        return new ReferenceAttention(shape, q, k, v, options, true).backward(dO, dLse);
    }

    private Forward forward() {
        Forward result =
                new Forward(new double[elements(shape.outputShape())], new double[Math.toIntExact(shape.queryRows())]);
        forEachRow(shape.heads(), shape.seqQ(), (entry, head, query, row) -> {
            int keys = options.keyLength(entry, shape.seqK());
            int first = mask.firstKey(query, shape.seqQ(), keys);
            int end = mask.endKey(query, shape.seqQ(), keys);
            double[] scores = new double[Math.max(0, end - first)];
            double max = Double.NEGATIVE_INFINITY;
            for (int key = first; key < end; key++) {
                double score = score(cappedScore(row, keyRow(entry, head, key)), entry, head, query, key, keys);
                scores[key - first] = score;
                max = Math.max(max, score);
            }
            double sink =
                    options.sinks().map(sinks -> (double) sinks.getFlat(head)).orElse(Double.NEGATIVE_INFINITY);
            max = Math.max(max, sink);
            if (max == Double.NEGATIVE_INFINITY) {
                result.logSumExp[row] = max;
                return;
            }
            double sum = Math.exp(sink - max);
            for (double score : scores) {
                sum += Math.exp(score - max);
            }
            for (int key = first; key < end; key++) {
                if (scores[key - first] == Double.NEGATIVE_INFINITY) {
                    continue;
                }
                double probability = factor(entry, head, query, key) * Math.exp(scores[key - first] - max) / sum;
                addScaled(result.output, row, probability, v, keyRow(entry, head, key), shape.valueDim());
            }
            result.logSumExp[row] = max + Math.log(sum);
        });
        return result;
    }

    private Backward backward(double[] dO, double[] dLse) {
        requireSize("dO", dO, shape.outputShape());
        if (dLse.length != shape.queryRows()) {
            throw new IllegalArgumentException(
                    "dLse has %d elements: give one for each of %d queries.".formatted(dLse.length, shape.queryRows()));
        }
        Forward forward = forward();
        double[] d = new double[forward.logSumExp.length];
        Backward result = new Backward(
                new double[q.length],
                new double[k.length],
                new double[v.length],
                new double[options.bias().map(Tensor::numberOfElements).orElse(0)],
                new double[options.sinks().isPresent() ? shape.heads() : 0]);

        // D = rowsum(dO ∘ O) − dL, then dQ = scale · dS · K with dS = P ∘ (dO·Vᵀ − D)
        forEachRow(shape.heads(), shape.seqQ(), (entry, head, query, row) -> {
            d[row] = dot(dO, row, forward.output, row, shape.valueDim()) - dLse[row];
            int keys = options.keyLength(entry, shape.seqK());
            for (int key = mask.firstKey(query, shape.seqQ(), keys);
                    key < mask.endKey(query, shape.seqQ(), keys);
                    key++) {
                int keyRow = keyRow(entry, head, key);
                double capped = cappedScore(row, keyRow);
                double score = score(capped, entry, head, query, key, keys);
                if (score == Double.NEGATIVE_INFINITY) {
                    continue;
                }
                double p = Math.exp(score - forward.logSumExp[row]);
                double dP = factor(entry, head, query, key) * dot(dO, row, v, keyRow, shape.valueDim());
                double dS = p * (dP - d[row]) * slope(capped, entry, head, query, key, keys);
                addScaled(result.dQ, row, scale * dS, k, keyRow, shape.headDim());
            }
        });

        addBiasAndSinkGradients(forward, d, dO, result);

        // dV = Pᵀ · dO and dK = scale · dSᵀ · Q, summed over the query heads of a group
        forEachRow(shape.kvHeads(), shape.seqK(), (entry, kvHead, key, keyRow) -> {
            int keys = options.keyLength(entry, shape.seqK());
            int firstHead = kvHead * shape.groupSize();
            for (int head = firstHead; key < keys && head < firstHead + shape.groupSize(); head++) {
                for (int query = 0; query < shape.seqQ(); query++) {
                    if (!mask.window().allows(query, key, shape.seqQ(), keys)) {
                        continue;
                    }
                    int row = (entry * shape.heads() + head) * shape.seqQ() + query;
                    double capped = cappedScore(row, keyRow);
                    double score = score(capped, entry, head, query, key, keys);
                    if (score == Double.NEGATIVE_INFINITY) {
                        continue;
                    }
                    double p = Math.exp(score - forward.logSumExp[row]);
                    double factor = factor(entry, head, query, key);
                    double dS = p
                            * (factor * dot(dO, row, v, keyRow, shape.valueDim()) - d[row])
                            * slope(capped, entry, head, query, key, keys);
                    addScaled(result.dV, keyRow, factor * p, dO, row, shape.valueDim());
                    addScaled(result.dK, keyRow, scale * dS, q, row, shape.headDim());
                }
            }
        });
        return result;
    }

    /** {@code dBias = Σ P ∘ (dP − D) f′} over what shares an element, and {@code dt = −Σ e^(t − L) D}. */
    private void addBiasAndSinkGradients(Forward forward, double[] d, double[] dO, Backward result) {
        for (int row = 0; row < d.length; row++) {
            int query = row % shape.seqQ();
            int head = row / shape.seqQ() % shape.heads();
            int entry = row / shape.seqQ() / shape.heads();
            if (options.sinks().isPresent()) {
                double sink = options.sinks().get().getFlat(head);
                result.dSinks[head] -= Math.exp(sink - forward.logSumExp[row]) * d[row];
            }
            int keys = options.keyLength(entry, shape.seqK());
            int end = options.bias().isPresent() ? mask.endKey(query, shape.seqQ(), keys) : 0;
            for (int key = mask.firstKey(query, shape.seqQ(), keys); key < end; key++) {
                int keyRow = keyRow(entry, head, key);
                double capped = cappedScore(row, keyRow);
                double score = score(capped, entry, head, query, key, keys);
                if (score != Double.NEGATIVE_INFINITY) {
                    double dP = factor(entry, head, query, key) * dot(dO, row, v, keyRow, shape.valueDim());
                    double dS = Math.exp(score - forward.logSumExp[row]) * (dP - d[row]);
                    result.dBias[biasElement(entry, head, query, key)] +=
                            dS * functionSlope(capped, entry, head, query, key, keys);
                }
            }
        }
    }

    private int biasElement(int entry, int head, int query, int key) {
        Tensor bias = options.bias().orElseThrow();
        int biasEntry = bias.dimension(0) == 1 ? 0 : entry;
        int biasHead = bias.dimension(1) == 1 ? 0 : head;
        return ((biasEntry * bias.dimension(1) + biasHead) * shape.seqQ() + query) * shape.seqK() + key;
    }

    /** {@code scale · q·k}, or {@code c · tanh(scale · q·k / c)} with a softcap. */
    private double cappedScore(int queryRow, int keyRow) {
        double score = scale * dot(q, queryRow, k, keyRow, shape.headDim());
        double cap = options.softcap();
        return options.hasSoftcap() ? cap * Math.tanh(score / cap) : score;
    }

    /**
     * What softmax is taken of, −∞ where the mask's condition hides the key. A score function is asked as kernels ask
     * it, in F32, and only about keys that are seen.
     */
    private double score(double capped, int entry, int head, int query, int key, int keys) {
        boolean seen = mask.condition().isEmpty()
                || mask.condition().get().sees(entry, head, query, key, query + keys - shape.seqQ());
        if (!seen) {
            return Double.NEGATIVE_INFINITY;
        }
        double biased = biased(capped, entry, head, query, key, keys);
        return options.score().isEmpty()
                ? biased
                : options.score().get().apply((float) biased, entry, head, query, key);
    }

    /** The derivative of {@link #score} with respect to the scaled product. */
    private double slope(double capped, int entry, int head, int query, int key, int keys) {
        return capSlope(capped) * functionSlope(capped, entry, head, query, key, keys);
    }

    /** The derivative of the score function. */
    private double functionSlope(double capped, int entry, int head, int query, int key, int keys) {
        return slope.apply((float) biased(capped, entry, head, query, key, keys), entry, head, query, key);
    }

    /** The score before the score function. */
    private double biased(double capped, int entry, int head, int query, int key, int keys) {
        double dense = options.bias()
                .map(bias -> (double) bias.getFlat(biasElement(entry, head, query, key)))
                .orElse(0.0);
        return capped - bias(head, query, key, keys) + dense;
    }

    /** The derivative of the softcap where it gave {@code capped}. */
    private double capSlope(double capped) {
        double ratio = options.hasSoftcap() ? capped / options.softcap() : 0;
        return 1 - ratio * ratio;
    }

    /** What ALiBi takes off a score: {@code slope · |i + keys - seqQ - j|}. */
    private double bias(int head, int query, int key, int keys) {
        return options.alibiSlope(head) * Math.abs((double) query + keys - shape.seqQ() - key);
    }

    /** What dropout multiplies a probability by. */
    private double factor(int entry, int head, int query, int key) {
        return DropoutPattern.factor(options.dropout(), entry * shape.heads() + head, query, key);
    }

    private int keyRow(int entry, int head, int key) {
        return (entry * shape.kvHeads() + shape.kvHead(head)) * shape.seqK() + key;
    }

    private static double dot(double[] a, int aRow, double[] b, int bRow, int width) {
        double sum = 0;
        for (int i = 0; i < width; i++) {
            sum += a[aRow * width + i] * b[bRow * width + i];
        }
        return sum;
    }

    private static void addScaled(
            double[] target, int targetRow, double factor, double[] source, int sourceRow, int width) {
        for (int i = 0; i < width; i++) {
            target[targetRow * width + i] += factor * source[sourceRow * width + i];
        }
    }

    private void forEachRow(int heads, int seq, RowBody body) {
        int rows = Math.toIntExact((long) shape.batch() * heads * seq);
        IntStream.range(0, rows)
                .parallel()
                .forEach(row -> body.accept(row / seq / heads, row / seq % heads, row % seq, row));
    }

    @FunctionalInterface
    private interface RowBody {
        void accept(int entry, int head, int position, int row);
    }

    private static int elements(int[] shape) {
        return Math.toIntExact(Math.multiplyExact((long) shape[0] * shape[1], (long) shape[2] * shape[3]));
    }

    private static double[] requireSize(String name, double[] values, int[] shape) {
        int size = elements(shape);
        if (values.length != size) {
            throw new IllegalArgumentException("%s has %d elements, but the shape asks for %d: give an array of %s."
                    .formatted(name, values.length, size, Arrays.toString(shape)));
        }
        return values;
    }

    private static double[] widened(Tensor tensor) {
        float[] values = tensor.toFloatArray();
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
