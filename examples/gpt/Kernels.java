package gpt;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.TanhGelu;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * What a GPT computes besides attention and matrix products, forward and backward.
 *
 * <p>A row is one token of one sequence, {@code row = entry * sequence + position}; matrices are {@code [rows, width]},
 * row-major, F32. Every element is written by one work-item, which sums in order: no atomics, so the same input gives
 * the same bits. Loops end at the size of an array, since TornadoVM replaces a parameter that bounds a parallel loop by
 * the size of the grid.
 */
public final class Kernels {

    static final float VARIANCE_FLOOR = 1e-5f;

    static final float BETA_1 = 0.9f;
    static final float BETA_2 = 0.99f;
    static final float DENOMINATOR_FLOOR = 1e-8f;

    private Kernels() {}

    // -- embeddings: x[t] = E[token t] + B[token t - 1] + P[position] --

    /** The first token of a sequence has none before it. */
    public static void embed(
            IntArray tokens,
            FloatArray tokenTable,
            FloatArray beforeTable,
            FloatArray positionTable,
            FloatArray x,
            int sequence,
            int width) {
        for (@Parallel int i = 0; i < x.getSize(); i++) {
            int row = i / width;
            int channel = i % width;
            int position = row % sequence;
            float sum =
                    tokenTable.get(tokens.get(row) * width + channel) + positionTable.get(position * width + channel);
            if (position > 0) {
                sum += beforeTable.get(tokens.get(row - 1) * width + channel);
            }
            x.set(i, sum);
        }
    }

    /**
     * The gradient of a table that is looked up by the token {@code back} places before each row: the sum of dx over
     * the rows that looked there, added to what is in the table's gradient if {@code accumulate} is 1.
     */
    public static void embeddingGradient(
            IntArray tokens, FloatArray dx, FloatArray dTable, int sequence, int width, int back, int accumulate) {
        for (@Parallel int i = 0; i < dTable.getSize(); i++) {
            int token = i / width;
            int channel = i % width;
            float sum = 0f;
            if (accumulate == 1) {
                sum = dTable.get(i);
            }
            for (int row = back; row < tokens.getSize(); row++) {
                if (tokens.get(row - back) == token && row % sequence >= back) {
                    sum += dx.get(row * width + channel);
                }
            }
            dTable.set(i, sum);
        }
    }

    /** Channels of a table that a group of {@link #embeddingGradientParts} sums, one for each work-item. */
    static final int CHANNELS = 64;

    /** Local memory that every GPU has. */
    private static final int LOCAL_BYTES = 48 * 1024;

    /** Whether a table's gradient has room in local memory, {@link #CHANNELS} of it. */
    static boolean isInLocalMemory(int vocabulary) {
        return vocabulary * CHANNELS * Float.BYTES <= LOCAL_BYTES;
    }

    /**
     * As {@link #embeddingGradient}, of so many rows for each part, {@code [parts, vocabulary, width]}, for GPUs: a
     * group adds its rows to {@link #CHANNELS} channels of the whole table in local memory. Its parts follow
     * {@code before} others in the array.
     */
    public static void embeddingGradientParts(
            KernelContext context,
            IntArray tokens,
            FloatArray dx,
            FloatArray parts,
            int before,
            int rowsOfPart,
            int vocabulary,
            int sequence,
            int width,
            int back) {
        float[] table = context.allocateFloatLocalArray(vocabulary * CHANNELS);
        int item = context.localIdx;
        int part = context.groupIdx / (width / CHANNELS);
        int channel = context.groupIdx % (width / CHANNELS) * CHANNELS + item;
        for (int token = 0; token < vocabulary; token++) {
            table[token * CHANNELS + item] = 0f;
        }
        int end = TornadoMath.min((part + 1) * rowsOfPart, tokens.getSize());
        for (int row = part * rowsOfPart; row < end; row++) {
            if (row % sequence >= back) {
                int at = tokens.get(row - back) * CHANNELS + item;
                table[at] = table[at] + dx.get(row * width + channel);
            }
        }
        for (int token = 0; token < vocabulary; token++) {
            parts.set(((before + part) * vocabulary + token) * width + channel, table[token * CHANNELS + item]);
        }
    }

    /** Copies an array to the beginning of a larger one. */
    public static void copyFirst(FloatArray from, FloatArray to) {
        for (@Parallel int i = 0; i < from.getSize(); i++) {
            to.set(i, from.get(i));
        }
    }

    /** The gradient of the position table; positions past the sequence get 0. */
    public static void positionGradient(FloatArray dx, FloatArray dTable, int batch, int sequence, int width) {
        for (@Parallel int i = 0; i < dTable.getSize(); i++) {
            float sum = 0f;
            if (i < sequence * width) {
                for (int entry = 0; entry < batch; entry++) {
                    sum += dx.get(entry * sequence * width + i);
                }
            }
            dTable.set(i, sum);
        }
    }

    // -- layer norm: y = (x - mean) / deviation; the matrix that follows does what gain and bias would do --

    public static void normalise(FloatArray x, FloatArray y, FloatArray inverseDeviation, int width) {
        for (@Parallel int row = 0; row < inverseDeviation.getSize(); row++) {
            int at = row * width;
            float mean = 0f;
            for (int c = 0; c < width; c++) {
                mean += x.get(at + c);
            }
            mean = mean / width;
            float variance = 0f;
            for (int c = 0; c < width; c++) {
                float d = x.get(at + c) - mean;
                variance += d * d;
            }
            float inverse = 1f / TornadoMath.sqrt(variance / width + VARIANCE_FLOOR);
            for (int c = 0; c < width; c++) {
                y.set(at + c, (x.get(at + c) - mean) * inverse);
            }
            inverseDeviation.set(row, inverse);
        }
    }

    /** {@code dx = (dy - mean(dy) - y mean(dy y)) / deviation}, added to dx if {@code accumulate} is 1. */
    public static void normaliseGradient(
            FloatArray dy, FloatArray y, FloatArray inverseDeviation, FloatArray dx, int width, int accumulate) {
        for (@Parallel int row = 0; row < inverseDeviation.getSize(); row++) {
            int at = row * width;
            float mean = 0f;
            float meanWithY = 0f;
            for (int c = 0; c < width; c++) {
                mean += dy.get(at + c);
                meanWithY += dy.get(at + c) * y.get(at + c);
            }
            mean = mean / width;
            meanWithY = meanWithY / width;
            for (int c = 0; c < width; c++) {
                float d = (dy.get(at + c) - mean - y.get(at + c) * meanWithY) * inverseDeviation.get(row);
                if (accumulate == 1) {
                    d += dx.get(at + c);
                }
                dx.set(at + c, d);
            }
        }
    }

    /** Work-items of a group that has one row. */
    static final int ROW_GROUP = 32;

    /** As {@link #normalise}, a group of {@link #ROW_GROUP} work-items for each row: for GPUs. */
    public static void normaliseInGroups(
            KernelContext context, FloatArray x, FloatArray y, FloatArray inverseDeviation, int width) {
        float[] sums = context.allocateFloatLocalArray(2 * ROW_GROUP);
        int item = context.localIdx;
        int at = context.groupIdx * width;
        float sum = 0f;
        for (int c = item; c < width; c += ROW_GROUP) {
            sum += x.get(at + c);
        }
        sums[item] = sum;
        context.localBarrier();
        float mean = 0f;
        for (int i = 0; i < ROW_GROUP; i++) {
            mean += sums[i];
        }
        mean = mean / width;
        float squares = 0f;
        for (int c = item; c < width; c += ROW_GROUP) {
            float d = x.get(at + c) - mean;
            squares += d * d;
        }
        sums[ROW_GROUP + item] = squares;
        context.localBarrier();
        float variance = 0f;
        for (int i = 0; i < ROW_GROUP; i++) {
            variance += sums[ROW_GROUP + i];
        }
        float inverse = 1f / TornadoMath.sqrt(variance / width + VARIANCE_FLOOR);
        for (int c = item; c < width; c += ROW_GROUP) {
            y.set(at + c, (x.get(at + c) - mean) * inverse);
        }
        if (item == 0) {
            inverseDeviation.set(context.groupIdx, inverse);
        }
    }

    /** As {@link #normaliseGradient}, likewise. */
    public static void normaliseGradientInGroups(
            KernelContext context,
            FloatArray dy,
            FloatArray y,
            FloatArray inverseDeviation,
            FloatArray dx,
            int width,
            int accumulate) {
        float[] sums = context.allocateFloatLocalArray(2 * ROW_GROUP);
        int item = context.localIdx;
        int at = context.groupIdx * width;
        float sum = 0f;
        float sumWithY = 0f;
        for (int c = item; c < width; c += ROW_GROUP) {
            sum += dy.get(at + c);
            sumWithY += dy.get(at + c) * y.get(at + c);
        }
        sums[item] = sum;
        sums[ROW_GROUP + item] = sumWithY;
        context.localBarrier();
        float mean = 0f;
        float meanWithY = 0f;
        for (int i = 0; i < ROW_GROUP; i++) {
            mean += sums[i];
            meanWithY += sums[ROW_GROUP + i];
        }
        mean = mean / width;
        meanWithY = meanWithY / width;
        float inverse = inverseDeviation.get(context.groupIdx);
        for (int c = item; c < width; c += ROW_GROUP) {
            float d = (dy.get(at + c) - mean - y.get(at + c) * meanWithY) * inverse;
            if (accumulate == 1) {
                d += dx.get(at + c);
            }
            dx.set(at + c, d);
        }
    }

    // -- between [rows, width] and attention's [batch, heads, sequence, headDim] --

    /** Takes the channels from {@code first} on of each row apart into heads. */
    public static void toHeads(
            FloatArray matrix, FloatArray heads, int width, int first, int headCount, int sequence, int headDim) {
        for (@Parallel int i = 0; i < heads.getSize(); i++) {
            int batchHead = i / headDim / sequence;
            int row = batchHead / headCount * sequence + i / headDim % sequence;
            heads.set(i, matrix.get(row * width + first + batchHead % headCount * headDim + i % headDim));
        }
    }

    /** Puts heads together into the channels from {@code first} on of each row. */
    public static void fromHeads(
            FloatArray heads, FloatArray matrix, int width, int first, int headCount, int sequence, int headDim) {
        for (@Parallel int i = 0; i < heads.getSize(); i++) {
            int batchHead = i / headDim / sequence;
            int row = batchHead / headCount * sequence + i / headDim % sequence;
            matrix.set(row * width + first + batchHead % headCount * headDim + i % headDim, heads.get(i));
        }
    }

    /** As {@link #toHeads}, two elements for each work-item, rounded to BF16; where there are tensor cores. */
    public static void toHeadsInBFloat16(
            KernelContext context,
            FloatArray matrix,
            ShortArray heads,
            int width,
            int first,
            int headCount,
            int sequence,
            int headDim) {
        int i = 2 * context.globalIdx;
        if (i < heads.getSize()) {
            int batchHead = i / headDim / sequence;
            int row = batchHead / headCount * sequence + i / headDim % sequence;
            int from = row * width + first + batchHead % headCount * headDim + i % headDim;
            Warp.store(heads, i, Warp.pack(Warp.BF16, matrix.get(from), matrix.get(from + 1)), 2);
        }
    }

    /** As {@link #fromHeads}, of BF16. */
    public static void fromHeadsInBFloat16(
            KernelContext context,
            ShortArray heads,
            FloatArray matrix,
            int width,
            int first,
            int headCount,
            int sequence,
            int headDim) {
        int i = context.globalIdx;
        if (i < heads.getSize()) {
            int batchHead = i / headDim / sequence;
            int row = batchHead / headCount * sequence + i / headDim % sequence;
            matrix.set(
                    row * width + first + batchHead % headCount * headDim + i % headDim,
                    Warp.load(Warp.BF16, heads, i));
        }
    }

    // -- GELU in its tanh form --

    public static void gelu(FloatArray x, FloatArray y) {
        for (@Parallel int i = 0; i < y.getSize(); i++) {
            y.set(i, TanhGelu.of(x.get(i)));
        }
    }

    /** Multiplies the gradient with respect to gelu(x) by gelu'(x). */
    public static void geluGradient(FloatArray x, FloatArray gradient) {
        for (@Parallel int i = 0; i < gradient.getSize(); i++) {
            gradient.set(i, gradient.get(i) * TanhGelu.slope(x.get(i)));
        }
    }

    // -- softmax and cross entropy --

    /**
     * The loss of each row that is asked, {@code -ln softmax(logits)[target]}, whether its largest logit is the
     * target's (1 or 0), and, in place of the logits, the gradient of the mean loss. A target below 0 asks nothing.
     */
    public static void crossEntropy(
            FloatArray logits, IntArray targets, FloatArray loss, FloatArray hit, int vocabulary, int asked) {
        for (@Parallel int row = 0; row < loss.getSize(); row++) {
            int at = row * vocabulary;
            // Rows that are not asked are computed too, and weigh nothing: work-items of a warp go the same way
            int target = TornadoMath.max(targets.get(row), 0);
            float weight = 0f;
            if (targets.get(row) >= 0) {
                weight = 1f;
            }
            float max = logits.get(at + target);
            float rowHit = weight;
            for (int t = 0; t < vocabulary; t++) {
                if (logits.get(at + t) > max) {
                    max = logits.get(at + t);
                    rowHit = 0f;
                }
            }
            float sum = 0f;
            for (int t = 0; t < vocabulary; t++) {
                sum += TornadoMath.exp(logits.get(at + t) - max);
            }
            loss.set(row, weight * (max + TornadoMath.log(sum) - logits.get(at + target)));
            hit.set(row, rowHit);
            for (int t = 0; t < vocabulary; t++) {
                float p = TornadoMath.exp(logits.get(at + t) - max) / sum;
                if (t == target) {
                    p = p - 1f;
                }
                logits.set(at + t, weight * p / asked);
            }
        }
    }

    /** As {@link #crossEntropy}, a group of {@link #ROW_GROUP} work-items for each row: for GPUs. */
    public static void crossEntropyInGroups(
            KernelContext context,
            FloatArray logits,
            IntArray targets,
            FloatArray loss,
            FloatArray hit,
            int vocabulary,
            int asked) {
        float[] values = context.allocateFloatLocalArray(2 * ROW_GROUP);
        int item = context.localIdx;
        int row = context.groupIdx;
        int at = row * vocabulary;
        int target = TornadoMath.max(targets.get(row), 0);
        float weight = targets.get(row) >= 0 ? 1f : 0f;
        float ofTarget = logits.get(at + target);
        float max = ofTarget;
        for (int t = item; t < vocabulary; t += ROW_GROUP) {
            max = TornadoMath.max(max, logits.get(at + t));
        }
        values[item] = max;
        context.localBarrier();
        for (int i = 0; i < ROW_GROUP; i++) {
            max = TornadoMath.max(max, values[i]);
        }
        float sum = 0f;
        for (int t = item; t < vocabulary; t += ROW_GROUP) {
            sum += TornadoMath.exp(logits.get(at + t) - max);
        }
        values[ROW_GROUP + item] = sum;
        context.localBarrier();
        float total = 0f;
        for (int i = 0; i < ROW_GROUP; i++) {
            total += values[ROW_GROUP + i];
        }
        for (int t = item; t < vocabulary; t += ROW_GROUP) {
            float p = TornadoMath.exp(logits.get(at + t) - max) / total;
            if (t == target) {
                p = p - 1f;
            }
            logits.set(at + t, weight * p / asked);
        }
        if (item == 0) {
            loss.set(row, weight * (max + TornadoMath.log(total) - ofTarget));
            hit.set(row, max > ofTarget ? 0f : weight);
        }
    }

    /** Sums losses and hits: part p of n sums rows p, p + n, p + 2n, … into {@code totals[2p]} and {@code [2p + 1]}. */
    public static void totals(FloatArray loss, FloatArray hit, FloatArray totals) {
        for (@Parallel int part = 0; part < totals.getSize() / 2; part++) {
            float lossSum = 0f;
            float hits = 0f;
            for (int row = part; row < loss.getSize(); row += totals.getSize() / 2) {
                lossSum += loss.get(row);
                hits += hit.get(row);
            }
            totals.set(2 * part, lossSum);
            totals.set(2 * part + 1, hits);
        }
    }

    // -- AdamW (Loshchilov and Hutter, 2019) --

    /**
     * One step for one parameter.
     *
     * @param schedule learning rate, {@code 1 - beta1^step}, {@code 1 - beta2^step} and weight decay
     */
    public static void adamW(
            FloatArray value, FloatArray gradient, FloatArray first, FloatArray second, FloatArray schedule) {
        for (@Parallel int i = 0; i < value.getSize(); i++) {
            float g = gradient.get(i);
            float m = BETA_1 * first.get(i) + (1f - BETA_1) * g;
            float v = BETA_2 * second.get(i) + (1f - BETA_2) * g * g;
            float step = m / schedule.get(1) / (TornadoMath.sqrt(v / schedule.get(2)) + DENOMINATOR_FLOOR);
            value.set(i, value.get(i) - schedule.get(0) * (step + schedule.get(3) * value.get(i)));
            first.set(i, m);
            second.set(i, v);
        }
    }

    /** What {@link #adamW} reads at a step, counted from 1. */
    static void schedule(FloatArray schedule, int step, float learningRate, float weightDecay) {
        schedule.set(0, learningRate);
        schedule.set(1, (float) (1 - Math.pow(BETA_1, step)));
        schedule.set(2, (float) (1 - Math.pow(BETA_2, step)));
        schedule.set(3, weightDecay);
    }
}
