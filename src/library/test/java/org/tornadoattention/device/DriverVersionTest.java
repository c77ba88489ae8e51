package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DriverVersionTest {

    @Test
    void nvidiasFileNamesTheDriver() {
        assertThat(DriverVersion.nvidia("""
                        NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (dvs-builder)
                        GCC version:  gcc version 12.3.0
                        """)).contains("580.159.04");
        assertThat(DriverVersion.nvidia("something else")).isEmpty();
    }

    @Test
    void theSimulatorHasNone() {
        Devices.all().stream()
                .filter(ComputeDevice::isSimulator)
                .forEach(device -> assertThat(device.driverVersion()).isEmpty());
    }
}
