package org.tornadoattention.choice;

import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpGroupFlashAttention;
import org.tornadoattention.tensor.DType;

/** {@link WarpGroupFlashAttention} over the pages of a pool or a cache. */
record WarpGroupChunkSpec() implements DecodeSpec {

    /**
     * Queries of a chunk from which on products take longer than the keys' way: a tile has 64 rows, whatever they hold.
     */
    static final int FEWEST_QUERIES = 16;

    /** Elements of a 16-byte copy. */
    static final int CHUNK = 8;

    private static final int WIDEST_HEAD = 256;

    /** The widest head whose chunks have tiles of 192 queries: they leave those who copy 32 registers a lane. */
    private static final int NARROW = 64;

    /** What wider heads have instead, and its warps that compute: those who look up pages have more registers there. */
    private static final String OF_WIDE_HEADS = "128x160/8";

    private static final int WARPS_OF_WIDE_HEADS = 8;

    /** Parts of the keys at most: each costs an output in F32, written and read once more. */
    private static final int MOST_SPLITS = 16;

    /**
     * What a group takes beyond its tiles, to begin and to end, and a launch of the merge, in times of a tile of 128 by
     * 128.
     */
    private static final double BEGINNING = 3;

    private static final double MERGE = 2;

    /** Bytes that a device moves in the time of such a tile. */
    private static final double BYTES_OF_TILE = 4e6;

    @Override
    public String summary() {
        return "chunks of many queries by warp groups";
    }

    @Override
    public String needs() {
        return "F16 or BF16 keys, a pool without prefix or a cache, neither with block masks nor a bias of 16 bits, warp-group intrinsics, rows that begin at multiples of "
                + CHUNK + " elements, and a head dimension that is a multiple of " + CHUNK;
    }

    /** What takes steps of any kind: {@link #overPages} is for those that this kernel takes. */
    @Override
    public Optional<LaunchedTile> choose(SplitProblem problem, int splits, ComputeDevice device) {
        return Optional.empty();
    }

    /** As {@link #choose}, of chunks over pages. */
    static Optional<WarpGroupSplitTile> overPages(SplitProblem problem, int splits, ComputeDevice device) {
        boolean possible = Capability.WARP_GROUP.isOn(device)
                && problem.dtype() != DType.F32
                && problem.headDim() % CHUNK == 0
                && problem.headDim() <= WIDEST_HEAD;
        return possible
                ? tile(problem, device)
                        .map(tile -> new WarpGroupSplitTile(tile, splits > 0 ? splits : splits(problem, tile, device)))
                : Optional.empty();
    }

    /** The tile of a forward pass with as many queries; one warp group where they are no more. */
    private static Optional<Tile> tile(SplitProblem problem, ComputeDevice device) {
        Tiling tiling = AttentionKernel.WARP_GROUP.spec().tiling().orElseThrow();
        return best(tiling, problem, device).map(best -> {
            int rows = Math.min(best.blockQ(), Math.ceilDiv(problem.seqQ(), 64) * 64);
            return tiling.tile(rows, best.blockK(), rows / 16, best.rescaleThreshold());
        });
    }

    private static Optional<Tile> best(Tiling tiling, SplitProblem problem, ComputeDevice device) {
        if (problem.functions()) {
            return WarpGroupSpec.OF_FUNCTIONS_FROM_BEST.stream()
                    .map(tiling::tile)
                    .filter(tile -> tiling.fits(tile, problem.headDim(), device))
                    .findFirst();
        }
        AttentionShape shape = new AttentionShape(
                problem.sequences(),
                problem.kvHeads() * problem.group(),
                problem.kvHeads(),
                problem.seqQ(),
                problem.keys(),
                problem.headDim());
        AttentionProblem pass = AttentionProblem.of(shape, problem.dtype(), AttentionOptions.defaults());
        return tiling.choose(pass, device)
                .map(tile -> tile.warps() > WARPS_OF_WIDE_HEADS && problem.headDim() > NARROW
                        ? tiling.tile(OF_WIDE_HEADS)
                        : tile);
    }

    /** As many parts as make the last wave of groups end soonest. */
    private static int splits(SplitProblem problem, Tile tile, ComputeDevice device) {
        long heads = (long) problem.sequences() * problem.kvHeads() * problem.group();
        long groups = heads * Math.ceilDiv(problem.seqQ(), tile.blockQ());
        int tiles = Math.ceilDiv(Math.max(1, problem.keys()), tile.blockK());
        int best = 1;
        double least = Double.MAX_VALUE;
        for (int splits = 1; splits <= Math.min(MOST_SPLITS, tiles); splits++) {
            double waves = Math.ceilDiv(groups * splits, device.computeUnits());
            double merge = 2.0 * Float.BYTES * heads * problem.seqQ() * splits * problem.headDim() / BYTES_OF_TILE;
            double time = waves * (Math.ceilDiv(tiles, splits) + BEGINNING) + (splits == 1 ? 0 : MERGE + merge);
            if (time < least) {
                least = time;
                best = splits;
            }
        }
        return best;
    }
}
