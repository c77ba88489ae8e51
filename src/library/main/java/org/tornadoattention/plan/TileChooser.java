package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;

/**
 * Chooses the tiled kernel's tile: the largest that fits the device's local memory and group size.
 *
 * <p>A tile of many queries reads K and V less often; one of many keys rescales O less often. No more than 48 KiB are
 * used even where a device has more, so that several groups share a multiprocessor and hide each other's loads.
 */
final class TileChooser {

    private static final long LOCAL_MEMORY_USED_AT_MOST = 48 * 1024;

    private static final List<TileShape> LARGEST_FIRST = List.of(
            new TileShape(128, 32),
            new TileShape(64, 32),
            new TileShape(32, 32),
            new TileShape(32, 16),
            new TileShape(16, 24),
            new TileShape(16, 16),
            new TileShape(16, 8),
            new TileShape(8, 8),
            new TileShape(8, 4));

    private TileChooser() {}

    /** The tile for a problem, empty if even the smallest does not fit. */
    static Optional<TileShape> choose(int headDim, int seqQ, ComputeDevice device) {
        return choose(headDim, seqQ, device.localMemoryBytes(), device.maxGroupSize());
    }

    static Optional<TileShape> choose(int headDim, int seqQ, long localMemoryBytes, long maxGroupSize) {
        long bytes = Math.min(localMemoryBytes, LOCAL_MEMORY_USED_AT_MOST);
        int enough = Math.max(8, (seqQ + 7) / 8 * 8);
        return LARGEST_FIRST.stream()
                .filter(tile -> tile.blockQ() <= Math.max(16, enough) || tile.blockQ() == 8)
                .filter(tile -> tile.localMemoryBytes(headDim) <= bytes)
                .filter(tile -> tile.groupSize(headDim) <= maxGroupSize)
                .findFirst();
    }
}
