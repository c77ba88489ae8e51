package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;

class DevicesCommandTest {

    @Test
    void listsDevicesWhatTheyCanDoAndTheirKernels() {
        Invocation devices = Invocation.of("devices");
        assertThat(devices.exitCode()).isZero();
        assertThat(devices.out())
                .startsWith("Running on ")
                .contains(Devices.best().name(), "local memory", "tensor cores", "F32", "F16", "tiled ");
    }

    @Test
    void jsonHoldsTheSame() throws IOException {
        Invocation devices = Invocation.of("devices", "--json");
        JsonNode best =
                new ObjectMapper().readTree(devices.out()).path("devices").path(0);
        ComputeDevice expected = Devices.best();
        assertThat(best.path("backend").textValue())
                .isEqualTo(expected.backend().id());
        assertThat(best.path("localMemoryBytes").longValue()).isEqualTo(expected.localMemoryBytes());
        assertThat(best.path("choices")).hasSize(4);
        assertThat(devices.err()).startsWith("Running on ");
    }
}
