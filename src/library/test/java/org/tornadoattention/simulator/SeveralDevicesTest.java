package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.DistributedAttention;
import org.tornadoattention.DistributedAttention.Division;
import org.tornadoattention.DividedPass;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.exceptions.TornadoDeviceNotFound;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/** Several simulated devices, each with memory of its own. */
@Isolated
class SeveralDevicesTest {

    private static List<ComputeDevice> simulated() {
        return Devices.all().stream().filter(ComputeDevice::isSimulator).toList();
    }

    @Test
    void thereAreAsManyAsTheSettingsSay() {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withDevices(3))) {
            assertThat(simulated())
                    .hasSize(3)
                    .extracting(ComputeDevice::deviceIndex)
                    .containsExactly(0, 1, 2);
            assertThat(Devices.find(Optional.of(Backend.SIMULATOR), Optional.of(2))
                            .name())
                    .contains("simulator 2");
            assertThatExceptionOfType(TornadoDeviceNotFound.class)
                    .isThrownBy(() -> TornadoRuntimeProvider.getTornadoRuntime()
                            .getBackend(0)
                            .getDevice(3))
                    .withMessageContaining("devices 0 to 2");
        }
        assertThat(simulated()).hasSize(1);
    }

    @Test
    void eachComputesItsPartInItsOwnMemory() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 4, 48, 16);
        Tensor k = Tensor.random(DType.F32, 2, 1, 4, 48, 16);
        Tensor v = Tensor.random(DType.F32, 3, 1, 4, 48, 16);
        AttentionOptions options = AttentionOptions.causal();
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withDevices(3))) {
            long whole = bytesOf(List.of(simulated().getFirst()), Division.HEADS_FIRST, q, k, v, options)[0];
            long[] byHeads = bytesOf(simulated().subList(0, 2), Division.HEADS_FIRST, q, k, v, options);
            assertThat(Arrays.stream(byHeads).boxed()).allMatch(bytes -> bytes > 0.4 * whole && bytes < 0.6 * whole);
            long[] byKeys = bytesOf(simulated(), Division.KEYS, q, k, v, options);
            assertThat(Arrays.stream(byKeys).boxed()).hasSize(3).allMatch(bytes -> bytes > 0 && bytes < whole);
        }
    }

    /** Shares are the host's here, so a device holds its stages: of one head of four, where one device holds four. */
    @Test
    void aSequenceTakesAStageOnEachDevice() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 4, 96, 16);
        Tensor k = Tensor.random(DType.F32, 2, 1, 4, 96, 16);
        Tensor v = Tensor.random(DType.F32, 3, 1, 4, 96, 16);
        AttentionOptions options = AttentionOptions.causal();
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withDevices(3))) {
            long[] before = usedNow(3);
            long whole = bytesOf(List.of(simulated().getFirst()), Division.SEQUENCE, q, k, v, options)[0];
            try (DistributedAttention attention = DistributedAttention.on(simulated(), Division.SEQUENCE);
                    DividedPass<AttentionResult> pass = attention.bring(q, k, v, options)) {
                pass.run();
                AttentionResult result = pass.result();
                assertThat(AccuracyCheck.of(q, k, v, options).forward(result.output(), result.logSumExp()))
                        .allMatch(Comparison::passed);
                long[] used = usedNow(3);
                for (int device = 0; device < 3; device++) {
                    long stage = pass.memory().get(device).stage();
                    assertThat(used[device] - before[device]).isBetween(stage, stage + stage / 4);
                    assertThat(stage).isLessThan(whole / 4);
                }
            }
            assertThat(usedNow(3)).isEqualTo(before);
        }
    }

    /** Runs on these devices, checks the result and tells the memory that each device held. */
    private static long[] bytesOf(
            List<ComputeDevice> devices, Division division, Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        try (DistributedAttention attention = DistributedAttention.on(devices, division)) {
            AttentionResult result = attention.forward(q, k, v, options);
            long[] used = devices.stream()
                    .mapToLong(device -> Simulator.usedMemory(device.handle()))
                    .toArray();
            assertThat(AccuracyCheck.of(q, k, v, options).forward(result.output(), result.logSumExp()))
                    .allMatch(Comparison::passed);
            return used;
        }
    }

    @Test
    void aPlanThatMovesToAnotherDeviceFreesWhatItHad() {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withDevices(2))) {
            Tensor q = Tensor.random(DType.F32, 1, 1, 2, 8, 8);
            long[] before = usedNow(2);
            try (FlashAttention second = FlashAttention.on(simulated().get(1))) {
                second.forward(q, q, q);
                assertThat(usedNow(2)[0]).isEqualTo(before[0]);
                assertThat(usedNow(2)[1]).isGreaterThan(before[1]);
            }
            assertThat(usedNow(2)).isEqualTo(before);
        }
    }

    private static long[] usedNow(int count) {
        List<ComputeDevice> devices = simulated();
        return IntStream.range(0, count)
                .mapToLong(i -> Simulator.usedMemory(devices.get(i).handle()))
                .toArray();
    }
}
