package org.tornadoattention.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.Dropout;

public class DropoutPatternTest {

    /** The known answers of the authors' own library, Random123. */
    public static Stream<Arguments> knownAnswers() {
        return Stream.of(
                Arguments.of(new int[] {0, 0, 0, 0}, new int[] {0, 0}, new int[] {
                    0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8
                }),
                Arguments.of(new int[] {-1, -1, -1, -1}, new int[] {-1, -1}, new int[] {
                    0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd
                }),
                Arguments.of(
                        new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                        new int[] {0xa4093822, 0x299f31d0},
                        new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
    }

    @ParameterizedTest
    @MethodSource("knownAnswers")
    void itIsPhilox(int[] counter, int[] key, int[] answer) {
        assertThat(DropoutPattern.philox(counter, key)).containsExactly(answer);
    }

    /** Every part of a pair's place, and of the seed, changes the pattern; each half is dropped half of the time. */
    @Test
    void patternsOfDifferentPlacesAreIndependent() {
        Dropout dropout = new Dropout(0.5, 1, 0);
        assertAgreement(dropout, 0, 0, dropout, 0, 0, 1);
        assertAgreement(dropout, 0, 0, dropout, 1, 0, 0.5);
        assertAgreement(dropout, 0, 0, dropout, 0, 1, 0.5);
        assertAgreement(dropout, 0, 0, new Dropout(0.5, 2, 0), 0, 0, 0.5);
        assertAgreement(dropout, 0, 0, new Dropout(0.5, 1L << 32 | 1, 0), 0, 0, 0.5);
        assertAgreement(dropout, 0, 0, new Dropout(0.5, 1, 1), 0, 0, 0.5);
    }

    private static void assertAgreement(
            Dropout a, int headA, int queryA, Dropout b, int headB, int queryB, double share) {
        int keys = 20_000;
        int agree = 0;
        for (int key = 0; key < keys; key++) {
            agree += DropoutPattern.keeps(a, headA, queryA, key) == DropoutPattern.keeps(b, headB, queryB, key) ? 1 : 0;
        }
        assertThat((double) agree / keys).isCloseTo(share, within(0.02));
    }
}
