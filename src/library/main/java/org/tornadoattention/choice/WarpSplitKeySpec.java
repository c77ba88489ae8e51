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

    /**
     * The part of the multiprocessors that have a group at least. More splits than that takes gain nothing: memory is
     * faster the fewer places are read at a time.
     */
    private static final double FILLED = 0.95;

    /** From so many groups a multiprocessor on, nearly all have two, of which fewer bytes each are under way. */
    private static final double TWO_EACH = 1.9;

    /** KV heads that share a group: more have more parts to merge, which costs more than it saves. */
    private static final int HEADS_TOGETHER = 2;

    /** Of which one group has a multiprocessor for itself. */
    private static final int WARPS_TOGETHER = 8;

    private static final int STAGES_TOGETHER = 3;
    private static final int MOST_PARTS_TOGETHER = 8;

    /** Up to so many tokens, finding a page costs more than parts that are merged. */
    private static final int SMALL_PAGE = 64;

    /** From so many keys on, heads that are read at once gain where they lie in one page too. */
    private static final int LONG_PAGE = 4096;

    /** Parts of so few tiles are over before a third stage pays for what goes before the first tile. */
    private static final int FEW_TILES = 8;

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
        WarpSplitTile tile = new WarpSplitTile(rows, warps, 1, stages, Math.max(1, splits));
        if (tile.localMemoryBytes(headDim) + RESERVED > localMemory) {
            return Optional.empty();
        }
        if (splits > 0) {
            return Optional.of(tile);
        }
        Optional<LaunchedTile> together = wide ? Optional.empty() : together(problem, rows, localMemory, device);
        if (together.isPresent()) {
            return together;
        }
        int keyTiles = Math.ceilDiv(Math.max(1, problem.keys()), warps * WarpSplitKeyAttention.WARP_KEYS);
        int wanted = (int) Math.ceil(FILLED * device.computeUnits() / problem.groups(rows));
        int chosen = Math.min(wanted, keyTiles);
        boolean two = (double) problem.groups(rows) * chosen >= TWO_EACH * device.computeUnits()
                || Math.ceilDiv(keyTiles, chosen) <= FEW_TILES;
        return Optional.of(new WarpSplitTile(rows, warps, 1, two ? FEWEST_STAGES : stages, chosen));
    }

    /**
     * Groups of two KV heads, one for each multiprocessor, where the heads of a token lie side by side and pages are
     * small, or long and without parts.
     */
    private static Optional<LaunchedTile> together(
            SplitProblem problem, int rows, long localMemory, ComputeDevice device) {
        int groups = Math.ceilDiv(problem.groups(rows), HEADS_TOGETHER);
        int parts = device.computeUnits() / groups;
        WarpSplitTile tile = new WarpSplitTile(rows, WARPS_TOGETHER, HEADS_TOGETHER, STAGES_TOGETHER, parts);
        boolean possible = problem.headsTogether()
                && problem.kvHeads() % HEADS_TOGETHER == 0
                && tile.localMemoryBytes(problem.headDim()) + RESERVED <= localMemory;
        boolean filled = parts <= MOST_PARTS_TOGETHER && parts * groups >= FILLED * device.computeUnits();
        boolean gains = problem.pageSize() <= SMALL_PAGE && parts > 1
                ? parts * FEW_TILES * tile.tileKeys() < problem.keys()
                : parts == 1 && (problem.pageSize() <= SMALL_PAGE || problem.pageSize() >= LONG_PAGE);
        return possible && filled && gains ? Optional.of(tile) : Optional.empty();
    }
}
