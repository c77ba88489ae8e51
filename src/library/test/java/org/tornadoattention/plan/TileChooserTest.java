package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionShape;

class TileChooserTest {

    private static final long NVIDIA_LOCAL_MEMORY = 48 * 1024;
    private static final TileShape SMALLEST = new TileShape(8, 4);

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
                                    Optional<TileShape> tile =
                                            TileChooser.choose(headDim, seqQ, localMemory, groupSize);
                                    boolean smallestFits = fits(SMALLEST, headDim, localMemory, groupSize);
                                    assertThat(tile.isPresent())
                                            .as("head dim %d, %d bytes, %d work-items", headDim, localMemory, groupSize)
                                            .isEqualTo(smallestFits);
                                    tile.ifPresent(chosen -> assertThat(fits(chosen, headDim, localMemory, groupSize))
                                            .as(
                                                    "%s for head dim %d, %d bytes, %d work-items",
                                                    chosen, headDim, localMemory, groupSize)
                                            .isTrue());
                                })));
    }

    private static boolean fits(TileShape tile, int headDim, long localMemory, long groupSize) {
        return tile.localMemoryBytes(headDim) <= localMemory && tile.groupSize(headDim) <= groupSize;
    }

    private static IntStream headDims() {
        return IntStream.rangeClosed(1, AttentionShape.MAX_HEAD_DIM);
    }

    @Test
    void everyHeadDimensionHasATileOnNvidia() {
        headDims()
                .forEach(headDim -> assertThat(TileChooser.choose(headDim, 4096, NVIDIA_LOCAL_MEMORY, 1024))
                        .as("head dim %d", headDim)
                        .isPresent());
    }

    @Test
    void noMoreIsUsedWhereThereIsMore() {
        headDims()
                .forEach(headDim -> assertThat(TileChooser.choose(headDim, 4096, 1 << 20, 1024))
                        .isEqualTo(TileChooser.choose(headDim, 4096, NVIDIA_LOCAL_MEMORY, 1024)));
    }

    @Test
    void moreMemoryNeverGivesASmallerTile() {
        headDims().forEach(headDim -> {
            int blockQ = 0;
            for (long bytes = 1024; bytes <= NVIDIA_LOCAL_MEMORY; bytes += 1024) {
                int chosen = TileChooser.choose(headDim, 4096, bytes, 1024)
                        .map(TileShape::blockQ)
                        .orElse(0);
                assertThat(chosen).isGreaterThanOrEqualTo(blockQ);
                blockQ = chosen;
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 16, 17, 33, 64})
    void fewQueriesGetNoTileThatIsMostlyEmpty(int seqQ) {
        TileShape tile = TileChooser.choose(64, seqQ, NVIDIA_LOCAL_MEMORY, 1024).orElseThrow();
        assertThat(tile.blockQ()).isLessThanOrEqualTo(Math.max(16, (seqQ + 7) / 8 * 8));
    }

    @Test
    void manyQueriesGetTheLargestTile() {
        TileShape tile = TileChooser.choose(64, 4096, NVIDIA_LOCAL_MEMORY, 1024).orElseThrow();
        assertThat(tile.blockQ()).isGreaterThanOrEqualTo(64);
        assertThat(tile.localMemoryBytes(64)).isGreaterThan((int) NVIDIA_LOCAL_MEMORY / 2);
    }
}
