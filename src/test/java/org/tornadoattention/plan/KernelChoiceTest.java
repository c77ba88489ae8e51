package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

class KernelChoiceTest {

    private static AttentionProblem problem(DType dtype) {
        return AttentionProblem.of(new AttentionShape(1, 1, 1, 100, 100, 64), dtype, AttentionOptions.defaults());
    }

    private static ComputeDevice device(Backend backend, long localMemory) {
        long plenty = 1L << 40;
        TornadoDeviceType type = TornadoDeviceType.DEFAULT;
        return new ComputeDevice(backend, 0, 0, "imaginary", type, localMemory, 1024, plenty, plenty, 1, true, CompilerExtension.Support.none("imaginary"), null);
    }

    @ParameterizedTest
    @CsvSource({
        "F32, CUDA, TILED, fastest",
        "F32, OPENCL, TILED, fastest",
        "F16, CUDA, TILED, F16",
        "BF16, PTX, TILED, BF16",
        "F32, SIMULATOR, ONLINE, simulated",
        "F16, SIMULATOR, TILED, F16"
    })
    void theBestKernelIsChosenAndTheReasonSaid(DType dtype, Backend backend, AttentionKernel kernel, String reason) {
        KernelChoice choice = KernelChoice.choose(problem(dtype), device(backend, 48 << 10), Optional.empty());
        assertThat(choice.kernel()).isEqualTo(kernel);
        assertThat(choice.tile().isPresent()).isEqualTo(kernel == AttentionKernel.TILED);
        assertThat(choice.reason()).contains(reason);
    }

    @ParameterizedTest
    @EnumSource
    void theKernelThatIsAskedForIsTaken(AttentionKernel kernel) {
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10);
        KernelChoice choice = KernelChoice.choose(problem(DType.F32), gpu, Optional.of(kernel));
        assertThat(choice.kernel()).isEqualTo(kernel);
        assertThat(choice.reason()).isEqualTo("asked for");
    }

    @ParameterizedTest
    @CsvSource({"STANDARD, F16", "STANDARD, BF16", "ONLINE, F16", "ONLINE, BF16"})
    void aKernelThatDoesNotTakeTheTypeIsRefused(AttentionKernel kernel, DType dtype) {
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KernelChoice.choose(problem(dtype), gpu, Optional.of(kernel)))
                .withMessageContainingAll(kernel.id(), dtype.name(), "choose tiled");
    }

    @Test
    void aDeviceWithTooLittleLocalMemoryIsNamed() {
        ComputeDevice gpu = device(Backend.CUDA, 1000);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KernelChoice.choose(problem(DType.F32), gpu, Optional.empty()))
                .withMessageContainingAll("cuda:0 imaginary", "head dimension 64", "1,000 bytes", "online");
    }

    @ParameterizedTest
    @EnumSource
    void namesAreThoseOfTheCommandLine(AttentionKernel kernel) {
        assertThat(AttentionKernel.parse(kernel.id())).isEqualTo(kernel);
        assertThat(AttentionKernel.parse(kernel.name())).isEqualTo(kernel);
        assertThat(kernel.summary()).isNotBlank();
    }

    @Test
    void anUnknownNameIsAnsweredWithTheKnownOnes() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionKernel.parse("fast"))
                .withMessageContainingAll("'fast'", "standard, online, tiled");
    }
}
