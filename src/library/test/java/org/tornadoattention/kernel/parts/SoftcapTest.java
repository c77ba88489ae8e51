package org.tornadoattention.kernel.parts;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels' own {@code c · tanh(s / c)}, run as plain Java, against float64. */
class SoftcapTest {

    private static final double RELATIVE_ERROR = 3e-7;

    @ParameterizedTest
    @ValueSource(floats = {0.5f, 15, 50, 1000, 1e5f})
    void isWithinAFewRoundingsOfFloat64(float softcap) {
        Random random = new Random(1);
        double worst = 0;
        for (float spread : new float[] {1e-3f, 1, 30, 1000}) {
            for (int i = 0; i < 100_000; i++) {
                float score = spread * (float) random.nextGaussian();
                double exact = softcap * Math.tanh(score / (double) softcap);
                double error = Math.abs(Softcap.apply(score, softcap) - exact);
                worst = Math.max(worst, error / Math.max(Math.abs(exact), Float.MIN_NORMAL));
            }
        }
        assertThat(worst).isLessThan(RELATIVE_ERROR).isPositive();
    }

    @Test
    void extremesStayWhatTheyAre() {
        assertThat(Softcap.apply(Float.NaN, 30)).isNaN();
        assertThat(Softcap.apply(Float.POSITIVE_INFINITY, 30)).isEqualTo(30);
        assertThat(Softcap.apply(Float.NEGATIVE_INFINITY, 30)).isEqualTo(-30);
        assertThat(Softcap.apply(0, 30)).isZero();
    }
}
