package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.TestDevice;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The search for a block mask's tiles is compiled once for its code: the next documents, of other ends, run it. */
class TileFinderTest {

    private static final int TOKENS = 100;

    private static BlockMask documents(int length) {
        IntArray ids = new IntArray(TOKENS);
        for (int token = 0; token < TOKENS; token++) {
            ids.set(token, token / length);
        }
        return BlockMask.of((b, h, i, j) -> ids.get(i) == ids.get(j), 1, 1, TOKENS, TOKENS, 16, 32);
    }

    @Test
    void theSecondMaskOfAKindCompilesNothing() {
        try (FunctionProof proof = new FunctionProof(TestDevice.get())) {
            for (int length : new int[] {20, 33, 64}) {
                BlockMask mask = documents(length);
                proof.findTiles(AttentionOptions.defaults().withMask(Mask.blocks(mask)));
                BlockMask onJvm = documents(length);
                onJvm.find();
                assertThat(mask.picture()).as("documents of %d", length).isEqualTo(onJvm.picture());
                assertThat(Arrays.equals(
                                mask.tiles().toHeapArray(), onJvm.tiles().toHeapArray()))
                        .isTrue();
            }
            assertThat(proof.finders()).isEqualTo(new PlanStatistics(2, 1, 1));
        }
    }

    @Test
    void anotherCodeOrSizeIsCompiled() {
        try (FunctionProof proof = new FunctionProof(TestDevice.get())) {
            for (BlockMask mask : new BlockMask[] {
                documents(20),
                BlockMask.of((b, h, i, j) -> i >= j, 1, 1, TOKENS, TOKENS, 16, 32),
                BlockMask.of((b, h, i, j) -> i >= j, 1, 1, TOKENS, 2 * TOKENS, 16, 32)
            }) {
                proof.findTiles(AttentionOptions.defaults().withMask(Mask.blocks(mask)));
            }
            assertThat(proof.finders()).isEqualTo(new PlanStatistics(0, 3, 3));
        }
    }
}
