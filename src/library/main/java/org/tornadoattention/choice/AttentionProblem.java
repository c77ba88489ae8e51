package org.tornadoattention.choice;

import java.util.Optional;
import java.util.Set;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Mask;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.tensor.DType;

/**
 * All that a compiled plan depends on: two calls with equal problems can share one. Slopes, key lengths and the words
 * of dropout travel in arrays, so only whether there are any belongs to it.
 *
 * @param shape the sizes
 * @param dtype storage of q, k, v and the output
 * @param mask the window of keys that a query sees
 * @param scale factor of q·k
 * @param softcap bound of the scores, 0 for none
 * @param alibi whether there are ALiBi slopes
 * @param keyLengths whether batch entries have key lengths
 * @param dropout whether probabilities are dropped
 * @param functions of the scores and of the mask, and the bias
 * @param sinks whether heads have sinks
 * @param views where tensors lie that are views, or of several types; then {@code dtype} is that of q
 */
public record AttentionProblem(
        AttentionShape shape,
        DType dtype,
        Mask mask,
        float scale,
        float softcap,
        boolean alibi,
        boolean keyLengths,
        boolean dropout,
        UserFunctions functions,
        boolean sinks,
        Optional<Views> views) {

    /**
     * {@return the problem that these options pose for this shape}
     *
     * @param shape sizes of the problem
     * @param dtype type of the tensors
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     */
    public static AttentionProblem of(AttentionShape shape, DType dtype, AttentionOptions options) {
        return new AttentionProblem(
                shape,
                dtype,
                options.mask().window(),
                (float) options.scaleFor(shape.headDim()),
                (float) options.softcap(),
                options.hasAlibi(),
                options.hasKeyLengths(),
                options.hasDropout(),
                UserFunctions.of(options),
                options.sinks().isPresent(),
                Optional.empty());
    }

    /**
     * The same for tensors in these places.
     *
     * @param places where they lie, empty for tensors in row-major order and of one type
     * @return the problem
     */
    public AttentionProblem with(Optional<Views> places) {
        return new AttentionProblem(
                shape, dtype, mask, scale, softcap, alibi, keyLengths, dropout, functions, sinks, places);
    }

    /**
     * The same for other sizes.
     *
     * @param other the sizes
     * @return the problem
     */
    public AttentionProblem with(AttentionShape other) {
        return new AttentionProblem(
                other, dtype, mask, scale, softcap, alibi, keyLengths, dropout, functions, sinks, views);
    }

    /** {@return the types of q, k, v and the output} */
    public Set<DType> types() {
        return views.map(Views::types).orElse(Set.of(dtype));
    }

    /**
     * The problem whose gradients these tensors are for.
     *
     * @param tensors of the backward pass
     * @param options what is computed
     * @return the problem
     */
    public static AttentionProblem of(BackwardTensors tensors, AttentionOptions options) {
        AttentionShape shape = AttentionShape.of(tensors.q(), tensors.k(), tensors.v(), options);
        return of(shape, tensors.q().dtype(), options);
    }

    /** {@return whether no kernel has anything to do: no query, or no key to see} */
    public boolean isTrivial() {
        return shape.hasNoQueries() || shape.seqK() == 0;
    }

    /** {@return whether it has no functions of a user's, no bias and no sinks} */
    public boolean isPlain() {
        return functions.isEmpty() && !sinks;
    }

    /** {@return the features bits that the kernels take} */
    public int features() {
        return (alibi ? Features.ALIBI : 0)
                | (keyLengths ? Features.KEY_LENGTHS : 0)
                | (dropout ? Features.DROPOUT : 0)
                | (sinks ? Features.SINKS : 0);
    }

    /**
     * The window's left edge for kernels: −1 where no query has a key past it, so that no sum of a position and an edge
     * overflows. The last query stands on the last key.
     *
     * @return keys to the left, or −1 for all
     */
    public int windowLeft() {
        return edge(mask.left(), shape.seqK());
    }

    /**
     * {@return the window's right edge for kernels, likewise: the first query stands as many keys before the end as
     * there are queries}
     */
    public int windowRight() {
        return edge(mask.right(), shape.seqQ());
    }

    /**
     * A window's edge for kernels.
     *
     * @param edge keys that a query sees on one side
     * @param most from so many on, they are all that there are, and the edge is none
     * @return the edge, no further out than needed
     */
    public static int edge(int edge, int most) {
        return edge >= most ? Mask.UNBOUNDED : edge;
    }

    /**
     * Floating-point operations as the field counts them: {@code 2 · (headDim + valueDim)} for each pair of a query and
     * a key, half of the pairs for a causal mask over as many queries as keys.
     *
     * @return floating-point operations of all heads
     */
    public double flops() {
        double heads = (double) shape.batch() * shape.heads();
        double pairs = (double) shape.seqQ() * shape.seqK();
        if (mask.isCausal() && mask.left() == Mask.UNBOUNDED && shape.seqQ() == shape.seqK()) {
            pairs /= 2;
        } else if (!mask.isNone()) {
            pairs = mask.visiblePairs(shape.seqQ(), shape.seqK());
        }
        return 2 * heads * pairs * (shape.headDim() + shape.valueDim());
    }
}
