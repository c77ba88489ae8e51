package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

/**
 * What a kernel says of itself. Whoever chooses, tunes, explains, measures or tests kernels asks this, and knows none
 * by its name; a new kernel is a description here and a constant of {@link AttentionKernel}.
 */
public sealed interface KernelSpec
        permits StandardSpec,
                OnlineSpec,
                TiledSpec,
                TensorCoreSpec,
                WarpSpec,
                WarpGroupSpec,
                WarpTf32Spec,
                WarpGroupF32Spec,
                WarpGroupFp8Spec,
                VectorSpec {

    /** {@return what it does, in a few words} */
    String summary();

    /** {@return element types of the tensors that it takes} */
    Set<DType> dtypes();

    /** {@return the widest head that it takes} */
    default int widestHead() {
        return 256;
    }

    /** {@return whether values may have another head dimension than queries and keys} */
    default boolean ownValueDim() {
        return false;
    }

    /** {@return whether it can drop probabilities} */
    default boolean dropout() {
        return true;
    }

    /**
     * {@return whether functions of a user's, a bias and sinks can be part of it, and of its backward pass where that
     * is its own}
     */
    default boolean functions() {
        return false;
    }

    /**
     * What its text has against rows that do not follow one another, and tensors of several types.
     *
     * @param views how the tensors of a pass, forward or backward, lie, and their types
     * @param shape the shape of the problem
     * @return what it takes instead, or empty
     */
    default Optional<String> objection(Views views, AttentionShape shape) {
        return Optional.of("contiguous tensors of one type only, and these are views or of several types");
    }

    /** {@return whether its products are of 8-bit numbers} */
    default boolean fp8() {
        return false;
    }

    /**
     * {@return whether it is never chosen where it is not asked for: for what it is less exact or slower than others}
     */
    default boolean onlyWhereAskedFor() {
        return false;
    }

    /** {@return what it needs of a device beyond work-groups and their local memory} */
    default Capability capability() {
        return Capability.NONE;
    }

    /** {@return the tiles that it works on, empty for kernels without work-groups of their own} */
    default Optional<Tiling> tiling() {
        return Optional.empty();
    }

    /** {@return how its results are differentiated} */
    Backward backward();

    /**
     * {@return how the gradient of a bias is computed, after the launches of its own backward pass}
     *
     * @param work the problem, its tiles and the device
     * @param biasBatch the bias' batch, 1 or that of the problem
     * @param biasHeads the bias' heads, 1 or those of the queries
     */
    default BiasGradients biasGradient(Work work, int biasBatch, int biasHeads) {
        return BiasGradients.byElement(work, biasBatch, biasHeads);
    }

    /** {@return what it loads and stores} */
    Traffic traffic();

    /**
     * The memory that its forward launches hand each other.
     *
     * @param shape sizes of the problem
     * @param tile the tile, empty for kernels without, or to leave out what depends on it
     * @return what the launches name, in any order
     */
    default List<Scratch> scratch(AttentionShape shape, Optional<Tile> tile) {
        return List.of();
    }

    /**
     * {@return the memory that the launches of {@link #forward} hand each other, and work-groups of one launch}
     *
     * @param work the problem, its tile and the device
     */
    default List<Scratch> scratch(Work work) {
        return scratch(work.shape(), work.tiles().stream().findFirst());
    }

    /**
     * {@return the launches that compute a forward pass, in order}
     *
     * @param work the problem, its tile and the device
     */
    List<Launch> forward(Work work);

    /**
     * {@return whether the output is written by another launch than the log-sum-exp, so that each may be missing alone}
     */
    default boolean writesOutputApart() {
        return false;
    }
}
