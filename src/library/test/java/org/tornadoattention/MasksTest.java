package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Ready-made masks and scores against pictures and numbers that were written by hand. */
class MasksTest {

    private static String picture(Mask mask, int queries, int keys) {
        StringBuilder text = new StringBuilder();
        for (int query = 0; query < queries; query++) {
            for (int key = 0; key < keys; key++) {
                text.append(mask.allows(query, key, queries, keys) ? '#' : '.');
            }
            text.append(' ');
        }
        return text.toString().trim();
    }

    @Test
    void masksAreWhatTheirNamesSay() {
        assertThat(picture(Masks.documents(IntArray.fromElements(0, 0, 1, 1, 1)), 5, 5))
                .isEqualTo("##... ##... ..### ..### ..###");
        assertThat(picture(Masks.prefixLm(2), 4, 4)).isEqualTo("##.. ##.. ###. ####");
        assertThat(picture(Masks.dilated(1, 2), 5, 5)).isEqualTo("#.#.. .#.#. #.#.# .#.#. ..#.#");
        assertThat(picture(Masks.globalWindow(1, 1, 0), 4, 4)).isEqualTo("#### ##.. ###. #.##");
        assertThat(picture(Masks.neighbourhood2d(3, 1), 6, 6)).isEqualTo("##.##. ###### .##.## ##.##. ###### .##.##");
        assertThat(picture(Masks.blockCausal(2), 5, 5)).isEqualTo("##... ##... ####. ####. #####");
        assertThat(picture(Masks.sharedPrefix(2, IntArray.fromElements(0, 0, 1, 1, 2)), 5, 5))
                .isEqualTo("#.... ##... ###.. ####. ##..#");
        assertThat(picture(Masks.tree(2, -1, 0, 0, 1), 4, 6)).isEqualTo("###... ####.. ###.#. ####.#");
    }

    @Test
    void algebraIsThatOfSets() {
        Mask two = Mask.of((b, h, i, j) -> j % 2 == 0);
        assertThat(picture(Mask.causal().and(two), 4, 4)).isEqualTo("#... #... #.#. #.#.");
        assertThat(picture(Mask.window(0, 1).or(two), 4, 4)).isEqualTo("###. ###. #.## #.##");
        assertThat(picture(Mask.causal().not(), 3, 3)).isEqualTo(".## ..# ...");
        assertThat(picture(Mask.causal().and(two).not(), 3, 3)).isEqualTo(".## .## .#.");
        assertThat(picture(Mask.none().not(), 2, 2)).isEqualTo(".. ..");
        assertThat(Mask.window(3, 1).and(Mask.causal())).isEqualTo(Mask.window(3, 0));
        assertThat(Mask.causal().or(Mask.none())).isEqualTo(Mask.none());
    }

    @Test
    void scoresAreWhatTheirNamesSay() {
        FloatArray table = FloatArray.fromElements(1, 2, 3, 10, 20, 30);
        assertThat(Scores.relative(table, 1).apply(100, 0, 1, 5, 4)).isEqualTo(110);
        assertThat(Scores.relative(table, 1).apply(100, 0, 0, 2, 9)).isEqualTo(103);
        FloatArray square = new FloatArray(9);
        square.set(1 * 3 + 2, 5);
        assertThat(Scores.relative2d(square, 2, 2).apply(1, 0, 0, 1, 0)).isEqualTo(6);
        assertThat(Scores.alibi(FloatArray.fromElements(0.5f)).apply(1, 0, 0, 2, 6))
                .isEqualTo(-1);
        assertThat(Scores.softcap(2).apply(3, 0, 0, 0, 0)).isCloseTo(2 * (float) Math.tanh(1.5), within(1e-6f));
        // Buckets of 32 up to distance 128, as T5's code gives them.
        FloatArray buckets = new FloatArray(32);
        for (int i = 0; i < 32; i++) {
            buckets.set(i, i);
        }
        ScoreFunction t5 = Scores.t5(buckets, 32, 128, true);
        int[][] known = {
            {0, 0}, {-1, 1}, {-7, 7}, {-8, 8}, {-11, 8}, {-12, 9}, {-127, 15}, {-500, 15}, {1, 17}, {128, 31}
        };
        for (int[] each : known) {
            assertThat(t5.apply(0, 0, 0, 600, 600 + each[0]))
                    .as("distance %d", each[0])
                    .isEqualTo(each[1]);
        }
    }

    @Test
    void mistakesAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Masks.tree(2, -1, 1))
                .withMessageContaining("token 1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Masks.dilated(1, 0))
                .withMessageContaining("dilation");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Scores.relative(FloatArray.fromElements(1, 2), 1))
                .withMessageContaining("it must have 3 for each head");
        assertThatIllegalArgumentException().isThrownBy(() -> Scores.softcap(0)).withMessageContaining("above 0");
    }
}
