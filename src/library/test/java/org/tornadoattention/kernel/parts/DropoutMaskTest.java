package org.tornadoattention.kernel.parts;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class DropoutMaskTest {

    @ParameterizedTest
    @MethodSource("org.tornadoattention.reference.DropoutPatternTest#knownAnswers")
    void theKernelsGeneratorIsPhilox(int[] counter, int[] key, int[] answer) {
        for (int which = 0; which < 4; which++) {
            assertThat(DropoutMask.word(key[0], key[1], counter[0], counter[1], counter[2], counter[3], which))
                    .isEqualTo(answer[which]);
        }
    }
}
