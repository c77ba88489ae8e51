package org.tornadoattention.simulator.instrument;

import java.util.BitSet;
import java.util.Objects;

/**
 * What to put into a kernel.
 *
 * @param bounds name the array that an index misses
 * @param localMemory check reads and writes of local memory
 * @param barriers tell barriers apart
 * @param deviceMemory check reads and writes of device memory where it can be wrong
 * @param counting count traffic
 * @param tracked the parameters of the kernel method that may have elements that hold nothing
 */
public record Instrumentation(
        boolean bounds, boolean localMemory, boolean barriers, boolean deviceMemory, boolean counting, BitSet tracked) {

    /** Copies the set. */
    public Instrumentation {
        tracked = (BitSet) Objects.requireNonNull(tracked, "tracked").clone();
    }

    @Override
    public BitSet tracked() {
        return (BitSet) tracked.clone();
    }

    /** Returns what to put into methods that the kernel calls: there every parameter may hold anything. */
    Instrumentation forHelpers() {
        BitSet all = new BitSet();
        all.set(0, 255);
        return new Instrumentation(bounds, localMemory, barriers, deviceMemory, counting, all);
    }

    boolean tracks(int parameter) {
        return deviceMemory && tracked.get(parameter);
    }
}
