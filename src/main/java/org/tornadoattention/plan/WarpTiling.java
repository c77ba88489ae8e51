package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;

/** Chooses the tile of the kernels with warp intrinsics: the tuning table's, or a smaller one that fits. */
final class WarpTiling {

    private static final List<WarpTile> FALLBACKS_WARP_GROUP = List.of(
            new WarpTile(true, 128, 64, 8, 8),
            new WarpTile(true, 128, 32, 8, 8),
            new WarpTile(true, 64, 32, 4, 8),
            new WarpTile(true, 64, 16, 4, 8));

    private static final List<WarpTile> FALLBACKS_WARP = List.of(
            new WarpTile(false, 128, 64, 4, 8),
            new WarpTile(false, 128, 32, 4, 8),
            new WarpTile(false, 64, 32, 4, 8),
            new WarpTile(false, 64, 16, 4, 8),
            new WarpTile(false, 32, 16, 2, 8),
            new WarpTile(false, 16, 16, 1, 8));

    /** Above, two rows of registers a lane do not hold 32 rows of O. */
    private static final int WIDEST_FOR_32_ROWS = 128;

    private WarpTiling() {}

    /** The tile, empty where the device lacks the instructions or the local memory. */
    static Optional<WarpTile> choose(AttentionKernel kernel, AttentionProblem problem, ComputeDevice device) {
        boolean groups = kernel == AttentionKernel.WARP_GROUP;
        if (!device.extension().level().include(groups ? Intrinsics.WARP_GROUP : Intrinsics.WARP)) {
            return Optional.empty();
        }
        int headDim = problem.shape().headDim();
        CompilerExtension.Support extension = device.extension();
        Optional<WarpTile> tuned = TuningTable.current()
                .tile(
                        extension.computeCapability(),
                        kernel,
                        headDim,
                        problem.shape().seqQ());
        return Stream.concat(tuned.stream(), (groups ? FALLBACKS_WARP_GROUP : FALLBACKS_WARP).stream())
                .filter(tile -> groups || tile.blockQ() == 16 * tile.warps() || headDim <= WIDEST_FOR_32_ROWS)
                .filter(tile -> tile.localMemoryBytes(headDim) <= extension.localMemoryBytes())
                .filter(tile -> tile.groupSize(headDim) <= device.maxGroupSize())
                .findFirst();
    }
}
