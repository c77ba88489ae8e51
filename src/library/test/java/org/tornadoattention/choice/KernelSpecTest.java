package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** What every kernel says of itself holds together, whichever kernels there are. */
class KernelSpecTest {

    private static final ComputeDevice HOPPER = new ComputeDevice(
            Backend.CUDA,
            0,
            0,
            "imaginary",
            TornadoDeviceType.GPU,
            48 << 10,
            1024,
            1L << 40,
            1L << 40,
            132,
            true,
            new CompilerExtension.Support(Intrinsics.WARP_GROUP, 90, 227 << 10, ""),
            TestDevice.get().handle());

    /** One that runs the kernel. */
    private static ComputeDevice device(AttentionKernel kernel) {
        return kernel.spec().capability() == Capability.JVM ? TestDevice.jvm() : HOPPER;
    }

    private static AttentionProblem problem(DType dtype, int seqQ, int headDim, AttentionOptions options) {
        return AttentionProblem.of(new AttentionShape(2, 4, 2, seqQ, 90, headDim), dtype, options);
    }

    @ParameterizedTest
    @EnumSource
    void eachTypeAndHeadThatIsClaimedIsTaken(AttentionKernel kernel) {
        assertThat(kernel.summary()).isNotBlank();
        assertThat(kernel.spec().dtypes()).isNotEmpty();
        for (DType dtype : kernel.spec().dtypes()) {
            for (int headDim = 1; headDim <= kernel.spec().widestHead(); headDim++) {
                for (int seqQ : new int[] {1, 100, 5000}) {
                    AttentionProblem problem = problem(dtype, seqQ, headDim, AttentionOptions.causal());
                    KernelChoice choice = KernelChoice.choose(problem, device(kernel), Optional.of(kernel));
                    assertThat(choice.kernel()).isEqualTo(kernel);
                    assertThat(choice.tiles()).hasSize(kernel.spec().tiling().isPresent() ? 1 : 0);
                    for (Tile tile : choice.tiles()) {
                        assertThat(tile.kernel()).isEqualTo(kernel);
                        assertThat(tile.tiling().fits(tile, headDim, HOPPER)).isTrue();
                        if (tile.rescaleThreshold() == 0) {
                            assertThat(kernel.tile(tile.toString())).isEqualTo(tile);
                        }
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void resultsAreDifferentiatedOrItIsSaidWhyNot(AttentionKernel kernel) {
        AttentionProblem problem =
                problem(kernel.spec().dtypes().iterator().next(), 100, 64, AttentionOptions.defaults());
        if (!kernel.supportsBackward()) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> KernelChoice.chooseBackward(problem, device(kernel), Optional.of(kernel)))
                    .withMessageContainingAll("kernel %s has no backward pass".formatted(kernel.id()), "Choose");
            return;
        }
        KernelChoice choice = KernelChoice.chooseBackward(problem, device(kernel), Optional.of(kernel));
        assertThat(choice.kernel().spec().backward()).isInstanceOf(Backward.Own.class);
        assertThat(choice.kernel().supports(problem.dtype())).isTrue();
        assertThat(choice.tiles()).allMatch(tile -> tile.kernel() == choice.kernel());
    }

    @ParameterizedTest
    @EnumSource
    void dropoutIsTakenOrRefused(AttentionKernel kernel) {
        AttentionProblem dropout = problem(
                kernel.spec().dtypes().iterator().next(),
                100,
                64,
                AttentionOptions.defaults().withDropout(0.1, 1));
        if (kernel.supportsDropout()) {
            assertThat(KernelChoice.choose(dropout, device(kernel), Optional.of(kernel))
                            .kernel())
                    .isEqualTo(kernel);
        } else {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> KernelChoice.choose(dropout, device(kernel), Optional.of(kernel)))
                    .withMessageContainingAll(kernel.id(), "no dropout", "choose tiled");
        }
    }

    /** What is exact only up to a rounding of its own, or slower than others, nobody gets unasked. */
    @Test
    void whatIsOnlyForThoseWhoAskIsNeverTheBest() {
        for (DType dtype : DType.values()) {
            AttentionProblem problem = problem(dtype, 100, 64, AttentionOptions.defaults());
            assertThat(KernelChoice.choose(problem, HOPPER, Optional.empty()).kernel())
                    .matches(kernel -> !kernel.spec().onlyWhereAskedFor());
            assertThat(KernelChoice.chooseBackward(problem, HOPPER, Optional.empty())
                            .kernel())
                    .matches(kernel -> !kernel.spec().onlyWhereAskedFor());
        }
    }

    @ParameterizedTest
    @EnumSource
    void scratchMemoryIsCounted(AttentionKernel kernel) {
        AttentionProblem problem =
                problem(kernel.spec().dtypes().iterator().next(), 100, 64, AttentionOptions.defaults());
        KernelChoice choice = KernelChoice.choose(problem, device(kernel), Optional.of(kernel));
        long scratch = kernel.spec().scratch(problem.shape(), choice.tile()).stream()
                .mapToLong(Scratch::bytes)
                .sum();
        long logSumExp = problem.shape().queryRows() * Float.BYTES;
        assertThat(DeviceMemory.of(problem, choice).extraBytes()).isEqualTo(logSumExp + scratch);
    }

    @ParameterizedTest
    @CsvSource({"50, 90, -1, -1", "64, 64, -1, 0", "33, 70, 10, 5", "70, 33, -1, 0", "100, 50, 3, -1", "50, 100, 0, 0"})
    void trafficIsCountedTileByTileAndQueryByQuery(int seqQ, int seqK, int left, int right) {
        AttentionShape shape = new AttentionShape(2, 3, 1, seqQ, seqK, 24);
        AttentionOptions options = AttentionOptions.defaults().withWindow(left, right);
        AttentionProblem problem = AttentionProblem.of(shape, DType.F16, options);
        Tile tile = AttentionKernel.TILED.tile(16, 8);
        int queriesThatSee = 0;
        int tilesThatSee = 0;
        for (int row = 0; row < seqQ; row += 16) {
            int last = Math.min(row + 16, seqQ) - 1;
            for (int column = 0; column < seqK; column += 8) {
                boolean seen = options.mask().endKey(last, seqQ, seqK) > column
                        && options.mask().firstKey(row, seqQ, seqK) < Math.min(column + 8, seqK);
                tilesThatSee += seen ? 1 : 0;
            }
            for (int i = row; i <= last; i++) {
                for (int j = 0; j < seqK; j++) {
                    queriesThatSee += options.mask().allows(i, j, seqQ, seqK) ? 1 : 0;
                }
            }
        }
        long queries = 2L * seqQ * 24 * 2 + 4L * seqQ;
        assertThat(Traffic.EACH_TILE.bytes(problem, tile)).isEqualTo(6 * (queries + tilesThatSee * 8 * 2 * 24 * 2));
        assertThat(Traffic.EACH_QUERY.bytes(problem, tile)).isEqualTo(6 * (queries + queriesThatSee * 2 * 24 * 2));
        assertThat(Traffic.STORED_SCORES.bytes(problem, tile))
                .isEqualTo(6.0 * (queries + 2 * seqK * 24 * 2 + 4 * 4 * seqQ * seqK));
    }
}
