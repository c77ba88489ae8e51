package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

class DeviceMemoryTest {

    private static final AttentionShape SHAPE = new AttentionShape(2, 4, 2, 10, 30, 64);

    private static DeviceMemory needed(AttentionShape shape, DType dtype, AttentionKernel kernel) {
        return DeviceMemory.of(AttentionProblem.of(shape, dtype, AttentionOptions.defaults()), kernel);
    }

    private static ComputeDevice device(long allocation, long memory) {
        return new ComputeDevice(
                Backend.CUDA,
                0,
                0,
                "imaginary",
                TornadoDeviceType.GPU,
                1,
                1,
                allocation,
                memory,
                1,
                true,
                CompilerExtension.Support.none(0, "imaginary"),
                TestDevice.get().handle());
    }

    @ParameterizedTest
    @CsvSource({"F32, 4", "F16, 2", "BF16, 2"})
    void flashAttentionNeedsTheTensorsAndTheLogSumExp(DType dtype, int bytes) {
        DeviceMemory memory = needed(SHAPE, dtype, AttentionKernel.TILED);
        long queries = 2 * 4 * 10 * 64L * bytes;
        long keys = 2 * 2 * 30 * 64L * bytes;
        assertThat(memory).isEqualTo(new DeviceMemory(2 * queries + 2 * keys, 2 * 4 * 10 * 4, keys));
        assertThat(memory.totalBytes()).isEqualTo(2 * queries + 2 * keys + 320);
    }

    @Test
    void standardAttentionNeedsTwoScoreMatricesToo() {
        long scores = 2 * 4 * 10 * 30 * 4L;
        assertThat(needed(SHAPE, DType.F32, AttentionKernel.STANDARD).extraBytes())
                .isEqualTo(needed(SHAPE, DType.F32, AttentionKernel.ONLINE).extraBytes() + 2 * scores);
        AttentionShape wide = new AttentionShape(1, 1, 1, 1000, 1000, 2);
        assertThat(needed(wide, DType.F32, AttentionKernel.STANDARD).largestBuffer())
                .isEqualTo(4_000_000);
    }

    @Test
    void aDeviceThatIsJustLargeEnoughWillDo() {
        DeviceMemory memory = needed(SHAPE, DType.F32, AttentionKernel.TILED);
        assertThatCode(() -> memory.requireFitting(device(memory.largestBuffer(), memory.totalBytes())))
                .doesNotThrowAnyException();
        assertTooSmall(memory, device(memory.largestBuffer() - 1, memory.totalBytes()));
        assertTooSmall(memory, device(memory.largestBuffer(), memory.totalBytes() - 1));
    }

    private static void assertTooSmall(DeviceMemory memory, ComputeDevice device) {
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> memory.requireFitting(device))
                .withMessageContainingAll("cuda:0 imaginary", "%,d".formatted(memory.totalBytes()), "split the batch");
    }

    @Test
    void scoresThatNoArrayHoldsAreRefusedWhateverTheDevice() {
        long plenty = 1L << 50;
        DeviceMemory memory =
                needed(new AttentionShape(1, 1, 1, 65_536, 65_536, 64), DType.F32, AttentionKernel.STANDARD);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> memory.requireFitting(device(plenty, plenty)))
                .withMessageContainingAll("4,294,967,296 elements", "online or tiled");
    }
}
