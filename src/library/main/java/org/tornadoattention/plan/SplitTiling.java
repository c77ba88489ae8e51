package org.tornadoattention.plan;

import java.util.Optional;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.kernel.WarpSplitKeyAttention;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** Chooses the kernel of inference, its tile, and into how many parts the keys are split. */
final class SplitTiling {

    /** Query rows whose outputs and queries fit a work-item's registers together with its dimensions. */
    private static final int REGISTER_TILE = 32;

    private static final int MOST_ROWS = 16;
    private static final int ROWS_OF_PROMPTS = 8;
    private static final int GPU_GROUP_SIZE = 128;
    private static final int OTHER_GROUP_SIZE = 32;
    private static final long LOCAL_MEMORY_USED_AT_MOST = 32 * 1024;

    /** Groups for each multiprocessor of a GPU: several waves, so that the last one, half empty, matters little. */
    private static final int GROUPS_PER_UNIT = 8;

    /** Elements of a 16-byte copy. */
    private static final int CHUNK = 8;

    private static final int WIDE_HEAD = 128;
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

    /** Fewer splits are taken for this part of the best division into waves. */
    private static final double GOOD_ENOUGH = 0.95;

    private SplitTiling() {}

    /**
     * Chooses.
     *
     * @param wanted the kernel that the caller insists on, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
     * @throws UnsupportedOnDeviceException if the wanted kernel cannot do it
     */
    static SplitTile choose(SplitProblem problem, Optional<DecodeKernel> wanted, int splits, ComputeDevice device) {
        if (wanted.isPresent()) {
            return wanted.get() == DecodeKernel.SPLIT_KEY
                    ? lanes(problem, splits, device)
                    : warps(problem, splits, device)
                            .orElseThrow(() -> new UnsupportedOnDeviceException(
                                    device.toString(),
                                    "what the kernel %s needs: warp intrinsics, an F16 or BF16 cache and a head dimension that is a multiple of %d"
                                            .formatted(DecodeKernel.WARP_SPLIT_KEY.id(), CHUNK),
                                    "use the kernel " + DecodeKernel.SPLIT_KEY.id()));
        }
        // Where work-groups are simulated, the kernel with fewer work-items is the faster one.
        Optional<SplitTile> warps = device.isSimulator() ? Optional.empty() : warps(problem, splits, device);
        return warps.orElseGet(() -> lanes(problem, splits, device));
    }

    private static SplitTile lanes(SplitProblem problem, int splits, ComputeDevice device) {
        int headDim = problem.headDim();
        int rows = Math.min(Math.min(problem.rows(), Math.max(ROWS_OF_PROMPTS, problem.group())), MOST_ROWS);
        while (rows > 1
                && SplitKeyAttention.localMemoryBytes(headDim, rows, dims(rows, headDim), 1)
                        > device.localMemoryBytes()) {
            rows = Math.ceilDiv(rows, 2);
        }
        int dims = dims(rows, headDim);
        int lanes = SplitKeyAttention.lanes(headDim, dims);
        boolean gpu = device.type() == TornadoDeviceType.GPU;
        long groupSize = Math.min(gpu ? GPU_GROUP_SIZE : OTHER_GROUP_SIZE, device.maxGroupSize());
        int slots = (int) Math.max(1, groupSize / lanes);
        long localMemory = Math.min(LOCAL_MEMORY_USED_AT_MOST, device.localMemoryBytes());
        while (slots > 1 && SplitKeyAttention.localMemoryBytes(headDim, rows, dims, slots) > localMemory) {
            slots--;
        }
        int tileKeys = slots * SplitKeyAttention.KEYS;
        int wanted = Math.ceilDiv(device.computeUnits() * (gpu ? GROUPS_PER_UNIT : 1), problem.groups(rows));
        int chosen = splits > 0 ? splits : Math.clamp(wanted, 1, Math.ceilDiv(Math.max(1, problem.keys()), tileKeys));
        return new LaneSplitTile(rows, dims, slots, chosen);
    }

    /** Dimensions of a work-item. */
    private static int dims(int rows, int headDim) {
        int inRegisters = rows <= 4 ? 8 : rows <= 8 ? REGISTER_TILE / 8 : REGISTER_TILE / 16;
        return Math.min(inRegisters, SplitKeyAttention.rowStride(headDim));
    }

    private static Optional<SplitTile> warps(SplitProblem problem, int splits, ComputeDevice device) {
        int headDim = problem.headDim();
        boolean possible = device.extension().level().include(Intrinsics.WARP)
                && problem.dtype() != DType.F32
                && !problem.fp8()
                && headDim % CHUNK == 0;
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
        int chosen = inWaves(problem.groups(rows), device.computeUnits() * sideBySide, keyTiles);
        return Optional.of(new WarpSplitTile(rows, warps, stages, chosen));
    }

    /** Splits that make several whole waves of long groups, or else the fewest that leave hardly a place empty. */
    private static int inWaves(int groups, long places, int keyTiles) {
        for (int waves = MOST_WAVES; waves > 1; waves--) {
            int splits = (int) (waves * places / groups);
            if (splits > 0 && keyTiles / splits >= TILES_WORTH_A_WAVE) {
                return splits;
            }
        }
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
