package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** Which kernel decodes, and into how many parts the keys go. */
class DecodeChoiceTest {

    private static final int UNITS = 132;
    private static final long LOCAL_MEMORY = 227 * 1024;

    private static ComputeDevice gpu(CompilerExtension.Support extension) {
        return new ComputeDevice(
                Backend.CUDA,
                0,
                0,
                "GPU",
                TornadoDeviceType.GPU,
                48 * 1024,
                1024,
                1L << 40,
                1L << 40,
                UNITS,
                true,
                extension,
                TestDevice.get().handle());
    }

    private static ComputeDevice hopper() {
        return gpu(new CompilerExtension.Support(Intrinsics.WARP_GROUP, 90, LOCAL_MEMORY, ""));
    }

    private static SplitProblem decode(int sequences, int keys, int headDim, DType dtype, boolean fp8) {
        return new SplitProblem(4, 8, headDim, 1, sequences, keys, dtype, fp8);
    }

    private static SplitTile choose(SplitProblem problem, ComputeDevice device) {
        return DecodeChoice.choose(problem, Optional.empty(), 0, device);
    }

    @ParameterizedTest
    @CsvSource({
        "128, F16, false, WARP_SPLIT_KEY",
        "128, BF16, false, WARP_SPLIT_KEY",
        "8, F16, false, WARP_SPLIT_KEY",
        "256, F16, false, WARP_SPLIT_KEY",
        "59, F16, false, SPLIT_KEY",
        "128, F32, false, SPLIT_KEY",
        "128, F16, true, SPLIT_KEY"
    })
    void tensorCoresTakeWhatTheyCan(int headDim, DType dtype, boolean fp8, DecodeKernel expected) {
        SplitProblem problem = decode(8, 4096, headDim, dtype, fp8);
        assertThat(choose(problem, hopper()).kernel()).isEqualTo(expected);
        assertThat(choose(problem, gpu(CompilerExtension.Support.none(0, "none")))
                        .kernel())
                .isEqualTo(DecodeKernel.SPLIT_KEY);
        assertThat(DecodeChoice.choose(problem, Optional.of(DecodeKernel.SPLIT_KEY), 0, hopper())
                        .kernel())
                .isEqualTo(DecodeKernel.SPLIT_KEY);
    }

    @Test
    void whereGroupsAreSimulatedTheSmallerKernelDecodes() {
        assertThat(choose(decode(8, 4096, 128, DType.F16, false), TestDevice.get())
                        .kernel())
                .isEqualTo(
                        TestDevice.get().isSimulator()
                                        || !TestDevice.get().extension().level().include(Intrinsics.WARP)
                                ? DecodeKernel.SPLIT_KEY
                                : DecodeKernel.WARP_SPLIT_KEY);
    }

    @Test
    void whatTheKernelCannotDoIsNamed() {
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> DecodeChoice.choose(
                        decode(1, 64, 128, DType.F32, false), Optional.of(DecodeKernel.WARP_SPLIT_KEY), 0, hopper()))
                .withMessageContainingAll("F16 or BF16", "multiple of 8", "split-key");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> DecodeKernel.parse("warp"))
                .withMessageContainingAll("no decode kernel 'warp'", "split-key, warp-split-key");
        assertThat(DecodeKernel.parse("warp-split-key")).isEqualTo(DecodeKernel.WARP_SPLIT_KEY);
    }

    /** The widest heads with the most rows among them: 48 KiB do not hold a slot of those. */
    @ParameterizedTest
    @CsvSource({"256, 16", "256, 17", "256, 1", "203, 16", "1, 16", "128, 8"})
    void slotsFitTheLocalMemoryOfAnyDevice(int headDim, int group) {
        ComputeDevice device = gpu(CompilerExtension.Support.none(0, "none"));
        for (int queries : new int[] {1, 48}) {
            SplitProblem problem = new SplitProblem(group, 1, headDim, queries, 2, 512, DType.F16, false);
            LaneSplitTile tile = (LaneSplitTile) choose(problem, device);
            assertThat((long) SplitKeyAttention.localMemoryBytes(headDim, tile.rows(), tile.dims(), tile.slots()))
                    .isLessThanOrEqualTo(device.localMemoryBytes());
        }
    }

    @ParameterizedTest
    @CsvSource({"8, 16", "64, 16", "80, 4", "128, 1", "192, 1", "256, 3"})
    void groupsFitLocalMemory(int headDim, int queries) {
        SplitProblem problem = new SplitProblem(4, 8, headDim, queries, 2, 512, DType.F16, false);
        WarpSplitTile tile = (WarpSplitTile) choose(problem, hopper());
        assertThat(tile.localMemoryBytes(headDim)).isLessThanOrEqualTo((int) LOCAL_MEMORY);
        assertThat(tile.stages()).isGreaterThanOrEqualTo(2);
        assertThat(tile.rows()).isLessThanOrEqualTo(32);
    }

    /**
     * 132 multiprocessors, 8 KV heads: as many parts as give hardly one of them none, unless there are no keys for
     * them; two stages where nearly all have two groups, or parts have few tiles.
     */
    @ParameterizedTest
    @CsvSource({
        "1, 65536, 16, 3",
        "1, 16384, 16, 3",
        "1, 8192, 16, 2",
        "1, 4096, 16, 2",
        "3, 4096, 6, 3",
        "8, 4096, 2, 3",
        "8, 65536, 2, 3",
        "12, 4096, 2, 3",
        "16, 4096, 1, 3",
        "31, 4096, 1, 3",
        "32, 16384, 1, 2",
        "1, 64, 1, 2"
    })
    void splitsFillTheDevice(int sequences, int keys, int splits, int stages) {
        assertThat(choose(decode(sequences, keys, 128, DType.F16, false), hopper()))
                .isEqualTo(new WarpSplitTile(4, 4, 1, stages, splits));
    }

    /** Two heads of a token that lie side by side share a group: where pages are small, or long and without parts. */
    @ParameterizedTest
    @CsvSource({
        // sequences, KV heads, keys, tokens of a page, asked parts; heads, parts
        "8, 8, 16384, 16, 0, 2, 4",
        "8, 8, 16384, 64, 0, 2, 4",
        "8, 8, 16384, 128, 0, 1, 2",
        "8, 8, 16384, 16384, 0, 1, 2",
        "8, 8, 2048, 16, 0, 1, 2",
        "32, 8, 1024, 16, 0, 2, 1",
        "32, 8, 16384, 16384, 0, 2, 1",
        "32, 8, 4096, 4096, 0, 2, 1",
        "32, 8, 2048, 2048, 0, 1, 1",
        "32, 7, 16384, 16, 0, 1, 1",
        "40, 8, 16384, 16, 0, 1, 1",
        "12, 8, 16384, 16, 0, 1, 2",
        "1, 8, 65536, 16, 0, 1, 16",
        "8, 8, 16384, 16, 4, 1, 4"
    })
    void headsThatLieSideBySideShareAGroup(
            int sequences, int kvHeads, int keys, int pageSize, int asked, int heads, int parts) {
        SplitProblem problem = new SplitProblem(4, kvHeads, 128, 1, sequences, keys, DType.F16, false);
        WarpSplitTile apart = (WarpSplitTile) DecodeChoice.choose(problem, Optional.empty(), asked, hopper());
        assertThat(apart.headsOfGroup()).isEqualTo(1);
        WarpSplitTile tile = (WarpSplitTile)
                DecodeChoice.choose(problem.withHeadsTogether(pageSize), Optional.empty(), asked, hopper());
        assertThat(tile).isEqualTo(heads == 1 ? apart : new WarpSplitTile(4, 8, heads, 3, parts));
        assertThat(tile.splits()).isEqualTo(parts);
        assertThat(tile.toString().contains("2 heads")).isEqualTo(heads > 1);
    }
}
