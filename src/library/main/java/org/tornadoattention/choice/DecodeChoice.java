package org.tornadoattention.choice;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;

/**
 * Which kernel of inference runs on a device, its tile, and into how many parts the keys are split: the last of
 * {@link DecodeKernel} that can, or the first where work-groups are simulated, since it has fewer work-items.
 */
public final class DecodeChoice {

    /** Queries of a sequence from which on they are a chunk for {@link DecodeKernel#WARP_GROUP}. */
    public static final int FEWEST_OF_CHUNK = WarpGroupChunkSpec.FEWEST_QUERIES;

    private DecodeChoice() {}

    /**
     * How {@link DecodeKernel#WARP_GROUP} computes chunks over a pool or a cache.
     *
     * @param problem heads and keys of a step, and the type of the keys
     * @param wanted the kernel that the caller insists on, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
     * @param takes whether the kernel takes the arrays
     * @param device where it is to run
     * @return empty where another kernel is wanted, or better
     * @throws UnsupportedOnDeviceException if it is wanted and cannot do it
     */
    public static Optional<WarpGroupSplitTile> chunk(
            SplitProblem problem, Optional<DecodeKernel> wanted, int splits, boolean takes, ComputeDevice device) {
        Optional<WarpGroupSplitTile> tile =
                takes ? WarpGroupChunkSpec.overPages(problem, splits, device) : Optional.empty();
        if (wanted.isPresent() && wanted.get() == DecodeKernel.WARP_GROUP) {
            return Optional.of(tile.orElseThrow(() -> lacking(DecodeKernel.WARP_GROUP, device)));
        }
        boolean better = !device.isSimulator() && problem.seqQ() >= WarpGroupChunkSpec.FEWEST_QUERIES;
        return wanted.isEmpty() && better ? tile : Optional.empty();
    }

    /**
     * Chooses.
     *
     * @param problem rows, heads and keys of a step
     * @param wanted the kernel that the caller insists on, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
     * @param device where it is to run
     * @return the kernel and how it divides its work
     * @throws UnsupportedOnDeviceException if the wanted kernel cannot do it
     */
    public static LaunchedTile choose(
            SplitProblem problem, Optional<DecodeKernel> wanted, int splits, ComputeDevice device) {
        List<DecodeKernel> bestFirst = Arrays.asList(DecodeKernel.values());
        return wanted.map(List::of).orElse(device.isSimulator() ? bestFirst : bestFirst.reversed()).stream()
                .flatMap(kernel -> kernel.spec().choose(problem, splits, device).stream())
                .findFirst()
                .orElseThrow(() -> lacking(wanted.orElseThrow(), device));
    }

    private static UnsupportedOnDeviceException lacking(DecodeKernel wanted, ComputeDevice device) {
        return new UnsupportedOnDeviceException(
                device,
                "what the kernel %s needs: %s"
                        .formatted(wanted.id(), wanted.spec().needs()),
                "use the kernel " + DecodeKernel.SPLIT_KEY.id());
    }
}
