package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.WarpBackwardTile.Block;

class WarpBackwardTileTest {

    @ParameterizedTest
    @CsvSource({
        "1, 128x128+64x128",
        "64, 128x128+64x128",
        "65, 128x64+64x128",
        "128, 128x64+64x128",
        "129, 128x32+32x128",
        "256, 128x32+32x128"
    })
    void theFirstThatFitsIsTaken(int headDim, String tile) {
        ComputeDevice device = TestDevice.get();
        if (AttentionKernel.WARP_GROUP.supports(device)) {
            assertThat(WarpBackwardTile.choose(headDim, device)).get().hasToString(tile);
        } else {
            assertThat(WarpBackwardTile.choose(headDim, device)).isEmpty();
        }
    }

    @Test
    void itNeedsRoomForTheLargerOfItsTwoKernels() {
        WarpBackwardTile tile = new WarpBackwardTile(new Block(192, 64), new Block(64, 128));
        assertThat(tile.groupSize(128)).isEqualTo(384);
        // Q and dO, three times K and V, rows of 256 bytes; beside K, V, three times Q, dO and two numbers a query.
        assertThat(tile.localMemoryBytes(128)).isEqualTo((2 * 192 + 6 * 64) * 256);
        assertThat(new WarpBackwardTile(new Block(64, 16), new Block(64, 128)).localMemoryBytes(128))
                .isEqualTo((2 * 128 + 6 * 64) * 256 + 3 * 8 * 64);
    }

    @ParameterizedTest
    @CsvSource({
        "96, 64, 64, 128, 96 queries",
        "64, 24, 64, 128, 24 keys",
        "64, 64, 8, 64, 8 queries",
        "64, 64, 64, 320, 320 keys"
    })
    void whatWarpGroupsCannotHoldIsRefused(int q, int k, int gradientQ, int gradientK, String problem) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new WarpBackwardTile(new Block(q, k), new Block(gradientQ, gradientK)))
                .withMessageContaining(problem);
    }
}
