package org.tornadoattention.choice;

import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;

/** The JVM's own engine: it has no launches, so it is not among those of a device. */
record VectorDecodeSpec() implements DecodeSpec {

    @Override
    public String summary() {
        return "the JVM's vector units and all cores";
    }

    @Override
    public String needs() {
        return Capability.JVM.toString();
    }

    @Override
    public Optional<LaunchedTile> choose(SplitProblem problem, int splits, ComputeDevice device) {
        return Optional.empty();
    }
}
