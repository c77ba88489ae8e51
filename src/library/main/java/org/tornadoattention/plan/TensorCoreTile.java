package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.TensorCoreAttention;

/**
 * Rows and columns of a tile of the tensor-core kernel.
 *
 * @param blockQ queries in a tile (Br), a multiple of 32
 * @param blockK keys in a tile (Bc), 16, 32 or 64
 */
public record TensorCoreTile(int blockQ, int blockK) implements Tile {

    private static final List<TensorCoreTile> BEST_FIRST = List.of(
            new TensorCoreTile(128, 32),
            new TensorCoreTile(64, 32),
            new TensorCoreTile(32, 32),
            new TensorCoreTile(32, 16));

    /** Checks the multiples that warps and their instructions need. */
    public TensorCoreTile {
        if (blockQ < 32 || blockQ % 32 != 0 || (blockK != 16 && blockK != 32 && blockK != 64)) {
            throw new IllegalArgumentException(
                    "The tile is %d by %d: queries must be a multiple of 32, keys 16, 32 or 64."
                            .formatted(blockQ, blockK));
        }
    }

    /** The best tile that fits, empty if none does. */
    static Optional<TensorCoreTile> choose(AttentionShape shape, ComputeDevice device) {
        return BEST_FIRST.stream()
                .filter(tile -> tile.blockQ < shape.seqQ() + 32)
                .filter(tile -> tile.localMemoryBytes(shape.headDim()) <= device.localMemoryBytes())
                .filter(tile -> tile.groupSize(shape.headDim()) <= device.maxGroupSize())
                .findFirst();
    }

    @Override
    public int groupSize(int headDim) {
        return TensorCoreAttention.groupSize(headDim, blockQ);
    }

    @Override
    public int localMemoryBytes(int headDim) {
        return TensorCoreAttention.localMemoryBytes(headDim, blockQ, blockK);
    }

    /** Queries by keys, such as {@code 128x32}. */
    @Override
    public String toString() {
        return blockQ + "x" + blockK;
    }
}
