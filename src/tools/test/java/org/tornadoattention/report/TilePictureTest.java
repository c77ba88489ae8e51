package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.report.TilePicture.Kind;

class TilePictureTest {

    /** Against the mask itself, element by element. */
    @ParameterizedTest
    @CsvSource({
        "64, 64, -1, 0",
        "64, 64, -1, -1",
        "33, 70, -1, 0",
        "70, 33, -1, 0",
        "64, 64, 10, 5",
        "50, 100, 0, 0",
        "100, 50, 3, -1"
    })
    void eachTileIsWhatItsElementsSay(int seqQ, int seqK, int left, int right) {
        Mask mask = Mask.window(left, right);
        TilePicture picture = new TilePicture(seqQ, seqK, AttentionKernel.TILED.tile(16, 8), mask);
        Map<Kind, Long> counted = new EnumMap<>(Kind.class);
        for (int row = 0; row < picture.rows(); row++) {
            for (int column = 0; column < picture.columns(); column++) {
                int seen = 0;
                int all = 0;
                for (int i = row * 16; i < Math.min(seqQ, row * 16 + 16); i++) {
                    for (int j = column * 8; j < Math.min(seqK, column * 8 + 8); j++) {
                        all++;
                        seen += mask.allows(i, j, seqQ, seqK) ? 1 : 0;
                    }
                }
                Kind expected = seen == all ? Kind.FULL : seen == 0 ? Kind.SKIPPED : Kind.PARTIAL;
                // A window narrower than a tile may pass between two corners: such a tile is tested, at worst for
                // nothing.
                Kind kind = picture.kind(row, column);
                counted.merge(kind, 1L, Long::sum);
                assertThat(kind == expected || kind == Kind.PARTIAL && expected == Kind.SKIPPED)
                        .as("tile %d, %d is %s, expected %s", row, column, kind, expected)
                        .isTrue();
            }
        }
        for (Kind kind : Kind.values()) {
            assertThat(picture.count(kind)).as("%s", kind).isEqualTo(counted.getOrDefault(kind, 0L));
        }
    }

    /** By arithmetic: of n × n tiles under a causal mask n are partial, and half of the others full. */
    @Test
    void theTilesOfMillionsOfTokensAreCountedWithoutBeingLookedAt() {
        int n = 1 << 20;
        TilePicture picture =
                new TilePicture(n * 64 - 1, n * 64 - 1, AttentionKernel.TILED.tile(64, 64), Mask.causal());
        long others = (long) n * (n - 1) / 2;
        assertThat(picture.count(Kind.PARTIAL)).isEqualTo(n);
        assertThat(picture.count(Kind.FULL)).isEqualTo(others);
        assertThat(picture.count(Kind.SKIPPED)).isEqualTo(others);
    }

    /** The last tile's end lies past the largest int. */
    @Test
    void theLongestSequenceIsDrawn() {
        TilePicture picture = new TilePicture(1, Integer.MAX_VALUE, AttentionKernel.TILED.tile(64, 64), Mask.none());
        assertThat(picture.lines()).hasSize(1).allMatch(line -> line.matches("█+"));
        assertThat(picture.count(Kind.FULL)).isEqualTo(picture.columns());
    }

    @Test
    void aLargeMatrixIsDrawnInFewSigns() {
        List<String> lines = new TilePicture(16384, 16384, AttentionKernel.TILED.tile(64, 32), Mask.causal()).lines();
        assertThat(lines).hasSizeLessThanOrEqualTo(24).allMatch(line -> line.length() == 64);
        assertThat(lines.getFirst()).startsWith("▒").endsWith("·");
        assertThat(lines.getLast()).startsWith("█").endsWith("▒");
    }
}
