package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TileShapeTest {

    @ParameterizedTest
    @CsvSource({"0, 4", "7, 4", "12, 12", "-8, 4", "8, 0", "8, 3", "8, 6", "8, -4", "64, 8", "48, 16"})
    void theRegisterTilesMustDivideIt(int blockQ, int blockK) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new TileShape(blockQ, blockK))
                .withMessageContainingAll("%d by %d".formatted(blockQ, blockK), "multiple of 8", "of 4", "4 times");
    }

    @ParameterizedTest
    @CsvSource({"64, 32, 64, 64", "64, 32, 60, 64", "16, 24, 256, 64", "8, 4, 1, 1"})
    void aWorkItemHasEightQueriesByEightDimensions(int blockQ, int blockK, int headDim, int groupSize) {
        assertThat(new TileShape(blockQ, blockK).groupSize(headDim)).isEqualTo(groupSize);
    }

    @Test
    void localMemoryHoldsTwoTilesTheScoresAndThreeNumbersAQuery() {
        int tiles = (64 + 32) * (128 + 4);
        int scores = 32 * (64 + 4);
        assertThat(new TileShape(64, 32).localMemoryBytes(128)).isEqualTo(4 * (tiles + scores + 3 * 64));
    }

    @Test
    void itsNameIsQueriesByKeys() {
        assertThat(new TileShape(64, 32)).hasToString("64x32");
    }
}
