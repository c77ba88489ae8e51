package org.tornadoattention;

import org.tornadoattention.tensor.Tensor;

/**
 * The gradients of a loss with respect to the inputs of attention; 0 for queries that see no key and keys that no
 * query sees.
 *
 * @param dQ with respect to the queries, {@code [batch, heads, seqQ, headDim]}
 * @param dK with respect to the keys, {@code [batch, kvHeads, seqK, headDim]}, summed over the heads of a group
 * @param dV with respect to the values, of the shape of {@code dK}
 */
public record Gradients(Tensor dQ, Tensor dK, Tensor dV) {}
