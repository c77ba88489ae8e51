package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.plan.AttentionKernel;
import org.tornadoattention.tensor.DType;

class TileTunerTest {

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
        ComputeDevice device = Devices.best();
        assumeTrue(device.isSimulator(), "A real device is not asked for what it has not");
        ForwardCase tiny = new ForwardCase(new AttentionShape(1, 1, 1, 16, 16, 192), DType.F16, false);
        TileTuner tuner = new TileTuner(boastful(device), 0, 1);
        List<TileTrial> trials = new ArrayList<>();
        tuner.tune(tiny, 0, trials::add);

        assertThat(trials).extracting(TileTrial::tile).isEqualTo(tuner.candidates(tiny));
        assertThat(trials).allSatisfy(trial -> {
            boolean hasRoom = trial.tile().localMemoryBytes(192) <= device.localMemoryBytes();
            assertThat(trial.good()).as(trial.toString()).isEqualTo(hasRoom);
            assertThat(trial.teraflops() > 0).isEqualTo(hasRoom);
        });
        assertThat(trials)
                .filteredOn(trial -> !trial.good())
                .isNotEmpty()
                .allSatisfy(trial -> assertThat(trial.failure()).contains("bytes"));
        assertThat(tuner.table().rows())
                .extracting(row -> row.kernel())
                .containsExactly(AttentionKernel.WARP_GROUP, AttentionKernel.WARP);
        assertThat(tuner.table().rows()).allSatisfy(row -> {
            assertThat(row.computeCapability()).isEqualTo(42);
            assertThat(trials)
                    .filteredOn(trial -> trial.tile().kernel() == row.kernel())
                    .allSatisfy(
                            trial -> assertThat(trial.teraflops()).isLessThanOrEqualTo(teraflops(trials, row.tile())));
        });
    }

    private static double teraflops(List<TileTrial> trials, Object tile) {
        return trials.stream()
                .filter(trial -> trial.tile().equals(tile))
                .findFirst()
                .orElseThrow()
                .teraflops();
    }
}
