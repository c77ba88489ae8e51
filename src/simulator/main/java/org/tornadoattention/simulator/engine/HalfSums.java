package org.tornadoattention.simulator.engine;

import org.tornadoattention.simulator.FaultKind;

/** Sums of halves that stay what they are. */
public final class HalfSums {

    private HalfSums() {}

    /** Notes that the addition of a number other than 0 has changed nothing. */
    public static void lost(float sum, float addend) {
        WorkItem item = WorkItem.current();
        if (item != null && item.launch() != null && item.launch().options().numbers()) {
            throw item.fault(
                    FaultKind.LOST_ADDEND,
                    "adds " + addend + " to the half " + sum + ", which stays " + sum
                            + ": a half has 11 bits; add up in a" + " float, and round once");
        }
    }
}
