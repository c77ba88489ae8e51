package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.io.Serial;
import java.io.Serializable;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Attention of queries over the keys that were added so far: {@code (O, L) ⊕ (O′, L′)} weighs two outputs by their
 * log-sum-exps, whichever part of the keys each is of. Adding the same parts in the same order gives the same bits;
 * another order differs by rounding.
 *
 * <p>In F32, on the heap and serializable, for parts that come from other devices or other machines. Not for several
 * threads at once.
 */
public final class AttentionSums implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    private final int batch;
    private final int heads;
    private final int seqQ;
    private final int valueDim;
    private final float[] outputs;
    private final float[] logSumExps;

    /**
     * Sums of no keys: output 0 and log-sum-exp −∞.
     *
     * @param whole the sizes of the whole problem
     * @throws IllegalArgumentException if it is null, or the output has more elements than an array
     */
    public AttentionSums(AttentionShape whole) {
        required(whole, "whole");
        batch = whole.batch();
        heads = whole.heads();
        seqQ = whole.seqQ();
        valueDim = whole.valueDim();
        long elements = (long) batch * heads * seqQ * valueDim;
        if (elements > Tensor.MAX_ELEMENTS) {
            throw new IllegalArgumentException(
                    "The output has %,d elements, and an array at most %,d: divide the queries."
                            .formatted(elements, Tensor.MAX_ELEMENTS));
        }
        outputs = new float[(int) elements];
        logSumExps = new float[batch * heads * seqQ];
        Arrays.fill(logSumExps, Float.NEGATIVE_INFINITY);
    }

    /**
     * Adds the keys of a part.
     *
     * @param part which queries and heads the result is of
     * @param result attention of that part
     * @return these sums
     * @throws IllegalArgumentException if the result is not shaped like the part, or the part is one of another problem
     */
    public AttentionSums add(AttentionPart part, AttentionResult result) {
        required(part, "part");
        required(result, "result");
        AttentionShape whole = part.whole();
        int[] shape = {
            part.batch().length(), part.heads().length(), part.queries().length(), valueDim
        };
        if (whole.batch() != batch
                || whole.heads() != heads
                || whole.seqQ() != seqQ
                || !Arrays.equals(result.output().shape(), shape)) {
            throw new IllegalArgumentException(
                    "The result is %s, and the part %s of sums of [%d, %d, %d, %d]: they must fit."
                            .formatted(result, part, batch, heads, seqQ, valueDim));
        }
        float[] output = result.output().toFloatArray();
        float[] logSumExp = result.logSumExp().toFloatArray();
        IntStream.range(0, logSumExp.length).parallel().forEach(row -> {
            int query = row % shape[2];
            int head = row / shape[2] % shape[1];
            int entry = row / shape[2] / shape[1];
            int target = ((part.batch().from() + entry) * heads + part.heads().from() + head) * seqQ
                    + part.queries().from()
                    + query;
            addRow(target, logSumExp[row], output, row * valueDim);
        });
        return this;
    }

    /**
     * Adds the keys of other sums of the same queries.
     *
     * @param other sums of other keys
     * @return these sums
     * @throws IllegalArgumentException if they are of another problem
     */
    public AttentionSums add(AttentionSums other) {
        required(other, "other");
        if (other.batch != batch || other.heads != heads || other.seqQ != seqQ || other.valueDim != valueDim) {
            throw new IllegalArgumentException(
                    "Sums of [%d, %d, %d, %d] and [%d, %d, %d, %d]: they must be of one problem."
                            .formatted(
                                    batch,
                                    heads,
                                    seqQ,
                                    valueDim,
                                    other.batch,
                                    other.heads,
                                    other.seqQ,
                                    other.valueDim));
        }
        IntStream.range(0, logSumExps.length)
                .parallel()
                .forEach(row -> addRow(row, other.logSumExps[row], other.outputs, row * valueDim));
        return this;
    }

    /**
     * Adds a sink to each row of its head: a logit without a value.
     *
     * @param sinks F32 {@code [heads]}
     * @return these sums
     * @throws IllegalArgumentException if there is not one for each head
     */
    public AttentionSums addSinks(Tensor sinks) {
        required(sinks, "sinks");
        if (sinks.numberOfElements() != heads) {
            throw new IllegalArgumentException(
                    "The sinks are %s for %d heads: give one for each.".formatted(sinks, heads));
        }
        float[] nothing = new float[valueDim];
        for (int row = 0; row < logSumExps.length; row++) {
            addRow(row, sinks.getFlat(row / seqQ % heads), nothing, 0);
        }
        return this;
    }

    private void addRow(int row, float logSumExp, float[] output, int at) {
        double before = logSumExps[row];
        double most = Math.max(before, logSumExp);
        if (most == Double.NEGATIVE_INFINITY) {
            return;
        }
        double old = Math.exp(before - most);
        double added = Math.exp(logSumExp - most);
        double sum = old + added;
        float keep = (float) (old / sum);
        float take = (float) (added / sum);
        // A part that sees nothing may hold anything in its output, so it is not multiplied.
        for (int d = 0; d < valueDim; d++) {
            int target = row * valueDim + d;
            outputs[target] = (keep == 0 ? 0 : keep * outputs[target]) + (take == 0 ? 0 : take * output[at + d]);
        }
        logSumExps[row] = (float) (most + Math.log(sum));
    }

    /**
     * Output and log-sum-exp of the keys that were added.
     *
     * @param dtype type of the output
     * @return new tensors; they have no backward pass of their own
     * @throws IllegalArgumentException if it is null
     */
    public AttentionResult result(DType dtype) {
        required(dtype, "dtype", "choose F32, F16 or BF16");
        return AttentionResult.of(
                Tensor.of(dtype, outputs, batch, heads, seqQ, valueDim),
                Tensor.of(DType.F32, logSumExps, batch, heads, seqQ));
    }
}
