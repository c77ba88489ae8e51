package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
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
                Kind expected = kindOfElements(row, column, seqQ, seqK, mask);
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
            assertThat(picture.drawn().counts().get(kind)).as("%s", kind).isEqualTo(counted.getOrDefault(kind, 0L));
        }
    }

    /** Of a tile of 16 x 8, by each of its elements. */
    private static Kind kindOfElements(int row, int column, int seqQ, int seqK, Mask mask) {
        int seen = 0;
        int all = 0;
        for (int i = row * 16; i < Math.min(seqQ, row * 16 + 16); i++) {
            for (int j = column * 8; j < Math.min(seqK, column * 8 + 8); j++) {
                all++;
                seen += mask.allows(i, j, seqQ, seqK) ? 1 : 0;
            }
        }
        return seen == all ? Kind.FULL : seen == 0 ? Kind.SKIPPED : Kind.PARTIAL;
    }

    /** By arithmetic: of n × n tiles under a causal mask n are partial, and half of the others full. */
    @Test
    void theTilesOfMillionsOfTokensAreCountedWithoutBeingLookedAt() {
        int n = 1 << 20;
        TilePicture picture =
                new TilePicture(n * 64 - 1, n * 64 - 1, AttentionKernel.TILED.tile(64, 64), Mask.causal());
        long others = (long) n * (n - 1) / 2;
        assertThat(picture.drawn().counts())
                .isEqualTo(Map.of(Kind.PARTIAL, (long) n, Kind.FULL, others, Kind.SKIPPED, others));
    }

    /** Documents of 32 tokens in tiles of 16 × 8, a sign for each and one for several: against the mask itself. */
    @ParameterizedTest
    @CsvSource({"128, 128", "100, 100", "2048, 2048"})
    void aConditionIsAskedOnceAboutAPairAtMost(int seqQ, int seqK) {
        LongAdder asked = new LongAdder();
        Mask mask = Mask.causal().and(Mask.of((batch, head, query, key) -> {
            asked.increment();
            return query / 32 == key / 32;
        }));
        TilePicture picture = new TilePicture(seqQ, seqK, AttentionKernel.TILED.tile(16, 8), mask);
        TilePicture.Drawing drawing = picture.drawn();
        assertThat(asked.sum()).isPositive().isLessThanOrEqualTo(mask.visiblePairs(seqQ, seqK));
        Map<Kind, Long> counted = new EnumMap<>(Kind.class);
        for (int row = 0; row < picture.rows(); row++) {
            for (int column = 0; column < picture.columns(); column++) {
                counted.merge(kindOfElements(row, column, seqQ, seqK, mask), 1L, Long::sum);
            }
        }
        assertThat(drawing.counts()).isEqualTo(counted);
        assertThat(drawing.lines().getLast()).startsWith("·").endsWith("▒");
    }

    @Test
    void aConditionThatWouldBeAskedForHoursIsRefused() {
        LongAdder asked = new LongAdder();
        Mask mask = Mask.of((batch, head, query, key) -> {
            asked.increment();
            return query == key;
        });
        TilePicture picture = new TilePicture(4_000_000, 4_000_000, AttentionKernel.TILED.tile(64, 32), mask);
        assertThatIllegalArgumentException()
                .isThrownBy(picture::drawn)
                .withMessageContaining("about each of 16,000,000,000,000 pairs")
                .withMessageContaining("a shorter length");
        assertThat(asked.sum()).isZero();
    }

    /** The last tile's end lies past the largest int. */
    @Test
    void theLongestSequenceIsDrawn() {
        TilePicture picture = new TilePicture(1, Integer.MAX_VALUE, AttentionKernel.TILED.tile(64, 64), Mask.none());
        assertThat(picture.drawn().lines()).hasSize(1).allMatch(line -> line.matches("█+"));
        assertThat(picture.drawn().counts()).containsEntry(Kind.FULL, (long) picture.columns());
    }

    @Test
    void aLargeMatrixIsDrawnInFewSigns() {
        List<String> lines = new TilePicture(16384, 16384, AttentionKernel.TILED.tile(64, 32), Mask.causal())
                .drawn()
                .lines();
        assertThat(lines).hasSizeLessThanOrEqualTo(24).allMatch(line -> line.length() == 64);
        assertThat(lines.getFirst()).startsWith("▒").endsWith("·");
        assertThat(lines.getLast()).startsWith("█").endsWith("▒");
    }
}
