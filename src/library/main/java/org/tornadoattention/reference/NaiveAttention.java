package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.function.ScoreSlope;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Standard attention in the storage precision: the yardstick of the tolerance rule, not a fast or exact method.
 *
 * <p>Inputs, the matrix operands {@code P} and {@code dS}, and results are rounded to the tensors' type; scores, the
 * softmax and all sums are F32. Sums over keys and queries are pairwise, since a chain of additions over very many
 * would be a yardstick that forgives the same in others. The backward pass has what the forward pass stored: {@code D =
 * rowsum(dO ∘ O)} is of the rounded output, as in every flash attention. What error this has is what the precision
 * itself costs. Results are the same on every run and every number of cores. Layouts are those of
 * {@link ReferenceAttention}.
 *
 * <p>{@link #forwardFp8} is the same for products of 8-bit numbers (E4M3), as the paper on FlashAttention-3 has it in
 * its table of errors: Q, K and V are rounded with one scale each, a power of two, and so is P. ∞ becomes NaN, since
 * E4M3 has none.
 */
public final class NaiveAttention {
    private static final float LARGEST_E4M3 = 448;

    /** Terms of a sum that are added one after the other. */
    private static final int CHAIN = 32;

    private final AttentionShape shape;
    private final AttentionOptions options;
    private final Mask mask;
    private final DType dtype;
    private final float scale;
    private final float softcap;
    private final float[] q;
    private final float[] k;
    private final float[] v;
    private final boolean fp8;
    private final ScoreFunction slope;

    private NaiveAttention(Tensor q, Tensor k, Tensor v, AttentionOptions options, boolean fp8, boolean backward) {
        this.shape = AttentionShape.of(q, k, v, options);
        this.options = options;
        this.mask = options.mask();
        this.dtype = q.dtype();
        this.scale = (float) options.scaleFor(shape.headDim());
        this.softcap = (float) options.softcap();
        this.fp8 = fp8;
        this.slope = backward && options.score().isPresent()
                ? ScoreSlope.of(options.score().get())
                : (_, _, _, _, _) -> 1;
        this.q = operand(q);
        this.k = operand(k);
        this.v = operand(v);
    }

    private float[] operand(Tensor tensor) {
        float[] values = tensor.toFloatArray();
        if (fp8) {
            float largest = 0;
            for (float value : values) {
                largest = Math.max(largest, Float.isFinite(value) ? Math.abs(value) : 0);
            }
            float unit = largest > 0 ? Math.scalb(1f, Math.getExponent(largest) - 7) : 1;
            for (int i = 0; i < values.length; i++) {
                values[i] = Float.isFinite(values[i]) ? unit * roundToE4M3(values[i] / unit) : Float.NaN;
            }
        }
        return values;
    }

    /** To nearest even; what is larger than 448 becomes 448. */
    static float roundToE4M3(float value) {
        float limited = Math.clamp(value, -LARGEST_E4M3, LARGEST_E4M3);
        float step = Math.scalb(1f, Math.max(Math.getExponent(limited), -6) - 3);
        return Float.isNaN(value) ? value : (float) Math.rint(limited / step) * step;
    }

    /**
     * The results of a forward pass.
     *
     * @param output {@code [batch, heads, seqQ, valueDim]}, rounded to the inputs' type
     * @param logSumExp F32 {@code [batch, heads, seqQ]}; {@code -∞} for rows that see no key
     */
    public record Forward(float[] output, float[] logSumExp) {
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
     * The results of a backward pass, rounded to the inputs' type.
     *
     * @param dQ {@code [batch, heads, seqQ, headDim]}
     * @param dK {@code [batch, kvHeads, seqK, headDim]}
     * @param dV {@code [batch, kvHeads, seqK, valueDim]}
     * @param dBias like the bias, empty without
     * @param dSinks {@code [heads]}, empty without sinks
     */
    public record Backward(float[] dQ, float[] dK, float[] dV, float[] dBias, float[] dSinks) {
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
     * @return output and log-sum-exp, rounded as standard attention rounds
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Forward forward(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        return new NaiveAttention(q, k, v, options, false, false).forward();
    }

    /**
     * Attention over three tensors with products of 8-bit numbers, without dropout.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return output and log-sum-exp, rounded as standard attention rounds
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Forward forwardFp8(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        return new NaiveAttention(q, k, v, options, true, false).forward();
    }

    /**
     * The gradients of attention over three tensors.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param dO the gradient with respect to the output, of its shape and of the type of {@code q}
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return the three gradients, rounded as standard attention rounds
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Backward backward(Tensor q, Tensor k, Tensor v, Tensor dO, AttentionOptions options) {
        required(dO, "dO");
        float[] none =
                new float[Math.toIntExact(AttentionShape.of(q, k, v, options).queryRows())];
        return backward(q, k, v, dO, none, options);
    }

    /**
     * The gradients of attention over three tensors where a gradient arrives on the log-sum-exp too.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q
     * @param v values {@code [batch, kvHeads, seqK, valueDim]}, of the type of q
     * @param dO the gradient with respect to the output, of its shape and of the type of {@code q}
     * @param dLse the gradient with respect to the log-sum-exp, {@code [batch, heads, seqQ]}
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @return the three gradients, rounded as standard attention rounds
     * @throws IllegalArgumentException if the tensors or the options do not fit together
     */
    public static Backward backward(Tensor q, Tensor k, Tensor v, Tensor dO, float[] dLse, AttentionOptions options) {
        required(q, "q");
        required(dO, "dO");
        required(dLse, "dLse");
        int[] outputShape = AttentionShape.of(q, k, v, options).outputShape();
        if (!Arrays.equals(outputShape, dO.shape()) || q.dtype() != dO.dtype()) {
            throw new IllegalArgumentException("dO is %s: it must be like the output, %s %s."
                    .formatted(dO, q.dtype(), Arrays.toString(outputShape)));
        }
        return new NaiveAttention(q, k, v, options, false, true).backward(dO.toFloatArray(), dLse);
    }

    private Forward forward() {
        Forward result = new Forward(
                new float[Math.toIntExact(shape.queryRows() * shape.valueDim())],
                new float[Math.toIntExact(shape.queryRows())]);
        IntStream.range(0, result.logSumExp.length).parallel().forEach(row -> {
            Softmax softmax = softmax(row);
            float[] output = sum(
                    softmax.first,
                    softmax.end,
                    shape.valueDim(),
                    (key, sum) -> addScaled(sum, 0, softmax.kept(key), v, softmax.keyRow(key), shape.valueDim()));
            setRounded(result.output, row, output, 0, shape.valueDim());
            result.logSumExp[row] = softmax.logSumExp;
        });
        return result;
    }

    private Backward backward(float[] dO, float[] dLse) {
        Backward result = new Backward(
                new float[q.length],
                new float[k.length],
                new float[v.length],
                new float[options.bias().map(Tensor::numberOfElements).orElse(0)],
                new float[options.sinks().isPresent() ? shape.heads() : 0]);
        float[] output = forward().output;
        // One key/value head belongs to one thread, which adds up the rows of its query heads in order.
        IntStream.range(0, shape.batch() * shape.kvHeads()).parallel().forEach(kvHead -> {
            int rows = shape.groupSize() * shape.seqQ();
            int keys = shape.seqK();
            float[] sums = sum(
                    kvHead * rows,
                    (kvHead + 1) * rows,
                    keys * (shape.headDim() + shape.valueDim()),
                    (row, sum) -> backwardRow(row, kvHead, output, dO, dLse[row], result.dQ, sum));
            for (int key = 0; key < keys; key++) {
                int keyRow = kvHead * keys + key;
                setRounded(result.dK, keyRow, sums, key * shape.headDim(), shape.headDim());
                int ofValues = keys * shape.headDim() + key * shape.valueDim();
                setRounded(result.dV, keyRow, sums, ofValues, shape.valueDim());
            }
        });
        addBiasAndSinkGradients(output, dO, dLse, result);
        return result;
    }

    private void addBiasAndSinkGradients(float[] output, float[] dO, float[] dLse, Backward result) {
        if (options.bias().isEmpty() && options.sinks().isEmpty()) {
            return;
        }
        for (int row = 0; row < dLse.length; row++) {
            Softmax softmax = softmax(row);
            int head = row / shape.seqQ() % shape.heads();
            float d = dot(dO, row, output, row, shape.valueDim()) - dLse[row];
            if (options.sinks().isPresent()) {
                float sink = options.sinks().get().getFlat(head);
                result.dSinks[head] -= (float) Math.exp(sink - softmax.logSumExp) * d;
            }
            for (int key = softmax.first; options.bias().isPresent() && key < softmax.end; key++) {
                float dP = softmax.factor(key) * dot(dO, row, v, softmax.keyRow(key), shape.valueDim());
                float dS = softmax.probability(key) * (dP - d);
                int element = biasElement(row / shape.seqQ() / shape.heads(), head, row % shape.seqQ(), key);
                result.dBias[element] += dS * softmax.functionSlopes[key - softmax.first];
            }
        }
        options.bias().ifPresent(bias -> {
            for (int element = 0; element < result.dBias.length; element++) {
                result.dBias[element] = bias.dtype().round(result.dBias[element]);
            }
        });
    }

    private int biasElement(int entry, int head, int query, int key) {
        Tensor bias = options.bias().orElseThrow();
        int biasEntry = bias.dimension(0) == 1 ? 0 : entry;
        int biasHead = bias.dimension(1) == 1 ? 0 : head;
        return ((biasEntry * bias.dimension(1) + biasHead) * shape.seqQ() + query) * shape.seqK() + key;
    }

    /** Sets a row of dQ, and adds what it gives to a head's dK and, behind them, dV. */
    private void backwardRow(
            int row, int kvHead, float[] output, float[] dO, float dLse, float[] dQ, float[] keyValueGradients) {
        Softmax softmax = softmax(row);
        float d = dot(dO, row, output, row, shape.valueDim()) - dLse;
        float[] gradient = sum(softmax.first, softmax.end, shape.headDim(), (key, sum) -> {
            float p = softmax.probability(key);
            int keyRow = softmax.keyRow(key);
            float dP = softmax.factor(key) * dot(dO, row, v, keyRow, shape.valueDim());
            float dS = dtype.round(p * (dP - d) * softmax.capSlopes[key - softmax.first]);
            int ofHead = keyRow - kvHead * shape.seqK();
            int ofValues = shape.seqK() * shape.headDim() + ofHead * shape.valueDim();
            addScaled(sum, 0, scale * dS, k, keyRow, shape.headDim());
            addScaled(keyValueGradients, ofHead * shape.headDim(), scale * dS, q, row, shape.headDim());
            addScaled(keyValueGradients, ofValues, softmax.kept(key), dO, row, shape.valueDim());
        });
        setRounded(dQ, row, gradient, 0, shape.headDim());
    }

    /** Adds a term, of as many elements as the sum has. */
    private interface Terms {
        void add(int index, float[] sum);
    }

    /** The sum of terms {@code from} to {@code end - 1}, pairwise. */
    private static float[] sum(int from, int end, int width, Terms terms) {
        if (end - from <= CHAIN) {
            float[] sum = new float[width];
            for (int index = from; index < end; index++) {
                terms.add(index, sum);
            }
            return sum;
        }
        int middle = (from + end) >>> 1;
        float[] sum = sum(from, middle, width, terms);
        float[] second = sum(middle, end, width, terms);
        for (int i = 0; i < width; i++) {
            sum[i] += second[i];
        }
        return sum;
    }

    /** One row of P, rounded to the storage type, with the slope of the softcap at each score. */
    private record Softmax(
            int first,
            int end,
            int firstKeyRow,
            float[] probabilities,
            float[] factors,
            float[] capSlopes,
            float[] functionSlopes,
            float logSumExp,
            DType dtype) {
        float probability(int key) {
            return probabilities[key - first];
        }

        /** What dropout multiplies the probability by. */
        float factor(int key) {
            return factors[key - first];
        }

        /** The probability as the output sees it. */
        float kept(int key) {
            return dtype.round(factor(key) * probability(key));
        }

        int keyRow(int key) {
            return firstKeyRow + key;
        }
    }

    private Softmax softmax(int row) {
        int query = row % shape.seqQ();
        int head = row / shape.seqQ() % shape.heads();
        int entry = row / shape.seqQ() / shape.heads();
        int keys = options.keyLength(entry, shape.seqK());
        int first = mask.firstKey(query, shape.seqQ(), keys);
        int end = Math.max(first, mask.endKey(query, shape.seqQ(), keys));
        int firstKeyRow = (entry * shape.kvHeads() + shape.kvHead(head)) * shape.seqK();

        float[] weights = new float[end - first];
        float[] factors = new float[end - first];
        float[] capSlopes = new float[end - first];
        float[] functionSlopes = new float[end - first];
        float max = Float.NEGATIVE_INFINITY;
        for (int key = first; key < end; key++) {
            float score = scale * dot(q, row, k, firstKeyRow + key, shape.headDim());
            float tanh = options.hasSoftcap() ? (float) Math.tanh(score / softcap) : 0;
            float capped = options.hasSoftcap() ? softcap * tanh : score;
            float distance = Math.abs((float) ((long) query + keys - shape.seqQ() - key));
            float biased = capped - options.alibiSlope(head) * distance;
            if (options.bias().isPresent()) {
                biased += options.bias().get().getFlat(biasElement(entry, head, query, key));
            }
            boolean seen = mask.condition().isEmpty()
                    || mask.condition().get().sees(entry, head, query, key, query + keys - shape.seqQ());
            weights[key - first] = seen ? score(biased, entry, head, query, key) : Float.NEGATIVE_INFINITY;
            functionSlopes[key - first] = seen ? slope.apply(biased, entry, head, query, key) : 0;
            capSlopes[key - first] = (1 - tanh * tanh) * functionSlopes[key - first];
            factors[key - first] = (float) DropoutPattern.factor(options.dropout(), row / shape.seqQ(), query, key);
            max = Math.max(max, weights[key - first]);
        }
        float sink = options.sinks().map(sinks -> sinks.getFlat(head)).orElse(Float.NEGATIVE_INFINITY);
        float top = Math.max(max, sink);
        for (int i = 0; i < weights.length; i++) {
            weights[i] = weights[i] == Float.NEGATIVE_INFINITY ? 0 : (float) Math.exp(weights[i] - top);
        }
        float sum = sum(0, weights.length, 1, (i, part) -> part[0] += weights[i])[0];
        sum += sink == Float.NEGATIVE_INFINITY ? 0 : (float) Math.exp(sink - top);
        for (int i = 0; sum > 0 && i < weights.length; i++) {
            weights[i] = fp8 ? roundToE4M3(0x1p8f * weights[i]) * 0x1p-8f / sum : dtype.round(weights[i] / sum);
        }
        float logSumExp = top == Float.NEGATIVE_INFINITY ? top : top + (float) Math.log(sum);
        return new Softmax(
                first,
                end,
                firstKeyRow,
                weights,
                factors,
                capSlopes,
                functionSlopes,
                logSumExp,
                fp8 ? DType.F32 : dtype);
    }

    private float score(float biased, int entry, int head, int query, int key) {
        return options.score().isEmpty() ? biased : options.score().get().apply(biased, entry, head, query, key);
    }

    private static float dot(float[] a, int aRow, float[] b, int bRow, int width) {
        float sum = 0;
        for (int i = 0; i < width; i++) {
            sum += a[aRow * width + i] * b[bRow * width + i];
        }
        return sum;
    }

    private static void addScaled(float[] target, int from, float factor, float[] source, int sourceRow, int width) {
        for (int i = 0; i < width; i++) {
            target[from + i] += factor * source[sourceRow * width + i];
        }
    }

    private void setRounded(float[] target, int targetRow, float[] source, int from, int width) {
        for (int i = 0; i < width; i++) {
            target[targetRow * width + i] = dtype.round(source[from + i]);
        }
    }
}
