package org.tornadoattention.choice;

import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpSplitKeyAttention;
import org.tornadoattention.tensor.DType;

/** {@link WarpSplitKeyAttention}. */
record WarpSplitKeySpec() implements DecodeSpec {

    /** Elements of a 16-byte copy. */
    private static final int CHUNK = 8;

    private static final int WIDE_HEAD = 128;

    /** Of wider ones, queries and outputs alone fill a work-item's registers. */
    private static final int WIDEST_HEAD = 256;

    private static final int WARP_ROWS = 16;
    private static final int FEWEST_STAGES = 2;
    private static final int MOST_STAGES = 4;

    /** Groups that share a multiprocessor, so that one reads while the other begins or ends. */
    private static final int GROUPS_SIDE_BY_SIDE = 2;

    /** Local memory that CUDA keeps for itself, of each group. */
    private static final long RESERVED = 1024;

    /** Several waves let a multiprocessor that is done early take more, as long as a group has so many tiles. */
    private static final int MOST_WAVES = 4;

    private static final int TILES_WORTH_A_WAVE = 32;

    /** Parts that take longer to merge than a second group on each multiprocessor saves. */
    private static final int MANY_PARTS = 16;

    /** Fewer splits are taken for this part of the best division into waves. */
    private static final double GOOD_ENOUGH = 0.95;

    @Override
    public String summary() {
        return "asynchronous copies, products on tensor cores";
    }

    @Override
    public String needs() {
        return "warp intrinsics, an F16 or BF16 cache, no functions or bias, and a head dimension up to %d that is a multiple of %d"
                .formatted(WIDEST_HEAD, CHUNK);
    }

    @Override
    public Optional<LaunchedTile> choose(SplitProblem problem, int splits, ComputeDevice device) {
        int headDim = problem.headDim();
        boolean possible = Capability.WARP.isOn(device)
                && problem.dtype() != DType.F32
                && !problem.quantized()
                && !problem.functions()
                && headDim % CHUNK == 0
                && headDim <= WIDEST_HEAD;
        if (!possible) {
            return Optional.empty();
        }
        boolean wide = headDim > WIDE_HEAD;
        int rows = Math.min(problem.rows(), wide ? WARP_ROWS : 2 * WARP_ROWS);
        int warps = wide ? 2 : 4;
        long localMemory = device.extension().localMemoryBytes() + RESERVED;
        int stages = MOST_STAGES;
        while (stages > FEWEST_STAGES
                && localMemory / (WarpSplitKeyAttention.localMemoryBytes(headDim, rows, warps, stages) + RESERVED)
                        < GROUPS_SIDE_BY_SIDE) {
            stages--;
        }
        WarpSplitTile tile = new WarpSplitTile(rows, warps, stages, Math.max(1, splits));
        long sideBySide = Math.min(GROUPS_SIDE_BY_SIDE, localMemory / (tile.localMemoryBytes(headDim) + RESERVED));
        if (sideBySide == 0) {
            return Optional.empty();
        }
        if (splits > 0) {
            return Optional.of(tile);
        }
        int keyTiles = Math.ceilDiv(Math.max(1, problem.keys()), warps * WarpSplitKeyAttention.WARP_KEYS);
        int chosen = inWaves(problem.groups(rows), device.computeUnits() * sideBySide, sideBySide, keyTiles);
        return Optional.of(new WarpSplitTile(rows, warps, stages, chosen));
    }

    /**
     * Splits that make several whole waves of long groups, or else the fewest that leave hardly a place empty; where
     * those are many, the fewest that leave hardly a multiprocessor without a group.
     */
    private static int inWaves(int groups, long places, long sideBySide, int keyTiles) {
        for (int waves = MOST_WAVES; waves > 1; waves--) {
            int splits = (int) (waves * places / groups);
            if (splits > 0 && keyTiles / splits >= TILES_WORTH_A_WAVE) {
                return splits;
            }
        }
        int splits = fewest(groups, places, keyTiles);
        return splits > MANY_PARTS ? fewest(groups, places / sideBySide, keyTiles) : splits;
    }

    private static int fewest(int groups, long places, int keyTiles) {
        double best = 0;
        for (int splits = 1; splits <= keyTiles; splits++) {
            best = Math.max(best, filled(groups, splits, places));
        }
        int splits = 1;
        while (filled(groups, splits, places) < GOOD_ENOUGH * best) {
            splits++;
        }
        return splits;
    }

    private static double filled(int groups, int splits, long places) {
        long all = (long) groups * splits;
        return (double) all / (Math.ceilDiv(all, places) * places);
    }
}
