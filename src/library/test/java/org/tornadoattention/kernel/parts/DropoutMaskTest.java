package org.tornadoattention.kernel.parts;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class DropoutMaskTest {

    @ParameterizedTest
    @MethodSource("org.tornadoattention.reference.DropoutPatternTest#knownAnswers")
    void theKernelsGeneratorIsPhilox(int[] counter, int[] key, int[] answer) {
        for (int which = 0; which < 4; which++) {
            assertThat(DropoutMask.word(key[0], key[1], counter[0], counter[1], counter[2], counter[3], which))
                    .isEqualTo(answer[which]);
            assertThat(DropoutMask.wordOfInts(key[0], key[1], counter[0], counter[1], counter[2], counter[3], which))
                    .isEqualTo(answer[which]);
        }
    }

    /** Products whose halves carry, which few known answers have. */
    @Test
    void bothWaysToMultiplyGiveTheSameWords() {
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 10_000; i++) {
            int key = random.nextInt();
            int counter = i % 3 == 0 ? -1 - i : random.nextInt();
            int which = i % 4;
            assertThat(DropoutMask.wordOfInts(key, ~key, counter, i, -1, key, which))
                    .isEqualTo(DropoutMask.word(key, ~key, counter, i, -1, key, which));
        }
    }
}
