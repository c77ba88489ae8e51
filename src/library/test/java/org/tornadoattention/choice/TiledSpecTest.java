package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.fail;

import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;

/** The tiles of the tiled kernel. */
class TiledSpecTest {

    private static final long NVIDIA_LOCAL_MEMORY = 48 * 1024;
    private static final Tile SMALLEST = AttentionKernel.TILED.tile(8, 4);

    private static Optional<Tile> choose(int headDim, int seqQ, long localMemory, long groupSize) {
        AttentionProblem problem = AttentionProblem.of(
                new AttentionShape(1, 1, 1, seqQ, 100, headDim), DType.F32, AttentionOptions.defaults());
        return AttentionKernel.TILED
                .spec()
                .tiling()
                .orElseThrow()
                .choose(problem, TestDevice.limited(localMemory, groupSize, 1L << 40, 1L << 40));
    }

    @ParameterizedTest
    @CsvSource({"0, 4", "7, 4", "12, 12", "-8, 4", "8, 0", "8, 3", "8, 6", "8, -4", "64, 8", "48, 16"})
    void theRegisterTilesMustDivideIt(int blockQ, int blockK) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionKernel.TILED.tile(blockQ, blockK))
                .withMessageContainingAll("%d by %d".formatted(blockQ, blockK), "multiple of 8", "of 4", "4 times");
    }

    @ParameterizedTest
    @CsvSource({"64, 32, 64, 64", "64, 32, 60, 64", "16, 24, 256, 64", "8, 4, 1, 1"})
    void aWorkItemHasEightQueriesByEightDimensions(int blockQ, int blockK, int headDim, int groupSize) {
        assertThat(AttentionKernel.TILED.tile(blockQ, blockK).groupSize(headDim))
                .isEqualTo(groupSize);
    }

    @Test
    void localMemoryHoldsTwoTilesTheScoresAndThreeNumbersPerQuery() {
        int tiles = (64 + 32) * (128 + 4);
        int scores = 32 * (64 + 4);
        assertThat(AttentionKernel.TILED.tile(64, 32).localMemoryBytes(128)).isEqualTo(4 * (tiles + scores + 3 * 64));
    }

    static LongStream localMemories() {
        return LongStream.of(0, 1 << 10, 8 << 10, 16 << 10, 32 << 10, 48 << 10, 64 << 10, 1 << 20);
    }

    @ParameterizedTest
    @MethodSource("localMemories")
    void aTileFitsTheDeviceAndOneIsFoundWhereTheSmallestFits(long localMemory) {
        headDims()
                .forEach(headDim -> LongStream.of(1, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
                        .forEach(groupSize -> IntStream.of(1, 7, 16, 64, 129, 4096)
                                .forEach(seqQ -> {
                                    Optional<Tile> tile = choose(headDim, seqQ, localMemory, groupSize);
                                    // So often that what a failure would say is put together only then.
                                    if (tile.isPresent() != fits(SMALLEST, headDim, localMemory, groupSize)
                                            || tile.isPresent() && !fits(tile.get(), headDim, localMemory, groupSize)) {
                                        fail(
                                                "%s for head dim %d, %d bytes, %d work-items",
                                                tile, headDim, localMemory, groupSize);
                                    }
                                })));
    }

    private static boolean fits(Tile tile, int headDim, long localMemory, long groupSize) {
        return tile.localMemoryBytes(headDim) <= localMemory && tile.groupSize(headDim) <= groupSize;
    }

    private static IntStream headDims() {
        return IntStream.rangeClosed(1, AttentionShape.MAX_HEAD_DIM);
    }

    @Test
    void everyHeadDimensionHasATileOnNvidia() {
        headDims()
                .forEach(headDim -> assertThat(choose(headDim, 4096, NVIDIA_LOCAL_MEMORY, 1024))
                        .as("head dim %d", headDim)
                        .isPresent());
    }

    @Test
    void noMoreIsUsedWhereThereIsMore() {
        headDims()
                .forEach(headDim -> assertThat(choose(headDim, 4096, 1 << 20, 1024))
                        .isEqualTo(choose(headDim, 4096, NVIDIA_LOCAL_MEMORY, 1024)));
    }

    @Test
    void moreMemoryNeverGivesASmallerTile() {
        headDims().forEach(headDim -> {
            int blockQ = 0;
            for (long bytes = 1024; bytes <= NVIDIA_LOCAL_MEMORY; bytes += 1024) {
                int chosen =
                        choose(headDim, 4096, bytes, 1024).map(Tile::blockQ).orElse(0);
                assertThat(chosen).isGreaterThanOrEqualTo(blockQ);
                blockQ = chosen;
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 16, 17, 33, 64})
    void fewQueriesGetNoTileThatIsMostlyEmpty(int seqQ) {
        Tile tile = choose(64, seqQ, NVIDIA_LOCAL_MEMORY, 1024).orElseThrow();
        assertThat(tile.blockQ()).isLessThanOrEqualTo(Math.max(16, (seqQ + 7) / 8 * 8));
    }

    @Test
    void manyQueriesGetTheLargestTile() {
        Tile tile = choose(64, 4096, NVIDIA_LOCAL_MEMORY, 1024).orElseThrow();
        assertThat(tile.blockQ()).isGreaterThanOrEqualTo(64);
        assertThat(tile.localMemoryBytes(64)).isGreaterThan((int) NVIDIA_LOCAL_MEMORY / 2);
    }
}
