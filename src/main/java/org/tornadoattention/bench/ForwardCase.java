package org.tornadoattention.bench;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.plan.AttentionProblem;
import org.tornadoattention.tensor.DType;

/**
 * One forward pass to measure.
 *
 * @param shape the sizes
 * @param dtype storage of the tensors
 * @param causal whether the mask is causal; otherwise there is none
 */
public record ForwardCase(AttentionShape shape, DType dtype, boolean causal) {

    /** The options of the attention. */
    public AttentionOptions options() {
        return causal ? AttentionOptions.causal() : AttentionOptions.defaults();
    }

    /** Floating-point operations as the field counts them. */
    public double flops() {
        return AttentionProblem.of(shape, dtype, options()).flops();
    }

    /** Such as {@code F32 1x64x4096x64 causal}. */
    @Override
    public String toString() {
        String keys = shape.seqK() == shape.seqQ() ? "" : " keys " + shape.seqK();
        String grouped = shape.kvHeads() == shape.heads() ? "" : " kv heads " + shape.kvHeads();
        return "%s %dx%dx%dx%d%s%s%s"
                .formatted(
                        dtype,
                        shape.batch(),
                        shape.heads(),
                        shape.seqQ(),
                        shape.headDim(),
                        keys,
                        grouped,
                        causal ? " causal" : "");
    }
}
