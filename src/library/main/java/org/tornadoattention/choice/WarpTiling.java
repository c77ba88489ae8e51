package org.tornadoattention.choice;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.device.ComputeDevice;

/**
 * The tiles of a kernel with warp intrinsics: the tuning table's first, then smaller ones that fit. Each warp has 16 or
 * 32 queries.
 */
abstract class WarpTiling extends Tiling {

    static final int LANES = 32;

    private static final int MAX_WARPS = 32;
    private static final int MAX_KEYS = 256;
    private static final int MAX_RESCALE_THRESHOLD = 8;

    /** Above, two rows of registers per lane do not hold 32 rows of O. */
    private static final int WIDEST_FOR_32_ROWS = 128;

    WarpTiling(AttentionKernel kernel) {
        super(kernel);
    }

    /** Whether so many warps can divide so many queries. */
    abstract boolean share(int warps, int blockQ);

    /** What keys must be a multiple of. */
    int keyStep() {
        return 16;
    }

    /** Tiles for devices that the tuning table does not know, the best first. */
    abstract Stream<String> untuned();

    @Override
    void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
        if (warps < 1 || warps > MAX_WARPS || !share(warps, blockQ)) {
            throw new IllegalArgumentException(
                    "%d warps cannot share %d queries: each has 16 or 32, or each four have 64 of the warp-group kernel."
                            .formatted(warps, blockQ));
        }
        if (blockK < keyStep() || blockK > MAX_KEYS || blockK % keyStep() != 0) {
            throw new IllegalArgumentException(
                    "A tile of %d keys does not fit tensor cores: take a multiple of %d up to %d."
                            .formatted(blockK, keyStep(), MAX_KEYS));
        }
        if (rescaleThreshold < 0 || rescaleThreshold > MAX_RESCALE_THRESHOLD) {
            throw new IllegalArgumentException("The rescale threshold is %d: take 0 (always) to %d."
                    .formatted(rescaleThreshold, MAX_RESCALE_THRESHOLD));
        }
    }

    @Override
    int groupSize(Tile tile, int headDim) {
        return LANES * tile.warps();
    }

    @Override
    long localMemory(ComputeDevice device) {
        return device.extension().localMemoryBytes();
    }

    @Override
    public boolean fits(Tile tile, int headDim, ComputeDevice device) {
        boolean inRegisters = tile.blockQ() == 16 * tile.warps() || headDim <= WIDEST_FOR_32_ROWS;
        return inRegisters && super.fits(tile, headDim, device);
    }

    @Override
    Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
        return Stream.concat(
                TuningTable.current()
                        .tile(
                                device.extension().computeCapability(),
                                kernel(),
                                problem.shape().headDim(),
                                problem.shape().seqQ())
                        .stream(),
                untuned().map(this::tile));
    }

    @Override
    public boolean isWithoutWarps() {
        return false;
    }

    /** All combinations of queries and warps, such as {@code 64/4}, with numbers of keys. */
    final List<Tile> combinations(List<String> queriesAndWarps, int... keys) {
        return queriesAndWarps.stream()
                .map(pair -> pair.split("/"))
                .flatMap(pair -> IntStream.of(keys)
                        .mapToObj(blockK -> tile(Integer.parseInt(pair[0]), blockK, Integer.parseInt(pair[1]), 0)))
                .toList();
    }
}
