package org.tornadoattention.inference;

import org.tornadoattention.tensor.Tensor;

/**
 * Attention's output and its log-sum-exp, with which it can be merged with attention over other keys.
 *
 * @param output {@code [batch, heads, seqQ, headDim]}, or {@code [tokens, heads, headDim]} of a ragged batch
 * @param logSumExp F32 natural logarithm, {@code [batch, heads, seqQ]} or {@code [tokens, heads]}; −∞ where a query saw no
 *     key
 */
public record AttentionOutput(Tensor output, Tensor logSumExp) {}
