package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.internal.Arguments;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * What a backward pass reads and writes, each tensor given by its name:
 *
 * <pre>{@code
 * BackwardTensors tensors = BackwardTensors.builder()
 *         .q(q).k(k).v(v).output(output).logSumExp(logSumExp)      // the forward pass
 *         .dOut(dOut)                                              // gradient with respect to the output
 *         .dQ(dQ).dK(dK).dV(dV)                                    // overwritten, not added to
 *         .build();
 * }</pre>
 */
public final class BackwardTensors {

    private final Tensor q;
    private final Tensor k;
    private final Tensor v;
    private final Tensor output;
    private final Tensor logSumExp;
    private final Tensor dOut;
    private final Optional<Tensor> dLse;
    private final Tensor dQ;
    private final Tensor dK;
    private final Tensor dV;
    private final Optional<Tensor> dBias;
    private final Optional<Tensor> dSinks;

    private BackwardTensors(Builder given) {
        q = required(given.q, "q", "give the queries with q(tensor)");
        k = required(given.k, "k", "give the keys with k(tensor)");
        v = required(given.v, "v", "give the values with v(tensor)");
        output = required(given.output, "output", "give the forward pass's output with output(tensor)");
        logSumExp =
                required(given.logSumExp, "logSumExp", "give the forward pass's log-sum-exp with logSumExp(tensor)");
        dOut = required(given.dOut, "dOut", "give the gradient with respect to the output with dOut(tensor)");
        dLse = Optional.ofNullable(given.dLse);
        dQ = required(given.dQ, "dQ", "give a tensor for the gradient with respect to q with dQ(tensor)");
        dK = required(given.dK, "dK", "give a tensor for the gradient with respect to k with dK(tensor)");
        dV = required(given.dV, "dV", "give a tensor for the gradient with respect to v with dV(tensor)");
        dBias = Optional.ofNullable(given.dBias);
        dSinks = Optional.ofNullable(given.dSinks);
    }

    /**
     * Begins to name tensors.
     *
     * @return a builder without any
     */
    public static Builder builder() {
        return new Builder();
    }

    /** The tensors, one method for each. */
    public static final class Builder {

        private @Nullable Tensor q;
        private @Nullable Tensor k;
        private @Nullable Tensor v;
        private @Nullable Tensor output;
        private @Nullable Tensor logSumExp;
        private @Nullable Tensor dOut;
        private @Nullable Tensor dLse;
        private @Nullable Tensor dQ;
        private @Nullable Tensor dK;
        private @Nullable Tensor dV;
        private @Nullable Tensor dBias;
        private @Nullable Tensor dSinks;

        private Builder() {}

        /**
         * The queries.
         *
         * @param tensor {@code [batch, heads, seqQ, headDim]}
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder q(Tensor tensor) {
            q = required(tensor, "tensor");
            return this;
        }

        /**
         * The keys.
         *
         * @param tensor {@code [batch, kvHeads, seqK, headDim]}, of the type of q
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder k(Tensor tensor) {
            k = required(tensor, "tensor");
            return this;
        }

        /**
         * The values.
         *
         * @param tensor of the shape and type of k
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder v(Tensor tensor) {
            v = required(tensor, "tensor");
            return this;
        }

        /**
         * The forward pass's output.
         *
         * @param tensor of the shape and type of q
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder output(Tensor tensor) {
            output = required(tensor, "tensor");
            return this;
        }

        /**
         * The forward pass's log-sum-exp.
         *
         * @param tensor F32 {@code [batch, heads, seqQ]}
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder logSumExp(Tensor tensor) {
            logSumExp = required(tensor, "tensor");
            return this;
        }

        /**
         * The loss's gradient with respect to the output.
         *
         * @param tensor of the shape and type of q
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dOut(Tensor tensor) {
            dOut = required(tensor, "tensor");
            return this;
        }

        /**
         * The loss's gradient with respect to the log-sum-exp; left out where the loss does not depend on it.
         *
         * @param tensor F32 {@code [batch, heads, seqQ]}
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dLse(Tensor tensor) {
            dLse = required(tensor, "tensor", "leave it out where the loss does not depend on the log-sum-exp");
            return this;
        }

        /**
         * Where the gradient with respect to q goes: overwritten, not added to.
         *
         * @param tensor of the shape and type of q
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dQ(Tensor tensor) {
            dQ = required(tensor, "tensor");
            return this;
        }

        /**
         * Where the gradient with respect to k goes: overwritten, not added to.
         *
         * @param tensor of the shape and type of k
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dK(Tensor tensor) {
            dK = required(tensor, "tensor");
            return this;
        }

        /**
         * Where the gradient with respect to v goes: overwritten, not added to.
         *
         * @param tensor of the shape and type of v
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dV(Tensor tensor) {
            dV = required(tensor, "tensor");
            return this;
        }

        /**
         * Where the gradient with respect to the bias goes: overwritten, not added to. Left out, it is not computed.
         *
         * @param tensor F32, of the shape of the bias
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dBias(Tensor tensor) {
            dBias = required(tensor, "tensor", "leave it out where there is no bias");
            return this;
        }

        /**
         * Where the gradient with respect to the sinks goes: overwritten, not added to. Left out, it is not computed.
         *
         * @param tensor F32 {@code [heads]}
         * @return this builder
         * @throws IllegalArgumentException if it is null
         */
        public Builder dSinks(Tensor tensor) {
            dSinks = required(tensor, "tensor", "leave it out where there are no sinks");
            return this;
        }

        /**
         * The tensors together.
         *
         * @return what was named
         * @throws IllegalArgumentException if one but dLse, dBias and dSinks is missing
         */
        public BackwardTensors build() {
            return new BackwardTensors(this);
        }
    }

    /**
     * The queries, {@code [batch, heads, seqQ, headDim]}.
     *
     * @return what was given
     */
    public Tensor q() {
        return q;
    }

    /**
     * The keys, {@code [batch, kvHeads, seqK, headDim]}.
     *
     * @return what was given
     */
    public Tensor k() {
        return k;
    }

    /**
     * The values, of the shape of k.
     *
     * @return what was given
     */
    public Tensor v() {
        return v;
    }

    /**
     * The forward pass's output, of the shape of q.
     *
     * @return what was given
     */
    public Tensor output() {
        return output;
    }

    /**
     * The forward pass's log-sum-exp, F32 {@code [batch, heads, seqQ]}.
     *
     * @return what was given
     */
    public Tensor logSumExp() {
        return logSumExp;
    }

    /**
     * The gradient with respect to the output, of the shape of q.
     *
     * @return what was given
     */
    public Tensor dOut() {
        return dOut;
    }

    /**
     * The gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}, or empty for 0.
     *
     * @return what was given
     */
    public Optional<Tensor> dLse() {
        return dLse;
    }

    /**
     * Where the gradient with respect to q goes.
     *
     * @return what was given, overwritten by the backward pass
     */
    public Tensor dQ() {
        return dQ;
    }

    /**
     * Where the gradient with respect to k goes.
     *
     * @return what was given, overwritten by the backward pass
     */
    public Tensor dK() {
        return dK;
    }

    /**
     * Where the gradient with respect to v goes.
     *
     * @return what was given, overwritten by the backward pass
     */
    public Tensor dV() {
        return dV;
    }

    /**
     * Where the gradient with respect to the bias goes.
     *
     * @return what was given, F32, overwritten by the backward pass; empty where it is not computed
     */
    public Optional<Tensor> dBias() {
        return dBias;
    }

    /**
     * Where the gradient with respect to the sinks goes.
     *
     * @return what was given, F32, overwritten by the backward pass; empty where it is not computed
     */
    public Optional<Tensor> dSinks() {
        return dSinks;
    }

    /** Checks that everything fits the problem. */
    void requireFitting(AttentionShape shape, AttentionOptions options) {
        DType dtype = q.dtype();
        String forward = "give what the forward pass of these inputs gave";
        requireShape("output", output, forward, dtype, shape.outputShape());
        requireShape("logSumExp", logSumExp, forward, DType.F32, shape.logSumExpShape());
        requireShape("dOut", dOut, "give one number for each element of the output", dtype, shape.outputShape());
        dLse.ifPresent(given ->
                requireShape("dLse", given, "give one number for each query", DType.F32, shape.logSumExpShape()));
        String empty = "make it with Tensor.allocate";
        requireShape("dQ", dQ, empty, dtype, shape.queryShape());
        requireShape("dK", dK, empty, dtype, shape.keyShape());
        requireShape("dV", dV, empty, dtype, shape.valueShape());
        dBias.ifPresent(given -> requireShape(
                "dBias",
                given,
                empty,
                DType.F32,
                options.bias().orElseThrow(() -> lacking("dBias", "bias")).shape()));
        dSinks.ifPresent(given -> requireShape(
                "dSinks",
                given,
                empty,
                DType.F32,
                options.sinks().orElseThrow(() -> lacking("dSinks", "sinks")).shape()));
    }

    private static IllegalArgumentException lacking(String gradient, String option) {
        return new IllegalArgumentException(
                "%s is given, and the options have no %s: leave it out.".formatted(gradient, option));
    }

    /**
     * Checks that nothing that is written shares an array with anything else, and that what belongs to rows is no view.
     */
    void requireApart() {
        Map<String, MemorySegment> read = new LinkedHashMap<>();
        read.put("q", q.array().getSegment());
        read.put("k", k.array().getSegment());
        read.put("v", v.array().getSegment());
        read.put("output", output.array().getSegment());
        read.put("logSumExp", logSumExp.memory());
        read.put("dOut", dOut.array().getSegment());
        dLse.ifPresent(given -> read.put("dLse", given.memory()));
        Map<String, MemorySegment> written = new LinkedHashMap<>();
        written.put("dQ", dQ.array().getSegment());
        written.put("dK", dK.array().getSegment());
        written.put("dV", dV.array().getSegment());
        dBias.ifPresent(given -> written.put("dBias", given.memory()));
        dSinks.ifPresent(given -> written.put("dSinks", given.memory()));
        Arguments.requireApart(written, read);
    }

    private static void requireShape(String name, Tensor tensor, String advice, DType dtype, int... shape) {
        if (tensor.dtype() != dtype || !Arrays.equals(tensor.shape(), shape)) {
            throw new IllegalArgumentException(
                    "%s is %s: it must be %s%s; %s.".formatted(name, tensor, dtype, Arrays.toString(shape), advice));
        }
    }
}
