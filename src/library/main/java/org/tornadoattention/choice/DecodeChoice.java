package org.tornadoattention.choice;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;

/**
 * Which kernel of inference runs on a device, its tile, and into how many parts the keys are split: the last of {@link
 * DecodeKernel} that can, or the first where work-groups are simulated, since it has fewer work-items.
 */
public final class DecodeChoice {

    private DecodeChoice() {}

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
                .orElseThrow(() -> new UnsupportedOnDeviceException(
                        device,
                        "what the kernel %s needs: %s"
                                .formatted(
                                        wanted.orElseThrow().id(),
                                        wanted.orElseThrow().spec().needs()),
                        "use the kernel " + DecodeKernel.SPLIT_KEY.id()));
    }
}
