package gpt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

class AssociativeRecallTest {

    private static final AssociativeRecall TASK = AssociativeRecall.of(128);
    private static final int ENTRIES = 5;

    private final IntArray tokens = new IntArray(ENTRIES * TASK.sequence());
    private final IntArray targets = new IntArray(ENTRIES * TASK.sequence());

    @Test
    void eachQuestionIsAnsweredOnceAndInTheFirstHalf() {
        TASK.fill(1, 1, tokens, targets);
        int asked = 0;
        for (int i = 0; i < tokens.getSize(); i++) {
            if (targets.get(i) != AssociativeRecall.NOT_ASKED) {
                int planted = i - TASK.distance(tokens, i);
                assertThat(planted % TASK.sequence()).isLessThan(TASK.sequence() / 2);
                assertThat(i % TASK.sequence()).isGreaterThanOrEqualTo(TASK.sequence() / 2);
                assertThat(tokens.get(planted + 1)).isEqualTo(targets.get(i)).isEqualTo(tokens.get(i + 1));
                for (int other = i / TASK.sequence() * TASK.sequence(); other < i; other++) {
                    assertThat(tokens.get(other) == tokens.get(i)).isEqualTo(other == planted);
                }
                asked++;
            }
        }
        assertThat(asked).isEqualTo(ENTRIES * TASK.pairs());
    }

    /** Both for one who guesses among all values, and for one who guesses among those of the stream. */
    @Test
    void chanceIsUnderFivePerCent() {
        assertThat(AssociativeRecall.CHANCE).isLessThan(0.05);
        assertThat(1.0 / TASK.pairs()).isLessThan(0.05);
    }

    @Test
    void seedAndStepDecideTheStream() {
        TASK.fill(1, 1, tokens, targets);
        int[] first = tokens.toHeapArray();
        TASK.fill(1, 2, tokens, targets);
        assertThat(tokens.toHeapArray()).isNotEqualTo(first);
        TASK.fill(2, 1, tokens, targets);
        assertThat(tokens.toHeapArray()).isNotEqualTo(first);
        TASK.fill(1, 1, tokens, targets);
        assertThat(tokens.toHeapArray()).isEqualTo(first);
    }

    @Test
    void pairsThatDoNotFitAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new AssociativeRecall(128, 33))
                .withMessageContaining("plant 1 to 32");
    }
}
