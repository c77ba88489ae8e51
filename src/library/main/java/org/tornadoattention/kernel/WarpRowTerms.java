package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.RowTerms;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * {@link BackwardRowTerms} with eight lanes to a row, so that neighbouring lanes read neighbouring elements: beside
 * tensor cores, the plain kernel's scattered reads would be a tenth of the backward pass.
 *
 * <p><b>Arrays.</b> As {@link BackwardRowTerms}, in F16. <b>Grid.</b> {@link #LANES} work-items for each of
 * {@code batch * heads * seqQ} rows, groups of {@link #GROUP}. No local memory. <b>Device.</b> As
 * {@link WarpFlashAttention}.
 */
public final class WarpRowTerms {

    /** Work-items for a row: with a warp for each, the rate at which warps come and go would bind. */
    public static final int LANES = 8;

    /** Work-items of a group: with fewer, the rate at which groups start would bind. */
    public static final int GROUP = 256;

    private WarpRowTerms() {}

    /**
     * Computes the terms of every row.
     *
     * @param features as {@link BackwardRowTerms} has them
     */
    public static void rowTerms(
            KernelContext context,
            @Element HalfFloatArray output,
            @Element HalfFloatArray outputGradient,
            FloatArray logSumExp,
            FloatArray logSumExpGradient,
            FloatArray rowTerms,
            int headDim,
            int features) {
        int row = context.globalIdx / LANES;
        int lane = context.globalIdx % LANES;
        // All lanes of a warp take part in its shuffles.
        int seen = TornadoMath.min(row, logSumExp.getSize() - 1);
        float d = 0f;
        for (int x = lane; x < headDim; x += LANES) {
            d += load(outputGradient, seen * headDim + x, features) * load(output, seen * headDim + x, features);
        }
        for (int mask = LANES / 2; mask > 0; mask /= 2) {
            d += Warp.shuffleXor(d, mask);
        }
        if (row < logSumExp.getSize()) {
            if ((features & Features.LSE_GRADIENT) != 0) {
                d = d - logSumExpGradient.get(row);
            }
            if (lane == 0) {
                RowTerms.set(rowTerms, row, logSumExp.get(row), d);
            }
        }
    }
}
