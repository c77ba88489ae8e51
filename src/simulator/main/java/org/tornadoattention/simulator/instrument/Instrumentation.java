package org.tornadoattention.simulator.instrument;

import java.util.BitSet;
import java.util.Objects;

/**
 * What to put into a kernel.
 *
 * @param bounds name the array that an index misses
 * @param localMemory check reads and writes of local memory
 * @param privateMemory check that private arrays are read after they were written
 * @param barriers tell barriers apart
 * @param shifts check what is shifted right without a sign
 * @param deviceMemory check reads and writes of device memory where it can be wrong
 * @param counting count traffic
 * @param costs note each access, for what warps cost
 * @param trace keep values of variables and where the kernel calls methods of its own, for a picture
 * @param tracked the parameters of the kernel method that may have elements that hold nothing
 */
public record Instrumentation(
        boolean bounds,
        boolean localMemory,
        boolean privateMemory,
        boolean barriers,
        boolean shifts,
        boolean deviceMemory,
        boolean counting,
        boolean costs,
        boolean trace,
        BitSet tracked) {

    /** Copies the set. */
    public Instrumentation {
        tracked = (BitSet) Objects.requireNonNull(tracked, "tracked").clone();
    }

    @Override
    public BitSet tracked() {
        return (BitSet) tracked.clone();
    }

    /**
     * Returns what to put into methods that the kernel calls: there every parameter may hold anything, and what an
     * initializer of a class makes is no private array.
     */
    Instrumentation forHelpers(boolean isInitializer) {
        BitSet all = new BitSet();
        all.set(0, 255);
        return new Instrumentation(
                bounds,
                localMemory,
                privateMemory && !isInitializer,
                barriers,
                shifts,
                deviceMemory,
                counting,
                costs,
                false,
                all);
    }

    boolean tracks(int parameter) {
        return deviceMemory && tracked.get(parameter);
    }
}
