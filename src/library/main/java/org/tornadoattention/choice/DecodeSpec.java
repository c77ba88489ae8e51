package org.tornadoattention.choice;

import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;

/** What a kernel of inference says of itself. */
sealed interface DecodeSpec permits SplitKeySpec, WarpSplitKeySpec, WarpGroupChunkSpec, VectorDecodeSpec {

    /** What it does, in a few words. */
    String summary();

    /** What it needs of device, cache and head dimension, in words. */
    String needs();

    /**
     * How it divides its work.
     *
     * @param splits parts of the keys, or 0 to choose for the device
     * @return empty where it does not take the problem, or the device lacks what it needs
     */
    Optional<LaunchedTile> choose(SplitProblem problem, int splits, ComputeDevice device);
}
