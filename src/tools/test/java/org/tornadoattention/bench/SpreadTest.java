package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SpreadTest {

    @Test
    void medianAndQuartilesAreThoseOfTheSortedTimes() {
        Spread spread = Spread.of(new long[] {5, 1, 4, 2, 3});
        assertThat(spread).isEqualTo(new Spread(3e-9, 2e-9, 4e-9, 5));
        assertThat(spread.relativeSpread()).isEqualTo(1.0 / 3, within(1e-12));
    }

    @Test
    void noTimesAreRefusedAndTwoShowNoSpread() {
        assertThatIllegalArgumentException().isThrownBy(() -> Spread.of(new long[0]));
        assertThat(Spread.of(new long[] {7, 7}).repeatability()).isInfinite();
    }

    /** The promise behind «noisy»: of two runs, about one pair in twenty lies further apart than was said. */
    @Test
    void mediansOfTwoRunsDifferByLessThanWasSaid() {
        Random random = new Random(1);
        int beyond = 0;
        int pairs = 2000;
        for (int pair = 0; pair < pairs; pair++) {
            Spread first = run(random);
            Spread second = run(random);
            double said = (first.repeatability() + second.repeatability()) / 2;
            beyond += Math.abs(first.medianSeconds() / second.medianSeconds() - 1) > said ? 1 : 0;
        }
        assertThat((double) beyond / pairs).isBetween(0.01, 0.12);
    }

    private static Spread run(Random random) {
        long[] times = new long[15];
        Arrays.setAll(times, i -> Math.round(1e6 * (1 + 0.03 * random.nextGaussian())));
        return Spread.of(times);
    }
}
