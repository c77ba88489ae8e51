package org.tornadoattention.plan;

import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.Tensor;

/**
 * What a backward pass reads and writes.
 *
 * @param q queries {@code [batch, heads, seqQ, headDim]}
 * @param k keys {@code [batch, kvHeads, seqK, headDim]}
 * @param v values, shaped like the keys
 * @param output the forward pass's output, shaped like q
 * @param logSumExp the forward pass's log-sum-exp {@code [batch, heads, seqQ]}
 * @param dO gradient with respect to the output
 * @param dLse gradient with respect to the log-sum-exp, F32, or empty for 0
 * @param dQ where the gradient with respect to q goes
 * @param dK where that with respect to k goes
 * @param dV where that with respect to v goes
 * @param options those of the forward pass
 */
public record BackwardTensors(
        Tensor q,
        Tensor k,
        Tensor v,
        Tensor output,
        Tensor logSumExp,
        Tensor dO,
        Optional<Tensor> dLse,
        Tensor dQ,
        Tensor dK,
        Tensor dV,
        AttentionOptions options) {

    /** The problem that they pose. */
    AttentionProblem problem() {
        return AttentionProblem.of(AttentionShape.of(q, k, v, options), q.dtype(), options);
    }
}
