package org.tornadoattention.bench;

import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.tensor.DType;

/**
 * One problem to measure.
 *
 * @param pass forward or backward
 * @param dtype storage of the tensors
 * @param shape the sizes
 * @param causal whether the mask is causal; otherwise there is none
 * @param window of a causal mask, how many keys a query sees at most, that of its own position among them; null for all
 */
public record BenchCase(
        Direction pass,
        DType dtype,
        AttentionShape shape,
        boolean causal,
        @Nullable Integer window) {

    /** @throws IllegalArgumentException if the window is less than 1, or one of no causal mask */
    public BenchCase {
        if (window != null && (window < 1 || !causal)) {
            throw new IllegalArgumentException("The window is %d%s: it must be 1 or more, with a causal mask."
                    .formatted(window, causal ? "" : ", and the mask is not causal"));
        }
    }

    /** A problem with a causal mask that hides nothing else, or with none. */
    public BenchCase(Direction pass, DType dtype, AttentionShape shape, boolean causal) {
        this(pass, dtype, shape, causal, null);
    }

    /** The options of the attention. */
    public AttentionOptions options() {
        AttentionOptions options = causal ? AttentionOptions.causal() : AttentionOptions.defaults();
        return window == null ? options : options.withMask(Mask.window(window - 1, 0));
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
        return new BenchCase(pass, other, shape, causal, window);
    }

    /**
     * Elements of a head as problems are told by: {@code 128}, or {@code 192/128} where values have their own number.
     */
    public static String dims(AttentionShape shape) {
        return shape.valueDim() == shape.headDim()
                ? String.valueOf(shape.headDim())
                : shape.headDim() + "/" + shape.valueDim();
    }

    /** Such as {@code F32 1x64x4096x64 causal}; the forward pass goes without saying. */
    @Override
    public String toString() {
        return dtype + " " + withoutType();
    }

    /** {@return the same without the type, for what is measured in several} */
    public String withoutType() {
        String keys = shape.seqK() == shape.seqQ() ? "" : " keys " + shape.seqK();
        String grouped = shape.kvHeads() == shape.heads() ? "" : " kv heads " + shape.kvHeads();
        return "%dx%dx%dx%s%s%s%s%s%s"
                .formatted(
                        shape.batch(),
                        shape.heads(),
                        shape.seqQ(),
                        dims(shape),
                        keys,
                        grouped,
                        causal ? " causal" : "",
                        window == null ? "" : " window " + window,
                        pass == Direction.FORWARD ? "" : " " + pass.id());
    }
}
