package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.math.TornadoMath;

/**
 * What {@link WarpScores} does for tiles of 64 rows of a warp group, with scores that are no exponents of 2:
 * differences from a row's maximum or log-sum-exp are made before they become such. With exponents of 2 the log-sum-exp
 * of large scores would be rounded thrice on its way to the gradients, which F32 shows.
 */
public final class NaturalScores {

    private NaturalScores() {}

    // spotless:off: parameters in rows
    /**
     * S = softcap(factor · S) − slope · |distance|, and −∞ for what the mask hides; parameters as {@link WarpScores#scores}.
     *
     * @param factor of the products: the scale, and what gives back what their operands were divided by
     */
    public static void scores(
            float[] s, int columns, int position, int j, int column, int length, int everyLeft, int everyRight,
            int windowLeft, int windowRight, float factor, float softcap, float slope, int features) {
        for (int r = 0; r < 2; r++) {
            for (int n = 0; n < columns / 8; n++) {
                for (int e = 0; e < 2; e++) {
                    int at = 4 * n + 2 * r + e;
                    float distance = (float) (position - j - column + 8 * r - 8 * n - e);
                    s[at] = Score.biased(Score.capped(factor * s[at], softcap), slope, distance, features);
                }
            }
        }
        WarpScores.hide(s, 1, columns, position, j, column, length, everyLeft, everyRight, windowLeft, windowRight);
    }

    // spotless:on

    /** e to the power of a difference of scores. */
    public static float exp(float difference) {
        return Warp.exp2(difference * WarpScores.LOG2_E);
    }

    /**
     * One step of the online softmax: m = max(m, rowmax S), P = e^(S − m) over S, correction = e^(old m − m), l =
     * correction · l + rowsum P.
     */
    public static void softmax(float[] s, float[] m, float[] l, float[] correction, int columns) {
        for (int r = 0; r < 2; r++) {
            float even = s[2 * r];
            float odd = s[2 * r + 1];
            for (int n = 1; n < columns / 8; n++) {
                even = TornadoMath.max(even, s[2 * r + 4 * n]);
                odd = TornadoMath.max(odd, s[2 * r + 4 * n + 1]);
            }
            float top = TornadoMath.max(even, odd);
            top = TornadoMath.max(top, Warp.shuffleXor(top, 1));
            top = TornadoMath.max(top, Warp.shuffleXor(top, 2));
            float now = top > m[r] ? top : m[r];
            correction[r] = exp(m[r] - now);
            m[r] = now;
            even = 0f;
            odd = 0f;
            for (int n = 0; n < columns / 8; n++) {
                float p0 = exp(s[2 * r + 4 * n] - now);
                float p1 = exp(s[2 * r + 4 * n + 1] - now);
                even += p0;
                odd += p1;
                s[2 * r + 4 * n] = p0;
                s[2 * r + 4 * n + 1] = p1;
            }
            l[r] = l[r] * correction[r] + (even + odd);
        }
    }
}
