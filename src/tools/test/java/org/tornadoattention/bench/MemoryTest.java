package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.tornadoattention.choice.DeviceMemory;

class MemoryTest {

    /** TornadoVM counts the last task's arrays of a graph that has several: less than the tensors alone is no count. */
    @Test
    void whatTheRuntimeCountsShortIsReplacedByWhatThePlanNeeds() {
        DeviceMemory needed = new DeviceMemory(1000, 300, 500);
        assertThat(Memory.of(needed, 1350, null).beyondTensors()).isEqualTo(350);
        assertThat(Memory.of(needed, 1300, null).beyondTensors()).isEqualTo(300);
        assertThat(Memory.of(needed, 1299, null).beyondTensors()).isEqualTo(300);
        assertThat(Memory.of(needed, 400, null).beyondTensors()).isEqualTo(300);
    }
}
