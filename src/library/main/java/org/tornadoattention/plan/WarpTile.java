package org.tornadoattention.plan;

import org.tornadoattention.kernel.WarpFlashAttention;
import org.tornadoattention.kernel.WarpGroupFlashAttention;
import org.tornadoattention.kernel.WarpGroupFp8FlashAttention;
import org.tornadoattention.kernel.WarpTf32FlashAttention;

/**
 * The tile of the tensor-core kernels that use warp intrinsics.
 *
 * @param kernel the kernel that it is for
 * @param blockQ queries in a tile (Br): 16 or 32 a warp, or 64 a warp group
 * @param blockK keys in a tile (Bc), a multiple of 16, or of 32 for 8-bit products
 * @param warps warps that compute in a work-group; {@code warp-group} has a warp group more, which copies
 * @param rescaleThreshold by how much a row's maximum may grow before O is rescaled, in powers of two, 0 to 8: P grows no
 *     further than F16 holds with room to spare
 */
public record WarpTile(AttentionKernel kernel, int blockQ, int blockK, int warps, int rescaleThreshold)
        implements Tile {

    private static final int LANES = 32;
    private static final int MAX_WARPS = 32;

    /** Checks what the kernels' register tiles need. */
    public WarpTile {
        boolean rows = switch (kernel) {
            case WARP -> blockQ == 16 * warps || blockQ == 32 * warps;
            case WARP_TF32 -> blockQ == 16 * warps;
            case WARP_GROUP, WARP_GROUP_FP8 -> blockQ == 16 * warps && warps % 4 == 0;
            default -> throw new IllegalArgumentException("The kernel %s has no warps.".formatted(kernel.id()));
        };
        if (warps < 1 || warps > MAX_WARPS || !rows) {
            throw new IllegalArgumentException(
                    "%d warps cannot share %d queries: each has 16 or 32, or each four have 64 of the warp-group kernel."
                            .formatted(warps, blockQ));
        }
        int step = kernel.isFp8() ? 32 : 16;
        if (blockK < step || blockK > 256 || blockK % step != 0) {
            throw new IllegalArgumentException(
                    "A tile of %d keys does not fit tensor cores: take a multiple of %d up to 256."
                            .formatted(blockK, step));
        }
        if (rescaleThreshold < 0 || rescaleThreshold > 8) {
            throw new IllegalArgumentException(
                    "The rescale threshold is %d: take 0 (always) to 8.".formatted(rescaleThreshold));
        }
    }

    @Override
    public int groupSize(int headDim) {
        return kernel == AttentionKernel.WARP_GROUP ? WarpGroupFlashAttention.groupSize(blockQ) : LANES * warps;
    }

    @Override
    public int localMemoryBytes(int headDim) {
        return switch (kernel) {
            case WARP_GROUP -> WarpGroupFlashAttention.localMemoryBytes(headDim, blockQ, blockK);
            case WARP_GROUP_FP8 -> WarpGroupFp8FlashAttention.localMemoryBytes(headDim, blockQ, blockK);
            case WARP_TF32 -> WarpTf32FlashAttention.localMemoryBytes(headDim, blockQ, blockK);
            default -> WarpFlashAttention.localMemoryBytes(headDim, blockQ, blockK);
        };
    }

    /** What the kernels' argument {@code features} holds of it. */
    int features() {
        return WarpFlashAttention.shape(warps, rescaleThreshold);
    }

    /** Queries by keys and warps, such as {@code 128x64/4}. */
    @Override
    public String toString() {
        return blockQ + "x" + blockK + "/" + warps;
    }
}
