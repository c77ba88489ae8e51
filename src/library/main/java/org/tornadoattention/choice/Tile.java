package org.tornadoattention.choice;

import org.tornadoattention.kernel.parts.Features;

/**
 * A tile of scores, which a work-group computes at a time, of one kernel: make one with
 * {@link AttentionKernel#tile(int, int)}.
 *
 * @param tiling what it is a tile of
 * @param blockQ queries in it (Br)
 * @param blockK keys in it (Bc)
 * @param warps warps that compute it, 0 where work-items share it in another way
 * @param rescaleThreshold by how much a row's maximum may grow before O is rescaled, in powers of two, 0 to 8: P grows
 *     no further than F16 holds with room to spare; warp-group lets it grow by up to 4 with biases and from 192 queries
 *     on, whatever this says
 */
public record Tile(Tiling tiling, int blockQ, int blockK, int warps, int rescaleThreshold) {

    /** Checks what the kernel needs of it. */
    public Tile {
        tiling.check(blockQ, blockK, warps, rescaleThreshold);
    }

    /** {@return the kernel that it is for} */
    public AttentionKernel kernel() {
        return tiling.kernel();
    }

    /**
     * {@return work-items of a group}
     *
     * @param headDim elements per head, 1 to 512
     */
    public int groupSize(int headDim) {
        return tiling.groupSize(this, headDim);
    }

    /**
     * {@return bytes of local memory of a group}
     *
     * @param headDim elements per head, 1 to 512
     */
    public int localMemoryBytes(int headDim) {
        return tiling.localMemoryBytes(this, headDim);
    }

    /** What the kernel's {@code features} say of it. */
    int features() {
        return Features.warpShape(warps, rescaleThreshold);
    }

    /** Queries by keys, and warps where it has any, such as {@code 64x32} or {@code 128x64/4}. */
    @Override
    public String toString() {
        return blockQ + "x" + blockK + (warps == 0 ? "" : "/" + warps);
    }
}
