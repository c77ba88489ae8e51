package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import uk.ac.manchester.tornado.api.TornadoTargetDevice;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

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
        assertThat(Devices.all()).filteredOn(device -> !device.isJvm()).allSatisfy(device -> {
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
    void theJvmIsEverywhereAndComesBeforeTheSimulatorOnly() {
        ComputeDevice jvm = Devices.find(Optional.of(Backend.JVM), Optional.empty());
        assertThat(jvm.isJvm()).isTrue();
        assertThat(Devices.forTaskGraphs(jvm)).isEqualTo(Devices.bestForTaskGraphs());
        assertThat(jvm.handle()).isEqualTo(Devices.bestForTaskGraphs().handle());
        assertThat(Devices.forTaskGraphs(Devices.bestForTaskGraphs())).isEqualTo(Devices.bestForTaskGraphs());
        assertThat(Devices.best().isJvm()).isEqualTo(Platform.current().simulator());
    }

    /** As the SPIR-V backend's OpenCL device does for its description; others may for any other question. */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"SIMULATOR", "JVM"})
    void whatABackendDoesNotKnowIsUnknownAndNeverAnException(Backend backend) {
        InvocationHandler mute = (proxy, method, arguments) -> switch (method.getName()) {
            case "hashCode" -> 1;
            case "equals" -> proxy == arguments[0];
            case "toString" -> "mute";
            default -> throw new UnsupportedOperationException(method.getName());
        };
        TornadoTargetDevice physical = proxy(TornadoTargetDevice.class, mute);
        TornadoDevice handle = proxy(
                TornadoDevice.class,
                (proxy, method, arguments) -> method.getName().equals("getPhysicalDevice")
                        ? physical
                        : mute.invoke(proxy, method, arguments));
        ComputeDevice device = Devices.describe(backend, 1, 0, handle);
        assertThat(device.name()).isEqualTo("unknown");
        assertThat(device.type()).isEqualTo(TornadoDeviceType.DEFAULT);
        assertThat(device.globalMemoryBytes()).isEqualTo(ComputeDevice.UNKNOWN_BYTES);
        assertThat(device.localMemoryBytes()).isEqualTo(32 << 10);
        assertThat(device.maxGroupSize()).isEqualTo(256);
        assertThat(device.extension().computeCapability()).isZero();
        assertThat(device.driverVersion()).isEmpty();
    }

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    /** TornadoVM's SPIR-V compiler stores a computed half without converting it. */
    @ParameterizedTest
    @CsvSource({"SPIRV, false", "OPENCL, true", "PTX, true", "METAL, true"})
    void halvesAreDecodedOnSpirVWhateverTheDeviceCan(Backend backend, boolean expected) {
        TornadoTargetDevice physical = proxy(OpenClLike.class, (proxy, method, arguments) -> switch (method.getName()) {
            case "getDeviceExtensions" -> "cl_khr_fp16 cl_khr_fp64";
            default -> throw new UnsupportedOperationException(method.getName());
        });
        TornadoDevice handle = proxy(
                TornadoDevice.class,
                (proxy, method, arguments) -> method.getName().equals("getPhysicalDevice") ? physical : null);
        assertThat(Devices.describe(backend, 1, 0, handle).halfFloats()).isEqualTo(expected);
    }

    /** OpenCL's devices answer a question more than TornadoVM's common interface has. */
    public interface OpenClLike extends TornadoTargetDevice {
        String getDeviceExtensions();
    }

    /** The same GPU through several backends: CUDA is best, and SPIR-V has to be asked for. */
    @Test
    void oneDeviceOfSeveralBackendsIsTakenThroughTheFirstThatCompilesWell() {
        ComputeDevice any = Devices.best();
        List<ComputeDevice> devices = Stream.of(
                        of(any, Backend.SPIRV, TornadoDeviceType.GPU),
                        of(any, Backend.SPIRV, TornadoDeviceType.CPU),
                        of(any, Backend.OPENCL, TornadoDeviceType.CPU),
                        of(any, Backend.PTX, TornadoDeviceType.GPU),
                        of(any, Backend.OPENCL, TornadoDeviceType.GPU),
                        of(any, Backend.CUDA, TornadoDeviceType.GPU))
                .sorted(Devices.BEST_FIRST)
                .toList();
        assertThat(devices.stream().map(device -> device.backend() + " " + device.type()))
                .containsExactly("CUDA GPU", "OPENCL GPU", "PTX GPU", "SPIRV GPU", "OPENCL CPU", "SPIRV CPU");
    }

    private static ComputeDevice of(ComputeDevice any, Backend backend, TornadoDeviceType type) {
        return new ComputeDevice(
                backend,
                0,
                0,
                any.name(),
                type,
                any.localMemoryBytes(),
                any.maxGroupSize(),
                any.maxAllocationBytes(),
                any.globalMemoryBytes(),
                any.computeUnits(),
                any.halfFloats(),
                any.extension(),
                any.handle());
    }

    @Test
    void withoutTheExtensionOnlyTheFirstOfCudasDevicesDoesItsOwnWork() {
        TornadoDevice device = Devices.bestForTaskGraphs().handle();
        assumeTrue(Platform.current().simulator(), "an SDK may have the extension");
        assertThat(CompilerExtension.doesItsOwnWork(Backend.CUDA, 0, device)).isTrue();
        assertThat(CompilerExtension.doesItsOwnWork(Backend.CUDA, 1, device)).isFalse();
        assertThat(CompilerExtension.doesItsOwnWork(Backend.PTX, 1, device)).isTrue();
        assertThat(CompilerExtension.doesItsOwnWork(Backend.OPENCL, 1, device)).isTrue();
    }

    /** TornadoVM itself makes one context, on the first GPU, for all of them. */
    @Test
    void everyGpuHasAContextOfItsOwn() throws ReflectiveOperationException {
        List<ComputeDevice> gpus = Devices.all().stream()
                .filter(device -> device.backend() == Backend.CUDA)
                .toList();
        assumeTrue(gpus.size() > 1, "needs several GPUs and the CUDA backend");
        List<Object> contexts = new ArrayList<>();
        for (ComputeDevice gpu : gpus) {
            contexts.add(asked(asked(asked(gpu.handle(), "getDeviceContext"), "getPlatformContext"), "getContextId"));
        }
        assertThat(contexts).doesNotHaveDuplicates();
    }

    private static Object asked(Object object, String method) throws ReflectiveOperationException {
        return object.getClass().getMethod(method).invoke(object);
    }

    @Test
    void whatIsNotHereIsAnsweredWithWhatIs() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Devices.find(Optional.of(Backend.METAL), Optional.of(7)))
                .withMessageContainingAll(
                        "device 7 of backend metal", "Present:", Devices.best().toString());
    }
}
