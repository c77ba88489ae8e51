package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class WarpTilingTest {

    @ParameterizedTest
    @CsvSource({
        "WARP, 64, 4",
        "WARP, 128, 4",
        "WARP, 16, 1",
        "WARP, 32, 1",
        "WARP_TF32, 128, 8",
        "WARP_GROUP_F32, 128, 8",
        "WARP_GROUP, 64, 4",
        "WARP_GROUP_FP8, 64, 4",
        "WARP_GROUP_FP8, 192, 12",
        "WARP_GROUP, 128, 8",
        "WARP_GROUP, 192, 12"
    })
    void warpsShareTheQueries(AttentionKernel kernel, int blockQ, int warps) {
        Tile tile = kernel.tile(blockQ, 64, warps, 8);
        boolean copies = kernel.id().startsWith("warp-group");
        int copying = copies ? 4 : 0;
        assertThat(tile.groupSize(64)).isEqualTo(32 * (warps + copying));
        assertThat(tile).hasToString(blockQ + "x64/" + warps);
    }

    @ParameterizedTest
    @CsvSource({
        "WARP, 48, 4",
        "WARP, 192, 4",
        "WARP, 0, 0",
        "WARP, -16, -1",
        "WARP, 528, 33",
        "WARP_TF32, 128, 4",
        "WARP_GROUP, 128, 4",
        "WARP_GROUP, 96, 6",
        "WARP_GROUP_FP8, 32, 2"
    })
    void queriesThatTheWarpsCannotShareAreRefused(AttentionKernel kernel, int blockQ, int warps) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> kernel.tile(blockQ, 64, warps, 8))
                .withMessageContainingAll(
                        "%d warps cannot share %d queries".formatted(warps, blockQ), "16 or 32", "64");
    }

    @ParameterizedTest
    @CsvSource({"0", "-16", "8", "24", "272"})
    void keysAreAMultipleOf16UpTo256(int blockK) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionKernel.WARP_GROUP.tile(128, blockK, 8, 8))
                .withMessageContainingAll("A tile of %d keys".formatted(blockK), "multiple of 16 up to 256");
    }

    @ParameterizedTest
    @CsvSource({"0", "16", "80", "288"})
    void keysOf8BitProductsAreAMultipleOf32(int blockK) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionKernel.WARP_GROUP_FP8.tile(128, blockK, 8, 0))
                .withMessageContainingAll("A tile of %d keys".formatted(blockK), "multiple of 32 up to 256");
    }

    @ParameterizedTest
    @CsvSource({"-1", "9"})
    void theMaximumMayNotGrowBeyondWhatF16Holds(int threshold) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionKernel.WARP_GROUP.tile(128, 64, 8, threshold))
                .withMessageContainingAll("threshold is %d".formatted(threshold), "0 (always) to 8");
    }

    @Test
    void localMemoryIsOfWholeBlocksOf64Columns() {
        int row = 2 * 128; // head dimension 80 takes two blocks
        assertThat(AttentionKernel.WARP.tile(128, 64, 4, 8).localMemoryBytes(80))
                .isEqualTo(row * (128 + 2 * 64));
        assertThat(AttentionKernel.WARP_GROUP.tile(128, 64, 8, 8).localMemoryBytes(80))
                .isEqualTo(row * (128 + 4 * 64) + 1024); // and barriers
        // With 8 bits a block has 128 columns; V lies transposed, with a row for each of its columns, rounded up to 32.
        assertThat(AttentionKernel.WARP_GROUP_FP8.tile(64, 96, 4, 0).localMemoryBytes(80))
                .isEqualTo(128 * (64 + 2 * 96 + 2 * 96) + 1024);
        assertThat(AttentionKernel.WARP_GROUP_FP8.tile(128, 160, 8, 0).localMemoryBytes(256))
                .isEqualTo(128 * (2 * 128 + 4 * 160 + 4 * 256) + 1024);
        // Rounding has two tiles of 16 bits, and a number for each of 32 warps.
        assertThat(AttentionKernel.WARP_GROUP_FP8.tile(128, 64, 8, 0).localMemoryBytes(80))
                .isEqualTo(2 * 128 * row + 128);
    }

    @ParameterizedTest
    @EnumSource(names = {"TILED", "TENSOR_CORE"})
    void otherKernelsHaveNoWarps(AttentionKernel kernel) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> kernel.tile(64, 64, 4, 8))
                .withMessageContaining("The kernel %s has no warps".formatted(kernel.id()));
    }
}
