package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpGroupKeyValueGradients;
import org.tornadoattention.kernel.WarpGroupQueryGradient;

/**
 * The tiles of the two backward kernels that use warp groups.
 *
 * @param queryGradient the tile of the kernel for dQ: 64 queries a warp group
 * @param keyValueGradients the tile of the kernel for dK and dV: 64 keys a warp group
 */
public record WarpBackwardTile(Block queryGradient, Block keyValueGradients) implements Tile {

    /** Above, the registers of a warp group hold one of dK and dV only. */
    private static final int WIDEST_FOR_BOTH = 128;

    private static final int ROWS_OF_A_GROUP = 64;

    /** The first that fits is the fastest for its head dimension: docs/performance.md. */
    private static final List<WarpBackwardTile> FASTEST_FIRST =
            List.of(of(128, 128, 64, 128), of(128, 64, 64, 128), of(128, 32, 32, 128), of(64, 16, 16, 64));

    /**
     * Rows and columns of a tile of scores.
     *
     * @param q queries
     * @param k keys
     */
    public record Block(int q, int k) {

        @Override
        public String toString() {
            return q + "x" + k;
        }
    }

    /** Checks what the kernels' register tiles need. */
    public WarpBackwardTile {
        check("queries", queryGradient.q, ROWS_OF_A_GROUP);
        check("keys", queryGradient.k, 16);
        check("queries", keyValueGradients.q, 16);
        check("keys", keyValueGradients.k, ROWS_OF_A_GROUP);
    }

    private static void check(String what, int size, int multiple) {
        if (size < multiple || size > 256 || size % multiple != 0) {
            throw new IllegalArgumentException(
                    "A backward tile of %d %s does not fit warp groups: take a multiple of %d up to 256."
                            .formatted(size, what, multiple));
        }
    }

    private static WarpBackwardTile of(int queryGradientQ, int queryGradientK, int keyValueQ, int keyValueK) {
        return new WarpBackwardTile(new Block(queryGradientQ, queryGradientK), new Block(keyValueQ, keyValueK));
    }

    /** The fastest tile that a device has instructions and local memory for. */
    static Optional<WarpBackwardTile> choose(int headDim, ComputeDevice device) {
        if (!AttentionKernel.WARP_GROUP.supports(device)) {
            return Optional.empty();
        }
        return FASTEST_FIRST.stream()
                .filter(tile ->
                        tile.localMemoryBytes(headDim) <= device.extension().localMemoryBytes())
                .filter(tile -> tile.groupSize(headDim) <= device.maxGroupSize())
                .findFirst();
    }

    /** Whether dK and dV are computed together. */
    static boolean takesBothAtOnce(int headDim) {
        return headDim <= WIDEST_FOR_BOTH;
    }

    @Override
    public int blockQ() {
        return queryGradient.q;
    }

    @Override
    public int blockK() {
        return keyValueGradients.k;
    }

    @Override
    public int groupSize(int headDim) {
        return Math.max(
                WarpGroupQueryGradient.groupSize(queryGradient.q),
                WarpGroupKeyValueGradients.groupSize(keyValueGradients.k));
    }

    @Override
    public int localMemoryBytes(int headDim) {
        return Math.max(
                WarpGroupQueryGradient.localMemoryBytes(headDim, queryGradient.q, queryGradient.k),
                WarpGroupKeyValueGradients.localMemoryBytes(headDim, keyValueGradients.q, keyValueGradients.k));
    }

    /** Queries by keys of both kernels, such as {@code 192x64+64x128}. */
    @Override
    public String toString() {
        return queryGradient + "+" + keyValueGradients;
    }
}
