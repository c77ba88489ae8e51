package org.tornadoattention;

import java.util.Optional;
import org.tornadoattention.plan.Execution;
import org.tornadoattention.tensor.Tensor;

/**
 * What a forward pass gives, with what a backward pass needs: the inputs are kept as they are, not copied.
 *
 * @param q         the queries, {@code [batch, heads, seqQ, headDim]}
 * @param k         the keys, {@code [batch, kvHeads, seqK, headDim]}
 * @param v         the values, of the shape of {@code k}
 * @param output    the attention output, of the shape and type of {@code q}; rows that see no key are 0
 * @param logSumExp the natural logarithm of each row's sum of exponentiated scores, F32
 *     {@code [batch, heads, seqQ]}; {@code -∞} for rows that see no key
 * @param options   what was computed
 * @param execution how it ran; empty where there was nothing to compute and nothing was launched
 */
public record AttentionResult(
        Tensor q,
        Tensor k,
        Tensor v,
        Tensor output,
        Tensor logSumExp,
        AttentionOptions options,
        Optional<Execution> execution) {

    /** The sizes of the problem. */
    public AttentionShape shape() {
        return AttentionShape.of(q, k, v, options);
    }
}
