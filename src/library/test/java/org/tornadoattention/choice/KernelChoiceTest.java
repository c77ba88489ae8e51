package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

class KernelChoiceTest {

    private static AttentionProblem problem(DType dtype) {
        return AttentionProblem.of(new AttentionShape(1, 1, 1, 100, 100, 64), dtype, AttentionOptions.defaults());
    }

    private static ComputeDevice device(Backend backend, long localMemory) {
        return device(backend, localMemory, CompilerExtension.Support.none(0, "it is imaginary"));
    }

    private static ComputeDevice device(Backend backend, long localMemory, CompilerExtension.Support extension) {
        long plenty = 1L << 40;
        TornadoDeviceType type = TornadoDeviceType.DEFAULT;
        return new ComputeDevice(
                backend,
                0,
                0,
                "imaginary",
                type,
                localMemory,
                1024,
                plenty,
                plenty,
                1,
                true,
                extension,
                TestDevice.get().handle());
    }

    @ParameterizedTest
    @CsvSource({
        "F32, CUDA, TILED, fastest",
        "F32, OPENCL, TILED, fastest",
        "F16, CUDA, TILED, it is imaginary",
        "BF16, CUDA, TILED, it is imaginary",
        "BF16, PTX, TILED, it is imaginary",
        "F32, SIMULATOR, ONLINE, simulated",
        "F16, SIMULATOR, TILED, simulated"
    })
    void theBestKernelIsChosenAndTheReasonSaid(DType dtype, Backend backend, AttentionKernel kernel, String reason) {
        KernelChoice choice = KernelChoice.choose(problem(dtype), device(backend, 48 << 10), Optional.empty());
        assertThat(choice.kernel()).isEqualTo(kernel);
        assertThat(choice.tile().map(Tile::kernel))
                .isEqualTo(kernel.spec().tiling().map(Tiling::kernel));
        assertThat(choice.reason()).contains(reason);
    }

    @ParameterizedTest
    @EnumSource
    void theKernelThatIsAskedForIsTaken(AttentionKernel kernel) {
        ComputeDevice gpu =
                device(Backend.CUDA, 48 << 10, new CompilerExtension.Support(Intrinsics.WARP_GROUP, 90, 227 << 10, ""));
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        ComputeDevice device = kernel == AttentionKernel.VECTOR ? TestDevice.jvm() : gpu;
        KernelChoice choice = KernelChoice.choose(problem(dtype), device, Optional.of(kernel));
        assertThat(choice.kernel()).isEqualTo(kernel);
        assertThat(choice.reason()).isEqualTo("asked for");
    }

    @Test
    void tensorCoresTakeFunctions() {
        ComputeDevice gpu =
                device(Backend.CUDA, 48 << 10, new CompilerExtension.Support(Intrinsics.WARP_GROUP, 90, 227 << 10, ""));
        AttentionProblem problem = AttentionProblem.of(
                new AttentionShape(1, 1, 1, 100, 100, 64),
                DType.F16,
                AttentionOptions.defaults().withMask(Mask.of((b, h, i, j) -> j != 3)));
        assertThat(KernelChoice.choose(problem, gpu, Optional.empty()).kernel()).isEqualTo(AttentionKernel.WARP_GROUP);
        assertThat(KernelChoice.chooseBackward(problem, gpu, Optional.empty()).kernel())
                .isEqualTo(AttentionKernel.WARP_GROUP);
        assertThat(KernelChoice.chooseBackward(problem, gpu, Optional.of(AttentionKernel.WARP))
                        .kernel())
                .isEqualTo(AttentionKernel.TILED);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KernelChoice.choose(problem, gpu, Optional.of(AttentionKernel.TENSOR_CORE)))
                .withMessageContaining(
                        "The kernel tensor-core takes no functions of a user's and no bias: choose tiled.");
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "VECTOR")
    void theJvmRunsNoKernelOfTaskGraphs(AttentionKernel kernel) {
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KernelChoice.choose(problem(dtype), TestDevice.jvm(), Optional.of(kernel)))
                .withMessageContainingAll(kernel.id(), "work-groups", "use the kernel vector");
    }

    @ParameterizedTest
    @EnumSource
    void onTheJvmThereIsOneKernelAndItIsNowhereElse(DType dtype) {
        assertThat(KernelChoice.choose(problem(dtype), TestDevice.jvm(), Optional.empty())
                        .kernel())
                .isEqualTo(AttentionKernel.VECTOR);
        assertThat(KernelChoice.chooseBackward(problem(dtype), TestDevice.jvm(), Optional.empty())
                        .kernel())
                .isEqualTo(AttentionKernel.VECTOR);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KernelChoice.choose(
                        problem(dtype), device(Backend.CUDA, 48 << 10), Optional.of(AttentionKernel.VECTOR)))
                .withMessageContainingAll("vector", "the JVM engine");
    }

    @ParameterizedTest
    @CsvSource({
        "WARP_GROUP, 90, 227, WARP_GROUP",
        "WARP, 80, 163, WARP",
        "WARP, 86, 99, WARP",
        "NONE, 90, 0, TENSOR_CORE",
        "NONE, 80, 0, TENSOR_CORE",
        "NONE, 75, 0, TILED",
        "NONE, 0, 0, TILED"
    })
    void sixteenBitsTakeTheBestTensorCores(Intrinsics level, int capability, int kibibytes, AttentionKernel expected) {
        CompilerExtension.Support extension =
                new CompilerExtension.Support(level, capability, kibibytes << 10, "too old");
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10, extension);
        for (DType dtype : List.of(DType.F16, DType.BF16)) {
            KernelChoice choice = KernelChoice.choose(problem(dtype), gpu, Optional.empty());
            assertThat(choice.kernel()).isEqualTo(expected);
            assertThat(choice.tile().orElseThrow().localMemoryBytes(64))
                    .isLessThanOrEqualTo(Math.max(48, kibibytes) << 10);
        }
    }

    @Test
    void f32TakesTensorCoresWhereTheyAreAsExact() {
        ComputeDevice gpu =
                device(Backend.CUDA, 48 << 10, new CompilerExtension.Support(Intrinsics.WARP_GROUP, 90, 227 << 10, ""));
        AttentionOptions options = AttentionOptions.defaults();
        AttentionShape shape = new AttentionShape(1, 1, 1, 100, 100, 64);
        for (AttentionProblem taken : List.of(
                problem(DType.F32),
                AttentionProblem.of(shape, DType.F32, options.withCausal()),
                AttentionProblem.of(shape, DType.F32, options.withWindow(5, -1)))) {
            assertThat(KernelChoice.choose(taken, gpu, Optional.empty()).kernel())
                    .isEqualTo(AttentionKernel.WARP_GROUP_F32);
            assertThat(KernelChoice.chooseBackward(taken, gpu, Optional.empty()).kernel())
                    .isEqualTo(AttentionKernel.WARP_GROUP_F32);
        }
        for (AttentionProblem other : List.of(
                AttentionProblem.of(new AttentionShape(1, 1, 1, 100, 100, 129), DType.F32, options),
                AttentionProblem.of(shape, DType.F32, options.withDropout(0.1, 1)),
                AttentionProblem.of(shape, DType.F32, options.withMask(Mask.of((b, h, i, j) -> j != 3))))) {
            assertThat(KernelChoice.choose(other, gpu, Optional.empty()).kernel())
                    .isEqualTo(AttentionKernel.TILED);
            assertThat(KernelChoice.chooseBackward(other, gpu, Optional.empty()).kernel())
                    .isEqualTo(AttentionKernel.TILED);
        }
    }

    @Test
    void dropoutTakesTheTiledKernelWhereThereAreNoOwnInstructions() {
        AttentionProblem dropout = AttentionProblem.of(
                new AttentionShape(1, 1, 1, 100, 100, 64),
                DType.F16,
                AttentionOptions.defaults().withDropout(0.1, 1));
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10, CompilerExtension.Support.none(90, "switched off"));
        assertThat(KernelChoice.choose(dropout, gpu, Optional.empty()).kernel()).isEqualTo(AttentionKernel.TILED);
        assertThat(KernelChoice.choose(problem(DType.F16), gpu, Optional.empty()))
                .extracting(KernelChoice::kernel, KernelChoice::reason)
                .containsExactly(
                        AttentionKernel.TENSOR_CORE,
                        "the fastest for F16 on this device, which has no warp-group intrinsics: switched off");
    }

    @Test
    void aDeviceWithoutTheInstructionsIsNamedWithTheReason() {
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KernelChoice.choose(problem(DType.F16), gpu, Optional.of(AttentionKernel.WARP)))
                .withMessageContainingAll("cuda:0 imaginary", "warp", "it is imaginary", "tiled");
    }

    @ParameterizedTest
    @CsvSource({
        "STANDARD, F16",
        "STANDARD, BF16",
        "ONLINE, F16",
        "ONLINE, BF16",
        "TENSOR_CORE, F32",
        "WARP, F32",
        "WARP_GROUP, F32"
    })
    void aKernelThatDoesNotTakeTheTypeIsRefused(AttentionKernel kernel, DType dtype) {
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KernelChoice.choose(problem(dtype), gpu, Optional.of(kernel)))
                .withMessageContainingAll(kernel.id(), dtype.name(), "choose tiled");
    }

    @ParameterizedTest
    @EnumSource(names = {"OPENCL", "PTX", "METAL", "SPIRV"})
    void tensorCoresAreForTheBackendThatReachesThem(Backend backend) {
        ComputeDevice elsewhere = device(backend, 48 << 10);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() ->
                        KernelChoice.choose(problem(DType.F16), elsewhere, Optional.of(AttentionKernel.TENSOR_CORE)))
                .withMessageContainingAll(backend.id() + ":0 imaginary", "tensor cores", "use the kernel tiled");
    }

    @Test
    void aDeviceWithTooLittleLocalMemoryIsNamed() {
        ComputeDevice gpu = device(Backend.CUDA, 1000);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KernelChoice.choose(problem(DType.F16), gpu, Optional.empty()))
                .withMessageContainingAll("cuda:0 imaginary", "head dimension 64", "1,000 bytes", "online");
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> KernelChoice.choose(problem(DType.F32), gpu, Optional.of(AttentionKernel.TILED)))
                .withMessageContainingAll("cuda:0 imaginary", "head dimension 64", "1,000 bytes", "online");
        AttentionProblem dropout = AttentionProblem.of(
                new AttentionShape(1, 1, 1, 100, 100, 64),
                DType.F32,
                AttentionOptions.defaults().withDropout(0.1, 1));
        KernelChoice online = KernelChoice.choose(dropout, gpu, Optional.empty());
        assertThat(online.kernel()).isEqualTo(AttentionKernel.ONLINE);
        assertThat(online.reason()).contains("no room for the tiles of tiled");
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

    @Test
    void aGivenTileIsTakenWhereItFits() {
        Tile tile = AttentionKernel.WARP.tile(64, 96, 4, 8);
        CompilerExtension.Support ampere = new CompilerExtension.Support(Intrinsics.WARP, 80, 163 << 10, "");
        ComputeDevice gpu = device(Backend.CUDA, 48 << 10, ampere);
        KernelChoice warp = KernelChoice.choose(problem(DType.BF16), gpu, Optional.of(AttentionKernel.WARP));
        assertThat(warp.withTile(tile, problem(DType.BF16), gpu).tile()).contains(tile);
        assertThat(tile.tiling().fits(tile, 256, gpu)).isTrue();

        Tile hopper = AttentionKernel.WARP_GROUP.tile(64, 96, 4, 8);
        assertThat(hopper.tiling().fits(hopper, 64, gpu)).isFalse();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> warp.withTile(hopper, problem(DType.F16), gpu))
                .withMessageContainingAll("64x96/4", "warp-group, not of warp");
        Tile large = AttentionKernel.WARP.tile(256, 256, 16, 8);
        assertThat(large.tiling().fits(large, 64, gpu)).isTrue();
        assertThat(large.tiling().fits(large, 256, gpu)).isFalse();
        AttentionProblem wide =
                AttentionProblem.of(new AttentionShape(1, 1, 1, 9, 9, 256), DType.F16, AttentionOptions.defaults());
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> warp.withTile(large, wide, gpu))
                .withMessageContainingAll("cuda:0 imaginary", "256x256/16", "head dimension 256", "smaller tile");
    }
}
