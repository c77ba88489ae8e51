package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

/**
 * What a kernel says of itself. Whoever chooses, tunes, explains, measures or tests kernels asks this, and knows none by its
 * name; a new kernel is a description here and a constant of {@link AttentionKernel}.
 */
public sealed interface KernelSpec
        permits StandardSpec,
                OnlineSpec,
                TiledSpec,
                TensorCoreSpec,
                WarpSpec,
                WarpGroupSpec,
                WarpTf32Spec,
                WarpGroupFp8Spec {

    /** What it does, in a few words. */
    String summary();

    /** Element types of the tensors that it takes. */
    Set<DType> dtypes();

    /** The widest head that it takes. */
    default int widestHead() {
        return AttentionShape.MAX_HEAD_DIM;
    }

    /** Whether it can drop probabilities. */
    default boolean dropout() {
        return true;
    }

    /**
     * Whether functions of a user's, a bias and sinks can be part of it, and of its backward pass where that is its own.
     */
    default boolean functions() {
        return false;
    }

    /** Whether its products are of 8-bit numbers. */
    default boolean fp8() {
        return false;
    }

    /** Whether it is never chosen where it is not asked for: for what it is less exact or slower than others. */
    default boolean onlyWhereAskedFor() {
        return false;
    }

    /** What it needs of a device beyond work-groups and their local memory. */
    default Capability capability() {
        return Capability.NONE;
    }

    /** The tiles that it works on, empty for kernels without work-groups of their own. */
    default Optional<Tiling> tiling() {
        return Optional.empty();
    }

    /** How its results are differentiated. */
    Backward backward();

    /** What it loads and stores. */
    Traffic traffic();

    /**
     * The memory that its forward launches hand each other.
     *
     * @param tile the tile, empty for kernels without, or to leave out what depends on it
     */
    default List<Scratch> scratch(AttentionShape shape, Optional<Tile> tile) {
        return List.of();
    }

    /** The launches that compute a forward pass, in order. */
    List<Launch> forward(Work work);

    /** Whether the output is written by another launch than the log-sum-exp, so that each may be missing alone. */
    default boolean writesOutputApart() {
        return false;
    }
}
