package org.tornadoattention.bench;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.plan.AttentionProblem;
import org.tornadoattention.tensor.DType;

/**
 * One backward pass to measure.
 *
 * @param shape the sizes
 * @param dtype storage of the tensors
 * @param causal whether the mask is causal; otherwise there is none
 * @param withForward whether the forward pass before it is measured too
 */
public record BackwardCase(AttentionShape shape, DType dtype, boolean causal, boolean withForward) {

    /** The options of the attention. */
    public AttentionOptions options() {
        return causal ? AttentionOptions.causal() : AttentionOptions.defaults();
    }

    /** The problem that is posed. */
    public AttentionProblem problem() {
        return AttentionProblem.of(shape, dtype, options());
    }

    /** Floating-point operations as the field counts them: 2.5 times those of the forward pass, 3.5 times with it. */
    public double flops() {
        Direction direction = withForward ? Direction.FORWARD_BACKWARD : Direction.BACKWARD;
        return direction.flopsOfForward() * problem().flops();
    }

    /** Such as {@code F32 1x64x4096x64 causal backward}. */
    @Override
    public String toString() {
        return "%s %dx%dx%dx%d%s%s %s"
                .formatted(
                        dtype,
                        shape.batch(),
                        shape.heads(),
                        shape.seqQ(),
                        shape.headDim(),
                        shape.kvHeads() == shape.heads() ? "" : " kv heads " + shape.kvHeads(),
                        causal ? " causal" : "",
                        withForward ? "forward-backward" : "backward");
    }
}
