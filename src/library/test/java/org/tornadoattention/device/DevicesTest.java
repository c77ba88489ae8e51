package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class DevicesTest {

    @Test
    void everyDeviceCanBeFoundByBackendAndIndex() {
        assertThat(Devices.all()).isNotEmpty().allSatisfy(device -> {
            assertThat(Devices.find(Optional.of(device.backend()), Optional.of(device.deviceIndex())))
                    .isEqualTo(device);
            assertThat(device)
                    .hasToString("%s:%d %s".formatted(device.backend().id(), device.deviceIndex(), device.name()));
        });
        assertThat(Devices.find(Optional.empty(), Optional.empty())).isEqualTo(Devices.best());
    }

    @Test
    void everyDeviceHasWhatKernelsNeed() {
        assertThat(Devices.all()).allSatisfy(device -> {
            assertThat(device.localMemoryBytes()).isGreaterThanOrEqualTo(16 << 10);
            assertThat(device.maxGroupSize()).isGreaterThanOrEqualTo(64);
            assertThat(device.maxAllocationBytes()).isGreaterThan(1 << 20);
            assertThat(device.globalMemoryBytes()).isGreaterThanOrEqualTo(device.maxAllocationBytes());
            assertThat(device.computeUnits()).isPositive();
            assertThat(device.name()).isNotBlank();
            assertThat(device.handle()).isNotNull();
        });
    }

    @Test
    void whatIsNotHereIsAnsweredWithWhatIs() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Devices.find(Optional.of(Backend.METAL), Optional.of(7)))
                .withMessageContainingAll(
                        "device 7 of backend metal", "Present:", Devices.best().toString());
    }
}
