package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;

/**
 * Chooses the tile of the tiled backward kernels: the largest square that fits the device's local memory and group size.
 *
 * <p>Four tiles of Q, dO, K and V and one of S and dP must fit, so that it is smaller than {@link TileChooser}'s; the
 * limit of 48 KiB is the same.
 */
final class BackwardTileChooser {

    private static final long LOCAL_MEMORY_USED_AT_MOST = 48 * 1024;

    private static final List<BackwardTile> LARGEST_FIRST =
            List.of(new BackwardTile(32), new BackwardTile(24), new BackwardTile(16), new BackwardTile(8));

    private BackwardTileChooser() {}

    /** The tile for a head dimension, empty if even the smallest does not fit. */
    static Optional<BackwardTile> choose(int headDim, ComputeDevice device) {
        long bytes = Math.min(device.localMemoryBytes(), LOCAL_MEMORY_USED_AT_MOST);
        return LARGEST_FIRST.stream()
                .filter(tile -> tile.localMemoryBytes(headDim) <= bytes)
                .filter(tile -> tile.groupSize(headDim) <= device.maxGroupSize())
                .findFirst();
    }
}
