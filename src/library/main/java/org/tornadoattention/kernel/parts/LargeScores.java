package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * Scores so large that F32 has no bits left behind the point. There a row's log-sum-exp L is off by more than 1, and a
 * backward pass that adds up scores in another order than the forward pass did, or as exponents of another base, would
 * find P = e^(S − L) at 0 or ∞ where it is 1. So L is lowered by as much as it may be off, and no P is above 1.
 *
 * <p>Only what is added to products makes such scores: ALiBi's bias, a dense one, functions. Where there is nothing of
 * that, nothing of this is left in a kernel.
 */
public final class LargeScores {

    /** From here on, neighbouring F32 numbers are 2 apart. */
    public static final float LEAST = 1 << 24;

    /** How much of a log-sum-exp of that size it may be off, rounded on its way: four steps, each of half a place. */
    public static final float UNCERTAINTY = 0x1p-21f;

    private LargeScores() {}

    private static boolean arePossible(int features) {
        return (features & Features.ALIBI) != 0 || Functions.makeLarge();
    }

    /** The log-sum-exp that a row's scores are relative to. */
    public static float lowered(float logSumExp, int features) {
        float lowered = logSumExp;
        if (arePossible(features)) {
            float size = TornadoMath.abs(logSumExp);
            lowered = size < LEAST ? logSumExp : logSumExp - size * UNCERTAINTY;
        }
        return lowered;
    }

    /** The exponent of a P, of any base. What is no number stays none, which it would not in a minimum on a device. */
    public static float exponent(float difference, int features) {
        float exponent = difference;
        if (arePossible(features)) {
            exponent = difference > 0f ? 0f : difference;
        }
        return exponent;
    }
}
