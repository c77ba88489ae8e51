package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import org.tornadoattention.tensor.Tensor;

/**
 * The gradients of a loss with respect to the inputs of attention; 0 for queries that see no key and keys that no query
 * sees.
 */
public final class Gradients {

    private final Tensor dQ;
    private final Tensor dK;
    private final Tensor dV;

    private Gradients(Tensor dQ, Tensor dK, Tensor dV) {
        this.dQ = required(dQ, "dQ");
        this.dK = required(dK, "dK");
        this.dV = required(dV, "dV");
    }

    /**
     * Gradients that were computed elsewhere, such as in a task graph.
     *
     * @param dQ with respect to the queries
     * @param dK with respect to the keys
     * @param dV with respect to the values
     * @return gradients over these very tensors
     * @throws IllegalArgumentException if one is null
     */
    public static Gradients of(Tensor dQ, Tensor dK, Tensor dV) {
        return new Gradients(dQ, dK, dV);
    }

    /**
     * The gradient with respect to the queries.
     *
     * @return {@code [batch, heads, seqQ, headDim]}, of the type of the queries
     */
    public Tensor dQ() {
        return dQ;
    }

    /**
     * The gradient with respect to the keys, summed over the query heads of a group.
     *
     * @return {@code [batch, kvHeads, seqK, headDim]}, of the type of the keys
     */
    public Tensor dK() {
        return dK;
    }

    /**
     * The gradient with respect to the values, summed over the query heads of a group.
     *
     * @return {@code [batch, kvHeads, seqK, headDim]}, of the type of the values
     */
    public Tensor dV() {
        return dV;
    }

    /** The tensors' types and shapes. */
    @Override
    public String toString() {
        return "dQ %s, dK %s, dV %s".formatted(dQ, dK, dV);
    }
}
