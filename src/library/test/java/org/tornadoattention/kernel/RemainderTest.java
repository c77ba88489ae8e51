package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.tornadoattention.kernel.parts.Remainder;

class RemainderTest {

    private static final int NUMBERS = 100_000;

    @Test
    void isJavasToTheLastBitOfTheDividend() {
        SplittableRandom random = new SplittableRandom(1);
        for (int n = 0; n < NUMBERS; n++) {
            float x = random.nextInt(-4000, 4000) / 64f + (float) random.nextDouble(-1, 1) * random.nextInt(2);
            float y = (random.nextInt(-200, 200) + 0.5f) / 16f;
            assertThat(distance(Remainder.of(x, y), x % y, y))
                    .as("%s %% %s", x, y)
                    .isLessThanOrEqualTo(Math.ulp(x));
            assertThat(distance(Remainder.of((double) x, y), (double) x % y, y))
                    .as("%s %% %s in float64", x, y)
                    .isLessThanOrEqualTo(Math.ulp((double) x));
        }
    }

    /** Where the remainder is nearly the divisor, it may be nearly 0 just as well. */
    private static double distance(double one, double other, double divisor) {
        double difference = Math.abs(one - other);
        return Math.min(difference, Math.abs(difference - Math.abs(divisor)));
    }

    @Test
    void isJavasAtTheEnds() {
        assertThat(Remainder.of(3f, Float.POSITIVE_INFINITY)).isEqualTo(3f);
        assertThat(Remainder.of(-3f, 2f)).isEqualTo(-1f);
        assertThat(Remainder.of(3f, -2f)).isEqualTo(1f);
        assertThat(Remainder.of(3f, 0f)).isNaN();
        assertThat(Remainder.of(Float.POSITIVE_INFINITY, 2f)).isNaN();
        assertThat(Remainder.of(Float.NaN, 2f)).isNaN();
        assertThat(Remainder.of(3d, Double.NEGATIVE_INFINITY)).isEqualTo(3d);
        assertThat(Remainder.of(-5.5d, 2d)).isEqualTo(-1.5d);
    }
}
