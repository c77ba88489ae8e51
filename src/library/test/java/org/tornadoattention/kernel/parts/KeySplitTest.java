package org.tornadoattention.kernel.parts;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Tiles of packed sequences: each row of each sequence is in one of them, in those that the grid has. */
class KeySplitTest {

    private record Rows(int sequence, int from, int to) {}

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void eachRowIsInOneTile(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int sequences = random.nextInt(1, 70);
        int group = random.nextInt(1, 6);
        int rows = 1 << random.nextInt(6);
        IntArray step = new IntArray(StepLayout.stepSize(sequences));
        List<Rows> expected = new ArrayList<>();
        int tokens = 0;
        for (int sequence = 0; sequence < sequences; sequence++) {
            int queries = random.nextInt(3) == 0 ? 0 : random.nextInt(90);
            StepLayout.setQueries(step, sequence, tokens, queries, 0);
            for (int row = 0; row < queries * group; row += rows) {
                expected.add(new Rows(sequence, row, Math.min(row + rows, queries * group)));
            }
            tokens += queries;
        }
        List<Rows> actual = new ArrayList<>();
        for (int tile = 0; tile < tokens * group / rows + sequences; tile++) {
            int sequence = KeySplit.sequence(step, tile, group, rows, 0);
            int from = (tile - KeySplit.tilesBefore(step, sequence, group, rows, 0)) * rows;
            int to = Math.min(from + rows, StepLayout.queries(step, sequence) * group);
            if (from < to) {
                actual.add(new Rows(sequence, from, to));
            }
        }
        assertThat(actual).isEqualTo(expected);
    }
}
