package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.TiledQueryGradient;

/**
 * Chooses the tile of the tiled backward kernels: the largest square that fits the device's local memory and group size.
 *
 * <p>Four tiles of Q, dO, K and V and one of S and dP must fit, so that it is smaller than {@link TileChooser}'s; the
 * limit of 48 KiB is the same.
 */
final class BackwardTileChooser {

    private static final long LOCAL_MEMORY_USED_AT_MOST = 48 * 1024;

    private static final List<TileShape> LARGEST_FIRST =
            List.of(new TileShape(32, 32), new TileShape(24, 24), new TileShape(16, 16), new TileShape(8, 8));

    private BackwardTileChooser() {}

    /** The tile for a head dimension, empty if even the smallest does not fit. */
    static Optional<TileShape> choose(int headDim, ComputeDevice device) {
        long bytes = Math.min(device.localMemoryBytes(), LOCAL_MEMORY_USED_AT_MOST);
        return LARGEST_FIRST.stream()
                .filter(tile -> TiledQueryGradient.localMemoryBytes(headDim, tile.blockQ()) <= bytes)
                .filter(tile -> TiledQueryGradient.groupSize(headDim, tile.blockQ()) <= device.maxGroupSize())
                .findFirst();
    }
}
