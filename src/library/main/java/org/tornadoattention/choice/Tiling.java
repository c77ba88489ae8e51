package org.tornadoattention.choice;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.parts.TileList;

/** The tiles of one kernel: which there are, what a work-group needs for one, and which is best for a problem. */
public abstract class Tiling {

    private static final Pattern NAME = Pattern.compile("(\\d{1,6})x(\\d{1,6})(?:/(\\d{1,6}))?");

    private final AttentionKernel kernel;

    Tiling(AttentionKernel kernel) {
        this.kernel = kernel;
    }

    /** {@return the kernel that works on them} */
    public AttentionKernel kernel() {
        return kernel;
    }

    /** @throws IllegalArgumentException if the kernel's registers and loads do not take such a tile */
    abstract void check(int blockQ, int blockK, int warps, int rescaleThreshold);

    /** Work-items of a group. */
    abstract int groupSize(Tile tile, int headDim);

    /** Bytes of local memory of a group. */
    abstract int localMemoryBytes(Tile tile, int headDim);

    /** Tiles worth taking for a problem, the best first, whether or not the device has room for them. */
    Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
        return Stream.of();
    }

    /** {@return tiles that are worth trying on a device that is to be tuned, none for kernels whose best is known} */
    public List<Tile> worthTrying() {
        return List.of();
    }

    /** Local memory that a group can have. */
    long localMemory(ComputeDevice device) {
        return device.localMemoryBytes();
    }

    /** Local memory that a group should have: less than it can, where several groups are to share a multiprocessor. */
    long localMemoryUsed(ComputeDevice device) {
        return localMemory(device);
    }

    /**
     * {@return whether a device has the work-items and the local memory for a tile}
     *
     * @param tile a tile of this kernel
     * @param headDim elements per head, 1 to 512
     * @param device where it is to run
     */
    public boolean fits(Tile tile, int headDim, ComputeDevice device) {
        return kernel.supports(device)
                && tile.localMemoryBytes(headDim) <= localMemory(device)
                && tile.groupSize(headDim) <= device.maxGroupSize();
    }

    /** Tiles that a work-group's list has room for where block masks leave some out, 0 for kernels without. */
    int listed(Tile tile, AttentionProblem problem) {
        return 0;
    }

    /** Bytes of local memory that tiles of a dense bias of 16 bits take, 0 for kernels that read it from its array. */
    int biasBytes(Tile tile) {
        return 0;
    }

    /** Bytes of local memory of a group for a problem. */
    final int localMemoryBytes(Tile tile, AttentionProblem problem) {
        int list = problem.functions().form().leavesTilesOut() ? listed(tile, problem) : 0;
        int bias = problem.functions().form().hasNarrowBias() ? biasBytes(tile) : 0;
        return tile.localMemoryBytes(problem.shape().widestDim()) + (list == 0 ? 0 : TileList.bytes(list)) + bias;
    }

    /** Whether a device has the work-items and the local memory for a tile and all that a problem needs beside it. */
    final boolean fits(Tile tile, AttentionProblem problem, ComputeDevice device) {
        return fits(tile, problem.shape().widestDim(), device)
                && localMemoryBytes(tile, problem) <= localMemory(device);
    }

    /** The best tile that fits, empty if none does: the least where each takes more than a group should have. */
    final Optional<Tile> choose(AttentionProblem problem, ComputeDevice device) {
        int headDim = problem.shape().widestDim();
        List<Tile> fitting = bestFirst(problem, device)
                .filter(tile -> fits(tile, problem, device))
                .toList();
        return fitting.stream()
                .filter(tile -> tile.localMemoryBytes(headDim) <= localMemoryUsed(device))
                .findFirst()
                .or(() -> fitting.stream().min(Comparator.comparingInt(tile -> tile.localMemoryBytes(headDim))));
    }

    final Tile tile(int blockQ, int blockK, int warps, int rescaleThreshold) {
        return new Tile(this, blockQ, blockK, warps, rescaleThreshold);
    }

    /** The tile that {@link Tile#toString} wrote. */
    final Tile tile(String text) {
        Matcher name = NAME.matcher(text);
        if (!name.matches()) {
            throw new IllegalArgumentException(
                    "'%s' is no tile: write queries by keys, such as 64x32, or with warps, such as 128x64/4."
                            .formatted(text));
        }
        int warps = name.group(3) == null ? 0 : Integer.parseInt(name.group(3));
        return tile(Integer.parseInt(name.group(1)), Integer.parseInt(name.group(2)), warps, 0);
    }

    /** {@return whether queries by keys say all of a tile} */
    public boolean isWithoutWarps() {
        return true;
    }

    static void requireNoWarps(AttentionKernel kernel, int warps, int rescaleThreshold) {
        if (warps != 0 || rescaleThreshold != 0) {
            throw new IllegalArgumentException("The kernel %s has no warps.".formatted(kernel.id()));
        }
    }
}
