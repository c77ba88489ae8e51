package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import uk.ac.manchester.tornado.api.TornadoBackend;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.TornadoTargetDevice;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/**
 * The devices that are here, and which to take.
 *
 * <p>TornadoVM's own default follows its backends' priorities, which put SPIR-V and OpenCL before CUDA; here GPUs come
 * first and the backend that compiles best for a device decides between its several appearances: in the order of
 * {@link Backend}, so that OpenCL comes before SPIR-V, which has to be asked for where a device has both.
 */
public final class Devices {

    /** GPUs first, and of one device the backend that compiles best; the simulator, which is not for speed, last. */
    static final Comparator<ComputeDevice> BEST_FIRST = Comparator.comparing(ComputeDevice::isSimulator)
            .thenComparingInt(device -> device.type() == TornadoDeviceType.GPU ? 0 : 1)
            .thenComparing(ComputeDevice::backend)
            .thenComparingInt(ComputeDevice::deviceIndex);

    private static final long NVIDIA_MAX_GROUP_SIZE = 1024;
    private static final long USUAL_GROUP_SIZE = 256;

    /** What OpenCL asks of every device. */
    private static final long LEAST_LOCAL_MEMORY = 32 << 10;

    private static final Logger LOG = System.getLogger(Devices.class.getName());

    /** Devices of which was said why they are left out. */
    private static final Set<TornadoDevice> SAID = ConcurrentHashMap.newKeySet();

    private Devices() {}

    /**
     * All devices, best first. A GPU after the first of the CUDA backend is among them where it does its own work:
     * where the library's extension of that backend is there.
     *
     * @return the devices
     */
    public static List<ComputeDevice> all() {
        Platform.current().requireUsable();
        TornadoRuntime runtime = Platform.runtime();
        List<ComputeDevice> devices = new ArrayList<>();
        for (int b = 0; b < runtime.getNumBackends(); b++) {
            TornadoBackend backend = runtime.getBackend(b);
            Optional<Backend> kind = Backend.of(backend.getBackendType());
            for (int d = 0; kind.isPresent() && d < backend.getNumDevices(); d++) {
                TornadoDevice device = backend.getDevice(d);
                if (CompilerExtension.doesItsOwnWork(kind.get(), d, device)) {
                    devices.add(describe(kind.get(), b, d, device));
                } else if (SAID.add(device)) {
                    LOG.log(
                            Level.WARNING,
                            "{0}:{1} is left out: TornadoVM''s CUDA backend would run its work on {0}:0. Start Java with @tornado-config/cuda.args, as ./attention does, without -D{2}=off.",
                            kind.get().id(),
                            d,
                            CompilerExtension.PROPERTY);
                }
            }
        }
        devices.sort(BEST_FIRST);
        devices.stream().findFirst().map(device -> jvm(device.handle())).ifPresent(devices::add);
        devices.sort(BEST_FIRST);
        return List.copyOf(devices);
    }

    /**
     * The JVM itself, computing on threads of the caller's: for several attentions and caches that shall share some, or
     * a program that has its own. They are given work and not ended.
     *
     * @param executor runs what it is given on other threads, now or later; what it never runs the calling thread does
     *     itself
     * @param threads that work at a time at most, the calling one included, 1 or more
     * @return the device, for {@code FlashAttention.on}, {@code RaggedAttention} and {@code CacheOptions.on}
     * @throws IllegalArgumentException if the executor is null or there is no thread
     */
    public static ComputeDevice jvm(Executor executor, int threads) {
        required(
                executor,
                "executor",
                "take Devices.find(Optional.of(Backend.JVM), Optional.empty()) for threads of its own");
        if (threads < 1) {
            throw new IllegalArgumentException(
                    "%d threads: there must be 1 or more, the calling one included.".formatted(threads));
        }
        String name = "this JVM, %s, %d thread%s of the caller's"
                .formatted(System.getProperty("os.arch"), threads, threads == 1 ? "" : "s");
        return jvm(handleForTaskGraphs(), name, threads, Optional.of(executor));
    }

    /** The JVM computing on all cores, with threads of its own. */
    private static ComputeDevice jvm(TornadoDevice forTaskGraphs) {
        int cores = Runtime.getRuntime().availableProcessors();
        String name = "this JVM, %s, %d core%s".formatted(System.getProperty("os.arch"), cores, cores == 1 ? "" : "s");
        return jvm(forTaskGraphs, name, cores, Optional.empty());
    }

    private static ComputeDevice jvm(
            TornadoDevice forTaskGraphs, String name, int threads, Optional<Executor> executor) {
        return new ComputeDevice(
                Backend.JVM,
                0,
                0,
                name,
                TornadoDeviceType.CPU,
                0,
                1,
                ComputeDevice.UNKNOWN_BYTES,
                ComputeDevice.UNKNOWN_BYTES,
                threads,
                true,
                CompilerExtension.Support.none(0, ""),
                forTaskGraphs,
                executor);
    }

    /** The JVM computes where TornadoVM does not start, too: its drivers may be missing. */
    private static TornadoDevice handleForTaskGraphs() {
        try {
            return bestForTaskGraphs().handle();
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // a driver that is not there is an error of linkage
            return withoutDevice(e);
        }
    }

    /** What stands for a device where there is none. */
    private static TornadoDevice withoutDevice(Throwable failure) {
        return (TornadoDevice) Proxy.newProxyInstance(
                Devices.class.getClassLoader(),
                new Class<?>[] {TornadoDevice.class},
                (proxy, method, arguments) -> switch (method.getName()) {
                    case "toString" -> "no device";
                    case "hashCode" -> System.identityHashCode(proxy);
                    case "equals" -> proxy == arguments[0];
                    default ->
                        throw new IllegalStateException(
                                "TornadoVM does not start here, so nothing runs task graphs: see the cause.", failure);
                });
    }

    /**
     * The device that task graphs of an attention on {@code device} run on.
     *
     * @param device one of {@link #all()}
     * @return the device itself, or, for the JVM, which runs none, the best one that does: a TornadoVM's or the
     *     simulator's
     * @throws IllegalArgumentException if it is null
     */
    public static ComputeDevice forTaskGraphs(ComputeDevice device) {
        required(device, "device", "take one of Devices.all()");
        return device.isJvm() ? bestForTaskGraphs() : device;
    }

    /** {@return the best device that runs task graphs} */
    public static ComputeDevice bestForTaskGraphs() {
        return all().stream().filter(device -> !device.isJvm()).findFirst().orElseThrow();
    }

    /** {@return the best device} */
    public static ComputeDevice best() {
        return all().getFirst();
    }

    /**
     * The best device of a backend, or one of its devices by index. The JVM is found where TornadoVM does not start,
     * too.
     *
     * @param backend the backend, or empty for any
     * @param index the device's position in its backend, or empty for the best
     * @return the best device of those that are meant
     * @throws IllegalArgumentException if there is none, listing those that are here
     */
    public static ComputeDevice find(Optional<Backend> backend, Optional<Integer> index) {
        required(backend, "backend", "use Optional.empty() for any");
        required(index, "index", "use Optional.empty() for the best");
        if (backend.equals(Optional.of(Backend.JVM)) && index.orElse(0) == 0) {
            return jvm(handleForTaskGraphs());
        }
        List<ComputeDevice> all = all();
        return all.stream()
                .filter(device -> backend.isEmpty() || device.backend() == backend.get())
                .filter(device -> index.isEmpty() || device.deviceIndex() == index.get())
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no device%s%s here. Present: %s."
                        .formatted(
                                index.map(i -> " " + i).orElse(""),
                                backend.map(b -> " of backend " + b.id()).orElse(""),
                                all.stream().map(ComputeDevice::toString).collect(Collectors.joining(", ")))));
    }

    /** A device, with {@link ComputeDevice}'s words for what its backend does not know. */
    static ComputeDevice describe(Backend backend, int backendIndex, int deviceIndex, TornadoDevice device) {
        TornadoTargetDevice physical = device.getPhysicalDevice();
        return new ComputeDevice(
                backend,
                backendIndex,
                deviceIndex,
                known(physical::getDeviceName, ComputeDevice.UNKNOWN_NAME).strip(),
                known(device::getDeviceType, TornadoDeviceType.DEFAULT),
                known(physical::getDeviceLocalMemorySize, LEAST_LOCAL_MEMORY),
                maxGroupSize(backend, physical),
                known(physical::getDeviceMaxAllocationSize, ComputeDevice.UNKNOWN_BYTES),
                known(physical::getDeviceGlobalMemorySize, ComputeDevice.UNKNOWN_BYTES),
                known(physical::getDeviceMaxComputeUnits, 1),
                hasHalfFloats(backend, physical),
                CompilerExtension.extend(backend, device, backendIndex == 0),
                CompilerExtension.handle(backend, device));
    }

    /** What a backend says of a device; some throw where they do not know, and a device is not to be lost by that. */
    static <T> T known(Supplier<T> question, T unknown) {
        try {
            return Objects.requireNonNullElse(question.get(), unknown);
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal failures are errors
            return unknown;
        }
    }

    /** PTX devices give the size of a grid here, so NVIDIA's own limit stands beside what the device says. */
    private static long maxGroupSize(Backend backend, TornadoTargetDevice physical) {
        long[] sizes = known(physical::getDeviceMaxWorkGroupSize, new long[0]);
        long size = sizes.length == 0 ? USUAL_GROUP_SIZE : sizes[0];
        return backend.isNvidiaOnly() ? Math.min(size, NVIDIA_MAX_GROUP_SIZE) : size;
    }

    /**
     * OpenCL devices say so in their extensions, which TornadoVM's common interface does not pass on. TornadoVM's
     * SPIR-V compiler stores a computed half without converting it, whatever the device can do.
     */
    private static boolean hasHalfFloats(Backend backend, TornadoTargetDevice physical) {
        if (backend != Backend.OPENCL) {
            return backend != Backend.SPIRV;
        }
        try {
            Object extensions =
                    physical.getClass().getMethod("getDeviceExtensions").invoke(physical);
            return String.valueOf(extensions).contains("cl_khr_fp16");
        } catch (NoSuchMethodException | IllegalAccessException | InvocationTargetException e) {
            return false;
        }
    }
}
