package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Optional;
import org.tornadoattention.tensor.Tensor;

/**
 * The gradients of a loss with respect to the inputs of attention; 0 for queries that see no key and keys that no query
 * sees.
 */
public final class Gradients {

    private final Tensor dQ;
    private final Tensor dK;
    private final Tensor dV;
    private final Optional<Tensor> dBias;
    private final Optional<Tensor> dSinks;
    private final Optional<Execution> execution;

    private Gradients(
            Tensor dQ,
            Tensor dK,
            Tensor dV,
            Optional<Tensor> dBias,
            Optional<Tensor> dSinks,
            Optional<Execution> execution) {
        this.dQ = required(dQ, "dQ");
        this.dK = required(dK, "dK");
        this.dV = required(dV, "dV");
        this.dBias = required(dBias, "dBias", "use Optional.empty() for none");
        this.dSinks = required(dSinks, "dSinks", "use Optional.empty() for none");
        this.execution = execution;
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
        return of(dQ, dK, dV, Optional.empty(), Optional.empty());
    }

    /**
     * Gradients that were computed elsewhere, of attention with a bias or sinks.
     *
     * @param dQ with respect to the queries
     * @param dK with respect to the keys
     * @param dV with respect to the values
     * @param dBias with respect to the bias, empty without
     * @param dSinks with respect to the sinks, empty without
     * @return gradients over these very tensors
     * @throws IllegalArgumentException if one is null
     */
    public static Gradients of(Tensor dQ, Tensor dK, Tensor dV, Optional<Tensor> dBias, Optional<Tensor> dSinks) {
        return new Gradients(dQ, dK, dV, dBias, dSinks, Optional.empty());
    }

    /** The same, of a backward pass that ran so. */
    Gradients with(Optional<Execution> ran) {
        return new Gradients(dQ, dK, dV, dBias, dSinks, ran);
    }

    /**
     * How {@link FlashAttention#backward(AttentionResult, Tensor) backward} ran.
     *
     * @return empty where there was nothing to compute and nothing was launched, and for gradients of other methods
     */
    public Optional<Execution> execution() {
        return execution;
    }

    /**
     * The gradient with respect to the bias, summed over the batch entries and heads that share an element, in the same
     * order always.
     *
     * @return of the shape and type of the bias, or empty where there is none
     */
    public Optional<Tensor> dBias() {
        return dBias;
    }

    /**
     * The gradient with respect to the sinks.
     *
     * @return F32 {@code [heads]}, or empty where there are none
     */
    public Optional<Tensor> dSinks() {
        return dSinks;
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
        return "dQ %s, dK %s, dV %s".formatted(dQ, dK, dV)
                + dBias.map(tensor -> ", dBias " + tensor).orElse("")
                + dSinks.map(tensor -> ", dSinks " + tensor).orElse("");
    }
}
