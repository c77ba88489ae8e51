package org.tornadoattention.bench;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.tensor.DType;

/**
 * One problem to measure.
 *
 * @param pass forward or backward
 * @param dtype storage of the tensors
 * @param shape the sizes
 * @param causal whether the mask is causal; otherwise there is none
 */
public record BenchCase(Direction pass, DType dtype, AttentionShape shape, boolean causal) {

    /** The options of the attention. */
    public AttentionOptions options() {
        return causal ? AttentionOptions.causal() : AttentionOptions.defaults();
    }

    /** The problem that is posed. */
    public AttentionProblem problem() {
        return AttentionProblem.of(shape, dtype, options());
    }

    /** Floating-point operations as the field counts them, whatever a kernel really executes. */
    public double flops() {
        return pass.flopsOfForward() * problem().flops();
    }

    /** The same problem with tensors of another type. */
    public BenchCase as(DType other) {
        return new BenchCase(pass, other, shape, causal);
    }

    /** Such as {@code F32 1x64x4096x64 causal}; the forward pass goes without saying. */
    @Override
    public String toString() {
        String keys = shape.seqK() == shape.seqQ() ? "" : " keys " + shape.seqK();
        String grouped = shape.kvHeads() == shape.heads() ? "" : " kv heads " + shape.kvHeads();
        return "%s %dx%dx%dx%d%s%s%s%s"
                .formatted(
                        dtype,
                        shape.batch(),
                        shape.heads(),
                        shape.seqQ(),
                        shape.headDim(),
                        keys,
                        grouped,
                        causal ? " causal" : "",
                        pass == Direction.FORWARD ? "" : " " + pass.id());
    }
}
