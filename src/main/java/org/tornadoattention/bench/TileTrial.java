package org.tornadoattention.bench;

import org.tornadoattention.plan.WarpTile;

/**
 * What came of a candidate in tuning.
 *
 * @param tile the candidate
 * @param queries the sequence that it was tried with
 * @param headDim the head dimension
 * @param teraflops operations a second by the median kernel time, in units of 10^12; 0 if it failed
 * @param failure why it is out of the question, or empty
 */
public record TileTrial(WarpTile tile, int queries, int headDim, double teraflops, String failure) {

    /** Whether it ran and was right. */
    public boolean good() {
        return failure.isEmpty();
    }
}
