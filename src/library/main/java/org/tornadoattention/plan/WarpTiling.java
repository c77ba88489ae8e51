package org.tornadoattention.plan;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.tornadoattention.device.ComputeDevice;

/** Chooses the tile of the kernels with warp intrinsics: the tuning table's, or a smaller one that fits. */
final class WarpTiling {

    private static final Map<AttentionKernel, List<WarpTile>> FALLBACKS = Map.of(
            AttentionKernel.WARP_GROUP,
            List.of(
                    new WarpTile(AttentionKernel.WARP_GROUP, 128, 64, 8, 0),
                    new WarpTile(AttentionKernel.WARP_GROUP, 128, 32, 8, 0),
                    new WarpTile(AttentionKernel.WARP_GROUP, 64, 32, 4, 0),
                    new WarpTile(AttentionKernel.WARP_GROUP, 64, 16, 4, 0)),
            AttentionKernel.WARP,
            List.of(
                    new WarpTile(AttentionKernel.WARP, 128, 64, 4, 0),
                    new WarpTile(AttentionKernel.WARP, 128, 32, 4, 0),
                    new WarpTile(AttentionKernel.WARP, 64, 32, 4, 0),
                    new WarpTile(AttentionKernel.WARP, 64, 16, 4, 0),
                    new WarpTile(AttentionKernel.WARP, 32, 16, 2, 0),
                    new WarpTile(AttentionKernel.WARP, 16, 16, 1, 0)),
            AttentionKernel.WARP_TF32,
            List.of(
                    new WarpTile(AttentionKernel.WARP_TF32, 128, 32, 8, 0),
                    new WarpTile(AttentionKernel.WARP_TF32, 64, 32, 4, 0),
                    new WarpTile(AttentionKernel.WARP_TF32, 32, 16, 2, 0),
                    new WarpTile(AttentionKernel.WARP_TF32, 16, 16, 1, 0)),
            AttentionKernel.WARP_GROUP_FP8,
            List.of(
                    new WarpTile(AttentionKernel.WARP_GROUP_FP8, 128, 128, 8, 0),
                    new WarpTile(AttentionKernel.WARP_GROUP_FP8, 64, 64, 4, 0),
                    new WarpTile(AttentionKernel.WARP_GROUP_FP8, 64, 32, 4, 0)));

    /** Above, two rows of registers a lane do not hold 32 rows of O. */
    private static final int WIDEST_FOR_32_ROWS = 128;

    private WarpTiling() {}

    /** The tile, empty where the device lacks the instructions or the local memory. */
    static Optional<WarpTile> choose(AttentionKernel kernel, AttentionProblem problem, ComputeDevice device) {
        if (!kernel.supports(device)) {
            return Optional.empty();
        }
        int headDim = problem.shape().headDim();
        Optional<WarpTile> tuned = TuningTable.current()
                .tile(
                        device.extension().computeCapability(),
                        kernel,
                        headDim,
                        problem.shape().seqQ());
        return Stream.concat(tuned.stream(), FALLBACKS.get(kernel).stream())
                .filter(tile -> fits(tile, headDim, device))
                .findFirst();
    }

    /** Whether a device has the instructions, the registers and the local memory for a tile. */
    static boolean fits(WarpTile tile, int headDim, ComputeDevice device) {
        return tile.kernel().supports(device)
                && (tile.blockQ() == 16 * tile.warps() || headDim <= WIDEST_FOR_32_ROWS)
                && tile.localMemoryBytes(headDim) <= device.extension().localMemoryBytes()
                && tile.groupSize(headDim) <= device.maxGroupSize();
    }
}
