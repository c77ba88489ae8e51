package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;

/**
 * FlashAttention's key-value cache grid, as 400 seeded configurations of which each day has six:
 * {@code -Dattention.cacheSeed=17} runs one of them, and {@code 100-199} a hundred. And the grid of splits.
 */
class CacheGridTest {

    /** Who computes here. */
    ComputeDevice device() {
        return TestDevice.get();
    }

    static final boolean FULL = CoveringArray.FULL;

    static LongStream seeds() {
        int first = 6 * (int) Math.floorMod(CoveringArray.SEED, 66L);
        String ofToday = FULL ? "0-399" : first + "-" + (first + 5);
        String[] wanted = System.getProperty("attention.cacheSeed", ofToday).split("-");
        return LongStream.rangeClosed(Long.parseLong(wanted[0]), Long.parseLong(wanted[wanted.length - 1]));
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void whatIsCachedAndWhatIsAttended(long seed) {
        CacheConfiguration.of(seed, FULL).check(device());
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void theSameOnTensorCores(long seed) {
        assumeTrue(device().extension().level().include(Intrinsics.WARP));
        CacheConfiguration.onTensorCores(seed, FULL).check(device());
    }

    static IntStream splits() {
        return IntStream.of(1, 2, 3, 5, 17, 32, 55, 97, 133);
    }

    @ParameterizedTest
    @MethodSource("splits")
    void theNumberOfSplitsDoesNotMatter(int splits) {
        int[] lengths = FULL ? new int[] {1, 2, 31, 33, 512, 4095, 16384} : new int[] {1, 170};
        for (int keys : lengths) {
            new CacheConfiguration(
                            DType.F32,
                            1,
                            4,
                            1,
                            32,
                            1,
                            keys,
                            AttentionOptions.causal(),
                            Optional.empty(),
                            0,
                            true,
                            false,
                            splits,
                            Optional.empty(),
                            keys)
                    .check(device());
        }
    }

    @ParameterizedTest
    @MethodSource("splits")
    void splitsKeepTheLogSumExp(int splits) {
        int keys = 300;
        var k = CacheCase.random(DType.F32, 1, 1, 1, keys, 16);
        var q = CacheCase.random(DType.F32, 2, 1, 3, 1, 16);
        float[][] results = new float[2][];
        for (int i = 0; i < 2; i++) {
            CacheOptions options = CacheCase.options(device(), DType.F32).withSplits(i == 0 ? 1 : splits);
            try (KvCache cache = KvCache.builder()
                    .batch(1)
                    .heads(3, 1)
                    .headDim(16)
                    .capacity(keys)
                    .options(options)
                    .build()) {
                cache.append(k, k);
                results[i] = cache.forward(q, AttentionOptions.defaults())
                        .logSumExp()
                        .toFloatArray();
            }
        }
        for (int row = 0; row < 3; row++) {
            assertThat(Math.abs(results[1][row] - results[0][row])).isLessThan(1e-5f);
        }
    }
}
