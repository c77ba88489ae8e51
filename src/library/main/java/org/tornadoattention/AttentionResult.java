package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * What attention gives, whichever way it was computed: the output, and the log-sum-exp with which it can be merged with
 * attention of the same queries over other keys.
 *
 * <p>What {@link FlashAttention#forward forward} returns also remembers what {@link FlashAttention#backward backward}
 * needs: the inputs, as they are and not copied, and the options. Other results have no backward pass.
 */
public final class AttentionResult {

    /** What a backward pass needs of a forward pass. */
    record Inputs(Tensor q, Tensor k, Tensor v, AttentionOptions options) {}

    private final Tensor output;
    private final Tensor logSumExp;
    private final Optional<Inputs> inputs;
    private final Optional<Execution> execution;

    private AttentionResult(Tensor output, Tensor logSumExp, Optional<Inputs> inputs, Optional<Execution> execution) {
        required(output, "output", "make it with Tensor.allocate");
        required(logSumExp, "logSumExp", "make it with Tensor.allocate");
        int rank = output.rank();
        int[] rows = Arrays.copyOf(output.shape(), Math.max(0, rank - 1));
        if (rank == 0 || logSumExp.dtype() != DType.F32 || !Arrays.equals(logSumExp.shape(), rows)) {
            throw new IllegalArgumentException(
                    "The output is %s and the log-sum-exp %s: the log-sum-exp must be F32 and have one number per row, %s."
                            .formatted(output, logSumExp, Arrays.toString(rows)));
        }
        this.output = output;
        this.logSumExp = logSumExp;
        this.inputs = inputs;
        this.execution = execution;
    }

    /**
     * A result that was computed elsewhere, such as in a task graph, for {@link FlashAttention#merge merging}.
     *
     * @param output {@code […, headDim]}, F32, F16 or BF16
     * @param logSumExp the natural logarithm of each row's sum of exponentiated scores, F32, of the output's shape
     *     without its last dimension; −∞ for rows that see no key
     * @return a result over these very tensors
     * @throws IllegalArgumentException if the shapes or the type do not fit
     */
    public static AttentionResult of(Tensor output, Tensor logSumExp) {
        return new AttentionResult(output, logSumExp, Optional.empty(), Optional.empty());
    }

    /**
     * A result of {@link FlashAttention#forward} that was kept apart from its inputs, on another machine or in a file,
     * for the backward pass.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}
     * @param v values, shaped like the keys but for the last dimension
     * @param options those of the forward pass
     * @param output {@code [batch, heads, seqQ, valueDim]}, of the type of q
     * @param logSumExp F32 {@code [batch, heads, seqQ]}
     * @return a result over these very tensors, which {@link FlashAttention#backward(AttentionResult, Tensor)} takes
     * @throws IllegalArgumentException if shapes, types or options do not fit
     */
    public static AttentionResult of(
            Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor output, Tensor logSumExp) {
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        required(output, "output", "give what forward gave");
        required(logSumExp, "logSumExp", "give what forward gave");
        if (output.dtype() != q.dtype() || !Arrays.equals(output.shape(), shape.outputShape())) {
            throw new IllegalArgumentException("The output is %s: of these queries and values it is %s%s."
                    .formatted(output, q.dtype(), Arrays.toString(shape.outputShape())));
        }
        return of(new Inputs(q, k, v, options), output, logSumExp, Optional.empty());
    }

    /** What a forward pass gives. */
    static AttentionResult of(Inputs inputs, Tensor output, Tensor logSumExp, Optional<Execution> execution) {
        return new AttentionResult(output, logSumExp, Optional.of(inputs), execution);
    }

    /**
     * The attention output; rows that see no key are 0.
     *
     * @return {@code [batch, heads, seqQ, headDim]}, or {@code [tokens, heads, headDim]} of a ragged batch, of the type
     *     of the queries
     */
    public Tensor output() {
        return output;
    }

    /**
     * The natural logarithm of each row's sum of exponentiated scores; −∞ for rows that see no key.
     *
     * @return F32 {@code [batch, heads, seqQ]}, or {@code [tokens, heads]} of a ragged batch
     */
    public Tensor logSumExp() {
        return logSumExp;
    }

    /**
     * How {@link FlashAttention#forward forward} ran.
     *
     * @return empty where there was nothing to compute and nothing was launched, and for results of other methods
     */
    public Optional<Execution> execution() {
        return execution;
    }

    /** What the backward pass needs, empty where there is none. */
    Optional<Inputs> inputs() {
        return inputs;
    }

    /** The tensors' types and shapes, such as {@code output F16[2, 8, 1024, 64], log-sum-exp F32[2, 8, 1024]}. */
    @Override
    public String toString() {
        return "output %s, log-sum-exp %s".formatted(output, logSumExp);
    }
}
