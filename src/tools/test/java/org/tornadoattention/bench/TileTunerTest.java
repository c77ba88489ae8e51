package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;

class TileTunerTest {

    /** Two, since each tile costs a compilation. */
    private static final List<AttentionKernel> KERNELS = List.of(AttentionKernel.WARP, AttentionKernel.WARP_GROUP);

    /** A simulator that is said to have twice its local memory: what needs more than there is fails when it starts. */
    private static ComputeDevice boastful(ComputeDevice device) {
        CompilerExtension.Support extension =
                new CompilerExtension.Support(Intrinsics.WARP_GROUP, 42, 2 * device.localMemoryBytes(), "");
        return new ComputeDevice(
                device.backend(),
                device.backendIndex(),
                device.deviceIndex(),
                device.name(),
                device.type(),
                device.localMemoryBytes(),
                device.maxGroupSize(),
                device.maxAllocationBytes(),
                device.globalMemoryBytes(),
                device.computeUnits(),
                device.halfFloats(),
                extension,
                device.handle());
    }

    @Test
    void aCandidateThatDoesNotRunIsReportedAndLeftOut() {
        ComputeDevice device = Devices.bestForTaskGraphs();
        assumeTrue(device.isSimulator(), "A real device is not asked for what it has not");
        AttentionShape shape = new AttentionShape(1, 1, 1, 16, 16, 192);
        BenchCase tiny = new BenchCase(Direction.FORWARD, DType.F16, shape, false);
        Map<Tile, BenchResult> trials = new LinkedHashMap<>();
        try (TileTuner tuner = new TileTuner(KERNELS, boastful(device), new BenchSession.Settings(0, 1, 1))) {
            tuner.tune(tiny, 0, trials::put);
            assertThat(trials.keySet()).containsExactlyElementsOf(tuner.candidates(tiny));
            assertThat(tuner.table().rows())
                    .extracting(row -> row.kernel())
                    .containsExactly(AttentionKernel.WARP_GROUP, AttentionKernel.WARP);
            assertThat(tuner.table().rows()).allSatisfy(row -> {
                assertThat(row.computeCapability()).isEqualTo(42);
                double best = trials.get(row.tile()).timing().teraflops();
                assertThat(trials)
                        .allSatisfy((tile, result) -> assertThat(tile.kernel() == row.kernel()
                                        && result.times().isPresent()
                                        && result.timing().teraflops() > best)
                                .isFalse());
            });
        }
        assertThat(trials).anySatisfy((_, result) -> assertThat(result.times()).isEmpty());
        assertThat(trials).allSatisfy((tile, result) -> {
            boolean hasRoom = tile.localMemoryBytes(192) <= device.localMemoryBytes();
            assertThat(result.times().isPresent())
                    .as(tile + " " + result.message())
                    .isEqualTo(hasRoom);
            assertThat(result.good()).isEqualTo(hasRoom);
        });
    }
}
