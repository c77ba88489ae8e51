package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MaskTest {
    /** The definition, word for word. */
    private static boolean sees(Mask mask, int query, int key, int seqQ, int seqK) {
        long position = (long) query + seqK - seqQ;
        return (mask.left() == Mask.UNBOUNDED || key >= position - mask.left())
                && (mask.right() == Mask.UNBOUNDED || key <= position + mask.right());
    }

    @ParameterizedTest
    @CsvSource({
        "-1, -1",
        "-1, 0",
        "0, 0",
        "0, -1",
        "3, 0",
        "2, 5",
        "-1, 4",
        "7, -1",
        "100, 100",
        "2147483647, 2147483647",
        "2147483647, 0",
        "0, 2147483647"
    })
    void everyPairAgreesWithTheDefinition(int left, int right) {
        Mask mask = Mask.window(left, right);
        for (int seqQ = 0; seqQ <= 9; seqQ++) {
            for (int seqK = 0; seqK <= 12; seqK++) {
                long pairs = 0;
                for (int query = 0; query < seqQ; query++) {
                    int first = mask.firstKey(query, seqQ, seqK);
                    int end = mask.endKey(query, seqQ, seqK);
                    assertThat(first).isBetween(0, seqK);
                    assertThat(end).isBetween(0, seqK);
                    for (int key = 0; key < seqK; key++) {
                        boolean seen = sees(mask, query, key, seqQ, seqK);
                        assertThat(mask.allows(query, key, seqQ, seqK)).isEqualTo(seen);
                        assertThat(first <= key && key < end).isEqualTo(seen);
                        pairs += seen ? 1 : 0;
                    }
                }
                assertThat(mask.visiblePairs(seqQ, seqK)).isEqualTo(pairs);
            }
        }
    }

    @Test
    void causalIsAlignedBottomRight() {
        assertThat(Mask.causal().endKey(0, 2, 5)).isEqualTo(4);
        assertThat(Mask.causal().endKey(1, 2, 5)).isEqualTo(5);
        // The first queries of a sequence with fewer keys than queries see none.
        assertThat(Mask.causal().endKey(2, 5, 2)).isZero();
        assertThat(Mask.causal().endKey(3, 5, 2)).isEqualTo(1);
    }

    @Test
    void lengthsUpToTheLargestIntDoNotOverflow() {
        int max = Integer.MAX_VALUE;
        assertThat(Mask.causal().endKey(max - 1, max, max)).isEqualTo(max);
        assertThat(Mask.causal().endKey(0, 1, max)).isEqualTo(max);
        assertThat(Mask.causal().endKey(0, max, 0)).isZero();
        assertThat(Mask.window(max, max).firstKey(0, max, max)).isZero();
        assertThat(Mask.window(max, max).endKey(max - 1, max, max)).isEqualTo(max);
        assertThat(Mask.window(0, max).firstKey(max - 1, 1, max)).isEqualTo(max);
    }

    @Test
    void masksCombineAndSayWhatTheyAre() {
        assertThat(Mask.window(3, 5).andCausal()).isEqualTo(Mask.window(3, 0));
        assertThat(Mask.none().andCausal()).isEqualTo(Mask.causal());
        assertThat(Mask.none()).hasToString("none");
        assertThat(Mask.causal()).hasToString("causal");
        assertThat(Mask.window(3, -1)).hasToString("window(3, -1)");
        assertThat(Mask.window(3, 0).isCausal()).isTrue();
        assertThat(Mask.window(3, -1).isCausal()).isFalse();
        assertThat(Mask.none().isNone()).isTrue();
        assertThat(Mask.causal().isNone()).isFalse();
    }

    @Test
    void edgesBelowMinusOneAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Mask.window(-2, 0))
                .withMessageContaining("left edge is -2")
                .withMessageContaining("-1 for unbounded");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Mask(0, Integer.MIN_VALUE))
                .withMessageContaining("right edge");
    }
}
